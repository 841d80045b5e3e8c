"""Reading energy counters at the edges of their ticks, and timing the ticks."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from .counter import Reading
from .gpu import GpuCounter, Poll

_POLL_SECONDS = 2e-4
_CALIBRATION_SECONDS = 0.5
_CALIBRATION_TICKS = 3


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

    Of the ticks the longest seen counts, of the reads the median.
    """
    for watch in _watch(counters, _CALIBRATION_TICKS + 1, _CALIBRATION_SECONDS):
        spans = [
            later.after - before
            for (before, _), (_, later) in zip(watch.ticks, watch.ticks[1:], strict=False)
        ]
        if spans:
            watch.counter.tick_seconds = max(spans)
        if watch.costs:
            watch.counter.read_seconds = statistics.median(watch.costs)


def read_at_ticks(counters: Sequence[GpuCounter]) -> dict[str, Reading]:
    """Each counter read just after it ticked: the lag shrinks from the tick to a poll's gap.

    A counter that does not tick in time is read as it is, flagged "edge-unaligned".
    """
    if not counters:
        return {}
    timeout = 2 * max(counter.lag_seconds for counter in counters) + 0.01
    return {watch.counter.facts.scope: _at_tick(watch) for watch in _watch(counters, 1, timeout)}


def _at_tick(watch: _Watch) -> Reading:
    counter = watch.counter
    if not watch.ticks:
        # the tick is longer than believed, or nothing was drawn: the value may be this old
        age = watch.last.after - watch.began + counter.lag_seconds
        return counter.reading(watch.last, age, "edge-unaligned")
    before, poll = watch.ticks[0]
    if counter.tick_seconds is not None:
        # waiting longer than the tick believed so far proves that it is longer
        counter.tick_seconds = max(counter.tick_seconds, before - watch.began)
    return counter.reading(poll, poll.after - before)
