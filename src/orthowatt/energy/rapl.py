"""CPU and memory energy from RAPL, through Linux's powercap files (Intel and AMD)."""

from __future__ import annotations

import re
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from .counter import GAP, Facts, Reading
from .problem import Problem
from .units import joules_from_microjoules, watts_from_microwatts

POWERCAP_ROOT = Path("/sys/class/powercap")
METHOD = "rapl-powercap"
#: RAPL counters move about every millisecond; twice that is on the safe side.
TICK_SECONDS = 0.002
#: No socket sold draws more, for a domain that tells no limit.
HIGHEST_PACKAGE_WATTS = 1000.0
CAP_OVER_LIMIT = 1.1
RESET = (
    "the energy counter went back by more than a wrap explains (the machine slept or the driver "
    "was reloaded); measure again"
)
_KINDS = {"package": "cpu-package", "core": "cpu-core", "dram": "dram"}


@dataclass
class Unwrapper:
    """Turns a counter that starts again at 0 after `range_joules` into one that never does.

    A step back is a wrap; it is a reset when the implied power exceeds `cap_watts`. A gap in
    which the cap allows a whole range may hide a wrap. Both are counted in `breaks`.

    >>> counter = Unwrapper(range_joules=100.0, cap_watts=50.0)
    >>> for seconds, raw in ((0.0, 95.0), (1.0, 20.0), (2.0, 60.0)):
    ...     counter.add(raw, seconds)
    >>> counter.joules
    65.0
    """

    range_joules: float
    cap_watts: float
    joules: float = 0.0
    breaks: int = 0
    break_reason: str | None = None
    last: tuple[float, float] | None = field(default=None, repr=False)

    def add(self, raw_joules: float, seconds: float) -> None:
        """Take a reading of the raw counter at a monotonic time."""
        if self.last is not None:
            raw_before, before = self.last
            step = raw_joules - raw_before
            most = self.cap_watts * (seconds - before + TICK_SECONDS)
            if step < 0:
                step += self.range_joules
                if step > most or step < 0:
                    self._break(RESET)
                    step = 0.0
            if most >= self.range_joules:
                self._break(GAP)
            self.joules += step
        self.last = (raw_joules, seconds)

    def _break(self, reason: str) -> None:
        self.breaks += 1
        self.break_reason = reason


@dataclass
class RaplCounter:
    """One powercap domain: a package, its cores, or the memory."""

    path: Path
    facts: Facts
    unwrapper: Unwrapper
    limit_watts: float | None
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def lag_seconds(self) -> float:
        """How old the counter's value may be when it is read."""
        return TICK_SECONDS

    @property
    def poll_seconds(self) -> float:
        """How often the counter must be read so that no wrap goes unseen."""
        return min(60.0, self.unwrapper.range_joules / self.unwrapper.cap_watts / 4)

    def read(self) -> Reading:
        """The energy since the counter was opened, wraps undone."""
        with self.lock:  # two threads must not take the readings in the wrong order
            before = time.monotonic()
            try:
                raw = joules_from_microjoules(int((self.path / "energy_uj").read_text()))
            except (OSError, ValueError) as error:
                problem = _unreadable(self.facts.scope, error).sentence
                return Reading(time.monotonic(), None, problem=problem)
            after = time.monotonic()
            unwrapper = self.unwrapper
            unwrapper.add(raw, after)
            return Reading(
                after, unwrapper.joules, TICK_SECONDS + (after - before),
                unwrapper.breaks, unwrapper.break_reason,
            )  # fmt: skip


@dataclass
class Rapl:
    """The readable counters by scope, the domains that cannot be read, and why none if none."""

    counters: dict[str, RaplCounter] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)


def is_inner(scope: str) -> bool:
    """The scope is a part of another one (the cores of a package), so no sum may take both.

    >>> is_inner("cpu-core:0"), is_inner("dram:0")
    (True, False)
    """
    return scope.startswith("cpu-core")


