"""NVML on virtual time: the calls of nvidia-ml-py over traces with a known integral.

The meter's own code runs unchanged on it, from its driver session upwards, so that thousands of
windows of seconds take seconds.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from types import SimpleNamespace

from orthowatt.energy import EnergyMeter
from orthowatt.energy.nvml import Nvml


class VirtualClock:
    """Time that passes only by `sleep` and by calls; a sleep may last longer than asked for."""

    def __init__(self, seed: int = 0, overshoot: float = 0.0) -> None:
        self.time = 100.0
        self.random = Random(seed)
        self.overshoot = overshoot
        self._tasks: list[list] = []
        self._inside = False

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.to(self.time + seconds + self.random.uniform(0.0, self.overshoot))

    def to(self, end: float) -> None:
        """Let time pass, and do on the way what runs in the background."""
        while not self._inside and self._tasks:
            task = min(self._tasks, key=lambda entry: entry[1])
            if task[1] > end:
                break
            self.time = max(self.time, task[1])
            self._inside = True
            pause = task[0]()
            self._inside = False
            if pause is None:
                self._tasks = [entry for entry in self._tasks if entry is not task]
            else:
                task[1] = self.time + max(pause, 1e-6)
        self.time = max(self.time, end)

    def background(self, task: Callable[[], float | None]) -> Callable[[], None]:
        entry = [task, self.time]
        self._tasks.append(entry)

        def end() -> None:
            self._tasks = [other for other in self._tasks if other is not entry]

        return end


class Power:
    """A trace of (seconds, watts) that repeats, and its exact integral."""

    def __init__(self, trace) -> None:
        self.ends = list(itertools.accumulate(seconds for seconds, _ in trace))
        self.watts = [watts for _, watts in trace]
        self.sums = list(itertools.accumulate(seconds * watts for seconds, watts in trace))

    def upto(self, time: float) -> float:
        cycles, left = divmod(time, self.ends[-1])
        at = min(bisect.bisect_right(self.ends, left), len(self.ends) - 1)
        before = (self.ends[at - 1], self.sums[at - 1]) if at else (0.0, 0.0)
        return cycles * self.sums[-1] + before[1] + (left - before[0]) * self.watts[at]

    def joules(self, start: float, end: float) -> float:
        return self.upto(end) - self.upto(start)


@dataclass
class Board:
    """One GPU: `events` are (time, "reset" | "error" | "power" | "lost", NVML code); `mean` and
    `instant` the seconds that the power readings average over (0: none), `renewed` how often.
    `fields`: it has the newer power fields. With `spans` the counter's ticks are that many seconds apart, over and over."""

    uuid: str
    power: Power
    tick: float = 0.1
    phase: float = 0.0
    limit: float | None = 700.0
    offset: float = 5000.0
    events: list[tuple[float, str, int]] = field(default_factory=list)
    counter: bool = True
    mean: float = 1.0
    instant: float = 0.025
    renewed: float = 0.1
    name: str = "NVIDIA H100 80GB HBM3"
    spans: tuple[float, ...] = ()
    architecture: int = 9
    fields: bool = True

    def __post_init__(self) -> None:
        self.edges = [0.0, *itertools.accumulate(self.spans or (self.tick,))]

    def error(self, now: float, *kinds: str) -> int:
        """The code of an event of these kinds that has happened, 0 if none."""
        return max(
            (code for at, kind, code in self.events if kind in kinds and at <= now), default=0
        )

    def millijoules(self, now: float) -> int:
        cycles, left = divmod(now - self.phase, self.edges[-1])
        edge = self.edges[bisect.bisect_right(self.edges, left) - 1]
        ticked = cycles * self.edges[-1] + edge + self.phase
        resets = [at for at, kind, _ in self.events if kind == "reset" and at <= ticked]
        if resets:
            return int(1000 * self.power.joules(max(resets), ticked))
        return int(1000 * (self.offset + self.power.upto(ticked)))

    def milliwatts(self, now: float, seconds: float) -> int:
        at = math.floor(now / self.renewed) * self.renewed if self.renewed else now
        return int(1000 * self.power.joules(at - seconds, at) / seconds)


class NVMLError(Exception):
    def __init__(self, value: int) -> None:
        super().__init__(f"error {value}")
        self.value = value


class Library:
    """The calls of nvidia-ml-py that the meter makes; each takes `cost` seconds."""

    NVMLError = NVMLError

    def __init__(self, clock: VirtualClock, boards: list[Board], cost: float = 2e-5) -> None:
        self.clock, self.boards, self.cost = clock, boards, cost

    def nvmlInit(self) -> None:
        pass

    def nvmlShutdown(self) -> None:
        pass

    def nvmlDeviceGetCount(self) -> int:
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Board:
        return self.boards[index]

    def nvmlDeviceGetUUID(self, board: Board) -> str:
        return board.uuid

    def nvmlDeviceGetName(self, board: Board) -> str:
        return board.name

    def nvmlDeviceGetArchitecture(self, board: Board) -> int:
        return board.architecture

    def nvmlDeviceGetEnforcedPowerLimit(self, board: Board) -> int:
        if board.limit is None:
            raise NVMLError(3)
        return round(1000 * board.limit)

    def nvmlDeviceGetTotalEnergyConsumption(self, board: Board) -> int:
        now = self._now(board, "error", "lost")
        if not board.counter:
            raise NVMLError(3)
        return board.millijoules(now)

    def nvmlDeviceGetFieldValues(self, board: Board, fields):
        now = self._now(board, "power", "lost")
        if not board.fields:
            raise NVMLError(3)
        spans = {185: board.mean, 186: board.instant}
        return [
            SimpleNamespace(
                nvmlReturn=0 if spans[field] else 3,
                value=SimpleNamespace(
                    uiVal=board.milliwatts(now, spans[field]) if spans[field] else 0
                ),
            )
            for field in fields
        ]

    def nvmlDeviceGetPowerUsage(self, board: Board) -> int:
        now = self._now(board, "power", "lost")
        if not board.mean:
            raise NVMLError(3)
        return board.milliwatts(now, board.mean)

    def _now(self, board: Board, *kinds: str) -> float:
        # the background runs in sleeps only: inside a call the caller may hold a lock
        self.clock.time += self.cost * self.clock.random.uniform(0.5, 1.5)
        code = board.error(self.clock.time, *kinds)
        if code:
            raise NVMLError(code)
        return self.clock.time


def metered(clock: VirtualClock, *boards: Board, cost: float = 2e-5, **options) -> EnergyMeter:
    """A meter of simulated boards alone."""
    nvml = Nvml(Library(clock, list(boards), cost), clock)
    return EnergyMeter("gpu", nvml=nvml, powercap_root="/nonexistent", **options)


def truth(board: Board, window) -> float:
    """The true energy of a window's readings of a board."""
    scope = f"gpu:{board.uuid}"
    start = window.readings()[scope].seconds
    return board.power.joules(start, start + window.energies[scope].seconds)


def random_power(random: Random, highest: float = 770.0) -> Power:
    """Idle, full, switched or anything in between: 0 ≤ P ≤ `highest`."""
    levels = (0.0, 60.0, 0.9 * highest, highest)
    return Power(
        [
            (
                random.uniform(0.005, 0.4),
                random.choice([random.choice(levels), random.uniform(0.0, highest)]),
            )
            for _ in range(random.randint(1, 7))
        ]
    )
