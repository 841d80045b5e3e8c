"""Reading energy counters at the edges of their ticks, and timing the ticks."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from .counter import Reading
from .gpu import SLOWEST_TICK_SECONDS, GpuCounter, Poll
from .keeper import Keeper

_POLL_SECONDS = 2e-4
_CALIBRATION_SECONDS = 0.5
_CALIBRATION_TICKS = 3
_LONGEST_WAIT_SECONDS = 0.25
_CHECK_SECONDS = 1.0
#: Ticks of which one is so many times as long as another have no period.
_IRREGULAR = 1.25


@dataclass
class _Watch:
    """One counter under watch: its latest poll and the ticks seen as (time before, poll)."""

    counter: GpuCounter
    last: Poll
    began: float = field(init=False)
    ticks: list[tuple[float, Poll]] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.last.before

    def poll(self) -> None:
        poll = self.counter.poll()
        if poll.problem is None and self.last.problem is None and poll.joules != self.last.joules:
            # the tick fell between the beginning of the last poll and the end of this one
            self.ticks.append((self.last.before, poll))
        self.last = poll
        self.costs.append(poll.after - poll.before)


def _watch(counters: Sequence[GpuCounter], ticks: int, timeout: float) -> list[_Watch]:
    """Poll all counters until each has ticked `ticks` times, failed, or the time is over."""
    watches = [_Watch(counter, counter.poll()) for counter in counters]
    if not watches:
        return []
    clock = counters[0].nvml.clock
    deadline = clock.now() + timeout

    def waiting() -> list[_Watch]:
        return [w for w in watches if w.last.problem is None and len(w.ticks) < ticks]

    while (open_watches := waiting()) and clock.now() < deadline:
        clock.sleep(_POLL_SECONDS)
        for watch in open_watches:
            watch.poll()
    return watches


def calibrate(counters: Sequence[GpuCounter]) -> None:
    """Time the ticks and reads of all counters at once, in at most half a second.

    Of the ticks the longest seen counts, of the reads the median. Ticks that are proven to differ
    may get longer still: then the slowest known counts.
    """
    for watch in _watch(counters, _CALIBRATION_TICKS + 1, _CALIBRATION_SECONDS):
        pairs = list(itertools.pairwise(watch.ticks))
        most = [later.after - before for (before, _), (_, later) in pairs]
        least = [before - poll.after for (_, poll), (before, _) in pairs]
        if most:
            irregular = max(least) > _IRREGULAR * min(most)
            watch.counter.tick_seconds = max(*most, SLOWEST_TICK_SECONDS if irregular else 0.0)
        if watch.costs:
            watch.counter.read_seconds = statistics.median(watch.costs)


class TickCheck:
    """Reads a counter twice a second, a little more than its tick apart.

    Where it stands still from one to the other, `GpuCounter.poll` learns that its tick has become
    longer than it was timed.
    """

    def __init__(self, counter: GpuCounter, keeper: Keeper) -> None:
        self._counter = counter
        self._second = False
        self._job = keeper.add(self, _CHECK_SECONDS, elastic=False)

    def __call__(self) -> None:
        self._counter.poll()
        self._second = not self._second
        self._job.period = 1.25 * self._counter.lag_seconds if self._second else _CHECK_SECONDS


def read_at_ticks(counters: Sequence[GpuCounter]) -> dict[str, Reading]:
    """Each counter read just after it ticked: the lag shrinks from the tick to a poll's gap.

    A counter that does not tick in time is read as it is, flagged "edge-unaligned".
    """
    if not counters:
        return {}
    ticks = 2 * max(counter.lag_seconds for counter in counters)
    timeout = min(ticks, _LONGEST_WAIT_SECONDS) + 0.01
    return {watch.counter.facts.scope: _at_tick(watch) for watch in _watch(counters, 1, timeout)}


def _at_tick(watch: _Watch) -> Reading:
    counter = watch.counter
    if not watch.ticks:
        # the tick is longer than believed, or nothing was drawn: the value may be this old
        lag = max(counter.lag_seconds, SLOWEST_TICK_SECONDS)
        return counter.reading(watch.last, watch.last.after - watch.began + lag, "edge-unaligned")
    before, poll = watch.ticks[0]
    return counter.reading(poll, poll.after - before)
