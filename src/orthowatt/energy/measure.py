"""Measuring a function, a block (`measure`) or any program (`measure_command`) in one window."""

from __future__ import annotations

import contextlib
import csv
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError, InputTypeError
from .child import Child
from .decorator import measure
from .idle import Idle, measure_idle, net
from .meter import EnergyMeter
from .provenance import host
from .quantity import FLAGS, Energy
from .window import Measured

__all__ = [
    "CommandResult", "append_csv", "format_measurement", "measure", "measure_command",
]  # fmt: skip


@dataclass(frozen=True)
class CommandResult:
    """A program's run: `returncode` is what a shell shows, 128 + n when ended by `signal` n;
    `started` is a time in ISO 8601; `meter` and `host` say what measured, how, and where."""

    argv: tuple[str, ...]
    returncode: int
    signal: int | None
    measured: Measured
    started: str
    idles: tuple[Idle, ...] = ()
    meter: dict[str, Any] = field(default_factory=dict)
    host: dict[str, Any] = field(default_factory=dict)

    @property
    def net(self) -> Energy | None:
        """The energy less the idle power before and after; None where no idle was asked for."""
        return net(self.energy, self.idles) if self.idles else None

    @property
    def energy(self) -> Energy:
        """The GPUs that the program may see if there are any, else the CPU packages."""
        return self.measured.energy

    @property
    def seconds(self) -> float:
        """Time from the program's start to its end."""
        return self.measured.seconds

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready values."""
        return {
            "command": list(self.argv),
            "started": self.started,
            "returncode": self.returncode,
            "signal": self.signal,
            **self.measured.to_dict(),
            "idle": [idle.to_dict() for idle in self.idles],
            "net": None if self.net is None else self.net.to_dict(),
            "meter": self.meter,
            "host": self.host,
        }


def measure_command(
    argv: Sequence[str],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    meter: EnergyMeter | None = None,
    estimate: Literal["power-limit"] | None = None,
    idle_seconds: float = 0.0,
) -> CommandResult:
    """Run a program to its end inside a window; standard input and output stay its own.

    The device counters run on for whatever else uses the device, so nothing else should. Signals
    sent to this process meanwhile reach the program. Without a `meter` of yours, `estimate` is
    `EnergyMeter`'s; `idle_seconds` measures the idle power for so long before and after. Raises
    `InputError` when the program cannot be started.

    >>> result = measure_command(["sh", "-c", "exit 3"])
    >>> result.returncode, result.seconds > 0
    (3, True)
    """
    words = _words(argv)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    idles = [_idle(meter, idle_seconds)] if idle_seconds else []
    # before the meter: its threads must not take the signals that are meant for the program
    with contextlib.ExitStack() as stack:
        child = stack.enter_context(Child())
        used = meter or stack.enter_context(EnergyMeter(scope="visible", estimate=estimate))
        for idle in idles:
            used.set_idle(idle.resting_watts)
        with used.window("command") as window:
            code = child.run(words, cwd, env)
        how = used.provenance()
    idles += [_idle(meter, idle_seconds)] if idle_seconds else []
    ended_by = -code if code < 0 else None
    returncode = 128 + ended_by if ended_by else code
    return CommandResult(
        tuple(words), returncode, ended_by, window.measured, started, tuple(idles), how, host()
    )


def _words(argv: Sequence[str]) -> list[str]:
    if isinstance(argv, str) or not all(isinstance(word, str | os.PathLike) for word in argv):
        raise InputTypeError(f"the command is {argv!r}, but must be a list of words")
    words = [os.fspath(word) for word in argv]
    if not words:
        raise InputError("no command was given; write it after --, as in: -- python train.py")
    return words


def _idle(meter: EnergyMeter | None, seconds: float) -> Idle:
    if meter is not None:
        return measure_idle(meter, seconds)
    with EnergyMeter(scope="visible") as own:
        return measure_idle(own, seconds)


def format_measurement(result: CommandResult) -> str:
    """A command's energy and time in a few lines of plain text."""
    energy = result.energy
    lines = [f"energy      {energy}"]
    if energy.joules is not None:
        sensor = energy.sensor_relative
        accuracy = f", sensor ±{sensor:.0%}" if sensor is not None else ""
        lines[0] += f"  ({energy.scope}{accuracy})"
    if energy.status == "estimated":
        lines.append(f"            {energy.reason}")
    lines.append(f"time        {result.seconds:.3f} s")
    if energy.mean_watts is not None:
        lines.append(f"mean power  {energy.mean_watts:.1f} W")
    if result.net is not None:
        watts = " W, ".join("?" if i.watts is None else f"{i.watts:.1f}" for i in result.idles)
        lines.append(f"net         {result.net}  (idle before and after: {watts} W)")
    for scope, part in result.measured.energies.items():
        if scope != energy.scope:
            lines.append(f"  {scope}: {part}")
    lines += [f"note        {flag}: {FLAGS.get(flag, flag)}" for flag in energy.flags]
    ended = f"signal {result.signal}" if result.signal else f"exit code {result.returncode}"
    lines.append(f"ended       {ended}")
    return "\n".join(lines)


def append_csv(path: str | Path, result: CommandResult) -> None:
    """Append one line to a CSV file, with a header where it is new; unknown cells stay empty."""
    energy = result.energy
    row = {
        "started": result.started,
        "command": shlex.join(result.argv),
        "returncode": result.returncode,
        "seconds": result.seconds,
        "joules": energy.joules,
        "bound_joules": energy.bound_joules,
        "sensor_relative": energy.sensor_relative,
        "at_least_joules": energy.at_least_joules,
        "mean_watts": energy.mean_watts,
        "net_joules": result.net.joules if result.net else None,
        "status": energy.status,
        "scope": energy.scope,
        "method": energy.method,
        "flags": " ".join(energy.flags),
        "reason": energy.reason,
    }
    header = list(row)
    try:
        with open(path, "a+", newline="", encoding="utf-8") as file:
            file.seek(0)
            found = next(csv.reader(file), None)
            if found not in (None, header):
                raise InputError(
                    f"{path} begins with the columns {', '.join(found)}, which are not those of a "
                    "measurement; name another file"
                )
            writer = csv.DictWriter(file, header)
            if found is None:
                writer.writeheader()
            writer.writerow(row)
    except (OSError, UnicodeDecodeError) as error:
        detail = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"{path} cannot be written ({detail}); name another file") from error
