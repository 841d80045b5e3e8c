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
CPUINFO = Path("/proc/cpuinfo")
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
SLEPT = (
    "the machine was suspended, and energy counters start anew after it; measure again without "
    "suspending"
)
#: Two clocks that are read one after the other disagree by far less without a suspension.
_SLEEP_SECONDS = 0.5
_KINDS = {"package": "cpu-package", "core": "cpu-core", "dram": "dram"}


@dataclass
class Unwrapper:
    """Turns a counter that starts again at 0 after `range_joules` into one that never does.

    A step back is a wrap; it is a reset when the implied power exceeds `cap_watts`. A gap in
    which the cap allows a whole range may hide a wrap. A suspended machine loses its counters.
    Each is counted in `breaks`.

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
    last: tuple[float, float, float] | None = field(default=None, repr=False)

    def add(self, raw_joules: float, seconds: float, asleep: float = 0.0) -> None:
        """Take a reading of the raw counter at a monotonic time, which stands still in suspension;
        `asleep` is the time that the machine has spent suspended since its start."""
        if self.last is not None:
            raw_before, before, asleep_before = self.last
            if asleep - asleep_before > _SLEEP_SECONDS:
                self._break(SLEPT)
            else:
                self.joules += self._step(raw_joules - raw_before, seconds - before)
        self.last = (raw_joules, seconds, asleep)

    def _step(self, step: float, seconds: float) -> float:
        """The energy between two readings, given their difference."""
        most = self.cap_watts * (seconds + TICK_SECONDS)
        if step < 0:
            step += self.range_joules
            if step > most or step < 0:
                self._break(RESET)
                step = 0.0
        if most >= self.range_joules:
            self._break(GAP)
        return step

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
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

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
            unwrapper.add(raw, after, _asleep())
            return Reading(
                after, unwrapper.joules, TICK_SECONDS + (after - before),
                unwrapper.breaks, unwrapper.break_reason,
            )  # fmt: skip


@dataclass
class Rapl:
    """The readable counters by scope, the domains that cannot be read, and why none if none.

    `twins` maps a domain that is left out to the one that shows the very same counter.
    `limits_watts` are the power limits of domains, told also where the counter is root's.
    """

    counters: dict[str, RaplCounter] = field(default_factory=dict)
    problems: dict[str, Problem] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)
    limits_watts: dict[str, float] = field(default_factory=dict)

    @property
    def skipped(self) -> dict[str, Problem]:
        """The domains that are left out because another one counts them, with the reason."""
        return {
            scope: Problem(f"it shows the very counter of {twin}, which counts it already")
            for scope, twin in self.twins.items()
        }


def is_inner(scope: str) -> bool:
    """The scope is a part of another one (the cores of a package), so no sum may take both.

    >>> is_inner("cpu-core:0"), is_inner("dram:0")
    (True, False)
    """
    return scope.startswith("cpu-core")


def open_rapl(root: Path = POWERCAP_ROOT, cpuinfo: Path = CPUINFO) -> Rapl:
    """Find the domains below `root`; a package that appears twice is counted once."""
    amd = "AuthenticAMD" in (_text(cpuinfo) or "")[:4096]
    found = Rapl()
    zones = _zones(Path(root))
    if not zones:
        found.problems["cpu-package"] = _nothing(Path(root))
        return found
    for scope in sorted(zones, key=is_inner):  # a package comes before what lies inside it
        limit = _limit_watts(zones[scope])
        counter = _open(scope, zones[scope], limit, amd)
        if isinstance(counter, Problem):
            found.problems[scope] = counter
        elif (twin := _twin(counter, found)) is not None:
            found.twins[scope] = twin
            continue
        else:
            found.counters[scope] = counter
        if limit is not None:
            found.limits_watts[scope] = limit
    return found


def _zones(root: Path) -> dict[str, Path]:
    """The domains by scope. `intel-rapl-mmio` repeats the packages of `intel-rapl`, so of two
    with one name the first in this order stays."""
    folders = sorted(_listed(root), key=lambda folder: ("mmio" in folder.name, folder.name))
    names = {folder.name: _text(folder / "name") for folder in folders}
    zones: dict[str, Path] = {}
    for folder in folders:
        parent = names.get(folder.name.rpartition(":")[0]) or names[folder.name]
        label = (parent or "").removeprefix("package-")
        kind = _KINDS.get((names[folder.name] or "").partition("-")[0])
        if kind is not None:
            zones.setdefault(f"{kind}:{label}", folder)
    return zones


def _open(scope: str, path: Path, limit: float | None, amd: bool) -> RaplCounter | Problem:
    try:
        most = joules_from_microjoules(int((path / "max_energy_range_uj").read_text()))
        int((path / "energy_uj").read_text())
    except (OSError, ValueError) as error:
        return _unreadable(scope, error)
    if most <= 0:
        return Problem(f"{scope} states no range, so its wraps cannot be undone")
    cap = CAP_OVER_LIMIT * (HIGHEST_PACKAGE_WATTS if limit is None else limit)
    # powercap reads AMD's core counter on one CPU of the package only
    flags = ("one-core",) if is_inner(scope) and amd else ()
    facts = Facts(scope, METHOD, cap, limit is None, None, flags)
    return RaplCounter(path, facts, Unwrapper(most, cap), limit)


def _twin(counter: RaplCounter, found: Rapl) -> str | None:
    """The scope that shows the very same counter (some AMD parts repeat a package), else None.

    Read in the order other, this, other: a mirror's value lies between the two, three times over;
    counters of their own have run apart since boot by far more than a read takes. Cores draw
    nothing while they sleep, so theirs are told by their package.
    """
    kind, _, label = counter.facts.scope.partition(":")
    if is_inner(counter.facts.scope):
        package = found.twins.get(f"cpu-package:{label}")
        return package and f"{kind}:{package.partition(':')[2]}"
    for scope, other in found.counters.items():
        if scope.partition(":")[0] == kind and all(
            _between(other.path, counter.path) for _ in range(3)
        ):
            return scope
    return None


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
    if any(folder.is_symlink() and not folder.exists() for folder in _listed(root)):
        return Problem(
            f"{root} lists RAPL domains but they are hidden here, as container runtimes do",
            "start the container with docker run --security-opt systempaths=unconfined, or podman "
            "run --security-opt unmask=/sys/devices/virtual/powercap",
        )
    return Problem(
        f"no CPU energy counter was found: {root} holds no RAPL domain (usual in virtual machines "
        "and containers; then measure on the machine itself)",
        "sudo modprobe intel_rapl_msr",  # serves AMD as well
    )


def _listed(root: Path) -> list[Path]:
    """The domains that `root` lists, whether or not they can be opened."""
    if not root.is_dir():
        return []
    return [folder for folder in root.iterdir() if re.search(r":\d+$", folder.name)]


def _asleep() -> float:
    """How long the machine has been suspended since it started, in seconds; 0 if not told."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return 0.0 if clock is None else time.clock_gettime(clock) - time.monotonic()


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
