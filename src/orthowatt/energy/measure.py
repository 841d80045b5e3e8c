"""Measuring a function, a block (`measure`) or any program (`measure_command`) in one window."""

from __future__ import annotations

import csv
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import InputError, InputTypeError
from .decorator import measure
from .meter import EnergyMeter
from .quantity import Energy
from .window import Measured

__all__ = [
    "CommandResult", "append_csv", "format_measurement", "measure", "measure_command",
]  # fmt: skip

#: Signals that mean the program, not the meter around it; absent ones (Windows) are left out.
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
#: The terminal sends these to the program too, when both stand in its foreground.
_FROM_TERMINAL = ("SIGINT", "SIGQUIT")


@dataclass(frozen=True)
class CommandResult:
    """A program's run: `returncode` is what a shell shows, 128 + n when ended by `signal` n;
    `started` is a time in ISO 8601."""

    argv: tuple[str, ...]
    returncode: int
    signal: int | None
    measured: Measured
    started: str

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
        }


def measure_command(
    argv: Sequence[str],
    *,
    cwd: str | Path | None = None,
    env: Mapping[str, str] | None = None,
    meter: EnergyMeter | None = None,
) -> CommandResult:
    """Run a program to its end inside a window; standard input and output stay its own.

    The device counters run on for whatever else uses the device, so nothing else should. Signals
    sent to this process meanwhile reach the program. Raises `InputError` when the program cannot
    be started.

    >>> result = measure_command(["sh", "-c", "exit 3"])
    >>> result.returncode, result.seconds > 0
    (3, True)
    """
    if isinstance(argv, str) or not all(isinstance(word, str | os.PathLike) for word in argv):
        raise InputTypeError(f"the command is {argv!r}, but must be a list of words")
    words = [os.fspath(word) for word in argv]
    if not words:
        raise InputError("no command was given; write it after --, as in: -- python train.py")
    own = EnergyMeter(scope="visible") if meter is None else None
    used = meter or own
    assert used is not None
    started = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        window = used.window("command")
        with window:
            code = _run(words, cwd, env)
    finally:
        if own is not None:
            own.close()
    ended_by = -code if code < 0 else None
    returncode = 128 + ended_by if ended_by else code
    return CommandResult(tuple(words), returncode, ended_by, window.measured, started)


def _run(words: list[str], cwd: str | Path | None, env: Mapping[str, str] | None) -> int:
    with _Forwarding() as forwarding:
        try:
            child = subprocess.Popen(words, cwd=cwd, env=None if env is None else dict(env))
        except (OSError, ValueError) as error:
            detail = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"{words[0]!r} cannot be run ({detail}); check its spelling or give its path"
            ) from error
        forwarding.to(child)
        return child.wait()


class _Forwarding:
    """While entered, signals to this process go to the program; main thread only."""

    def __init__(self) -> None:
        self._child: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._before: dict[int, Any] = {}

    def __enter__(self) -> _Forwarding:
        if threading.current_thread() is threading.main_thread():
            numbers = [getattr(signal, name) for name in _FORWARDED if hasattr(signal, name)]
            for number in numbers:
                # what the caller ignores (nohup) stays ignored, here and in the program
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._forward)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    def to(self, child: subprocess.Popen[bytes]) -> None:
        """Send what arrives from now on, and what arrived while it was started."""
        self._child = child
        for number in self._early:
            child.send_signal(number)

    def _forward(self, number: int, frame: FrameType | None) -> None:
        if signal.Signals(number).name in _FROM_TERMINAL and _in_foreground():
            return
        if self._child is None:
            self._early.append(number)
        else:
            self._child.send_signal(number)


def _in_foreground() -> bool:
    """This process is in its terminal's foreground group, so the program got the signal too."""
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False


def format_measurement(result: CommandResult) -> str:
    """A command's energy and time in a few lines of plain text."""
    energy = result.energy
    lines = [f"energy      {energy}"]
    if energy.joules is not None:
        sensor = energy.sensor_relative
        accuracy = f", sensor ±{sensor:.0%}" if sensor is not None else ""
        lines[0] += f"  ({energy.scope}{accuracy})"
    lines.append(f"time        {result.seconds:.3f} s")
    if energy.mean_watts is not None:
        lines.append(f"mean power  {energy.mean_watts:.1f} W")
    for scope, part in result.measured.energies.items():
        if scope != energy.scope:
            lines.append(f"  {scope}: {part}")
    lines += [f"note        {flag}" for flag in energy.flags]
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
        "mean_watts": energy.mean_watts,
        "status": energy.status,
        "scope": energy.scope,
        "method": energy.method,
        "flags": " ".join(energy.flags),
        "reason": energy.reason,
    }
    try:
        with open(path, "a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(row))
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}); name another file"
        ) from error
