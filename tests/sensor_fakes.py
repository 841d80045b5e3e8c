"""What the stand-ins measure: power traces with their exact energy, powercap domains."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

UUID_A = "GPU-aaaaaaaa-0000-0000-0000-000000000001"
UUID_B = "GPU-bbbbbbbb-0000-0000-0000-000000000002"


@dataclass
class Gpu:
    """A GPU of the NVML stand-in; `trace` is a repeating list of (seconds, watts), or of (seconds,
    watts at its start, watts at its end).

    `power` are the times that the readings usage, average and instant average over (0: not
    there), and how often they are renewed; as on an H100. `live`: a file whose lines
    "<monotonic seconds> <watts>" are the power instead, as they are appended.
    """

    uuid: str = UUID_A
    trace: tuple[tuple[float, ...], ...] = ((1.0, 300.0),)
    tick: float = 0.02
    phase: float = 0.0
    limit: float = 700.0
    mig: bool = False
    offset_joules: float = 5000.0
    name: str = "NVIDIA H100 80GB HBM3"
    events: tuple[str, ...] = ()
    pid: int | None = None
    power: tuple[float, float, float, float] = (1.0, 1.0, 0.025, 0.1)
    architecture: int = 9
    wrap: float | None = None
    trace_file: Path | None = None
    live: Path | None = None

    def spec(self) -> str:
        """The lines that the stand-in reads."""
        lines = [
            f"device {self.uuid} {self.tick!r} {self.phase!r} {round(self.limit * 1000)} "
            f"{int(self.mig)} {round(self.offset_joules * 1000)} {self.name}"
        ]
        if self.trace_file is None:
            lines += ["segment " + " ".join(map(repr, part)) for part in self.trace]
        else:
            lines += [f"trace {self.trace_file}"]
        lines += ["power " + " ".join(map(repr, self.power)), f"architecture {self.architecture}"]
        lines += [f"live {self.live}"] if self.live else []
        lines += [f"wrap {self.wrap!r}"] if self.wrap else []
        lines += [f"event {event}" for event in self.events]
        lines += [f"process {self.pid}"] if self.pid else []
        return "\n".join(lines) + "\n"

    def joules(self, start: float, end: float) -> float:
        """The true energy between two times of the trace, by summing overlaps."""
        period = sum(part[0] for part in self.trace)
        total, at = 0.0, (start // period) * period
        while at < end:
            for seconds, first, *last in self.trace:
                begin, stop = max(start, at), min(end, at + seconds)
                if stop > begin:
                    slope = (last[0] - first) / seconds if last else 0.0
                    total += (stop - begin) * (first + slope * ((begin + stop) / 2 - at))
                at += seconds
        return total


class Powercap:
    """A tree of powercap domains like /sys/class/powercap, whose counters a test moves."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()

    def add(
        self,
        folder: str,
        name: str,
        *,
        joules: float = 100.0,
        range_joules: float = 262143.0,
        limit: float | None = 250.0,
    ) -> Path:
        """A domain, as the kernel lays it out."""
        zone = self.root / folder
        zone.mkdir()
        (zone / "name").write_text(f"{name}\n")
        (zone / "max_energy_range_uj").write_text(f"{round(range_joules * 1e6)}\n")
        if limit is not None:
            (zone / "constraint_0_power_limit_uw").write_text(f"{round(limit * 1e6)}\n")
        self.set(folder, joules)
        return zone

    def set(self, folder: str, joules: float) -> None:
        """Let the counter show so many joules."""
        (self.root / folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")


WINDOW = """
    meter = EnergyMeter(scope={scope!r}, powercap_root=os.environ["NO_POWERCAP"], align={align})
    with meter.window("train") as window:
        time.sleep({seconds})
    out = window.to_dict()
    out["sensors"] = meter.provenance()["sensors"]
    meter.close()
"""


def window(seconds=0.3, scope="gpu", align=True):
    """Code that measures one window of sleep; its record comes back in `out`."""
    return textwrap.dedent(WINDOW.format(seconds=seconds, scope=scope, align=align))


def within(energy, watts):
    """The energy agrees with a constant power to its own bound, and that bound says something."""
    error = abs(energy["joules"] - watts * energy["seconds"])
    return error <= energy["bound_joules"] < 770 * energy["seconds"]