def open_rapl(root: Path = POWERCAP_ROOT) -> Rapl:
    """Find the domains below `root`; a package that appears twice is counted once."""
    found = Rapl()
    zones = _zones(Path(root))
    if not zones:
        found.problems["cpu-package"] = _nothing(Path(root))
        return found
    for scope, path in zones.items():
        counter = _open(scope, path)
        if isinstance(counter, Problem):
            found.problems[scope] = counter
        elif is_inner(scope) or not _mirrored(counter, found.counters):
            found.counters[scope] = counter
    return found


def _zones(root: Path) -> dict[str, Path]:
    """The domains by scope. `intel-rapl-mmio` repeats the packages of `intel-rapl`, so of two
    with one name the first in this order stays."""
    if not root.is_dir():
        return {}
    folders = [folder for folder in root.iterdir() if re.search(r":\d+$", folder.name)]
    folders.sort(key=lambda folder: ("mmio" in folder.name, folder.name))
    names = {folder.name: _text(folder / "name") for folder in folders}
    zones: dict[str, Path] = {}
    for folder in folders:
        parent = names.get(folder.name.rpartition(":")[0]) or names[folder.name]
        label = (parent or "").removeprefix("package-")
        kind = _KINDS.get((names[folder.name] or "").partition("-")[0])
        if kind is not None:
            zones.setdefault(f"{kind}:{label}", folder)
    return zones


def _open(scope: str, path: Path) -> RaplCounter | Problem:
    try:
        most = joules_from_microjoules(int((path / "max_energy_range_uj").read_text()))
        int((path / "energy_uj").read_text())
    except (OSError, ValueError) as error:
        return _unreadable(scope, error)
    if most <= 0:
        return Problem(f"{scope} states no range, so its wraps cannot be undone")
    limit = _limit_watts(path)
    cap = CAP_OVER_LIMIT * (HIGHEST_PACKAGE_WATTS if limit is None else limit)
    # powercap reads AMD's core counter on one CPU of the package only
    flags = ("one-core",) if is_inner(scope) and _amd() else ()
    facts = Facts(scope, METHOD, cap, limit is None, None, flags)
    return RaplCounter(path, facts, Unwrapper(most, cap), limit)


def _mirrored(counter: RaplCounter, others: dict[str, RaplCounter]) -> bool:
    """Another domain of the kind shows the very same counter (some AMD parts do that).

    Read in the order other, this, other: a mirror's value lies between the two, three times over;
    counters of their own have run apart since boot by far more than a read takes.
    """
    kind = counter.facts.scope.partition(":")[0]
    for scope, other in others.items():
        if scope.partition(":")[0] == kind and all(
            _between(other.path, counter.path) for _ in range(3)
        ):
            return True
    return False


def _between(first: Path, second: Path) -> bool:
    texts = [_text(path / "energy_uj") for path in (first, second, first)]
    if not all(text and text.isdigit() for text in texts):
        return False
    low, middle, high = (int(text or 0) for text in texts)
    return 0 < low <= middle <= high


def _limit_watts(path: Path) -> float | None:
    """The highest of the domain's limits in force, in W (short peaks may use the higher one)."""
    texts = [_text(file) for file in path.glob("constraint_*_power_limit_uw")]
    limits = [watts_from_microwatts(int(text)) for text in texts if text and text.isdigit()]
    return max((limit for limit in limits if limit > 0), default=None)


def _unreadable(scope: str, error: Exception) -> Problem:
    if isinstance(error, PermissionError):
        return Problem(
            f"the CPU energy counter of {scope} may only be read by root",
            "sudo chmod a+r /sys/class/powercap/*/energy_uj",
        )
    detail = getattr(error, "strerror", None) or str(error)
    return Problem(f"the CPU energy counter of {scope} cannot be read ({detail})")


def _nothing(root: Path) -> Problem:
    if not sys.platform.startswith("linux"):
        return Problem(f"CPU energy is read on Linux only, and this is {sys.platform}")
    return Problem(
        f"no CPU energy counter was found: {root} holds no RAPL domain (usual in virtual machines "
        "and containers; then measure on the machine itself)",
        "sudo modprobe intel_rapl_msr",  # serves AMD as well
    )


def _amd() -> bool:
    return "AuthenticAMD" in (_text(Path("/proc/cpuinfo")) or "")[:4096]


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
