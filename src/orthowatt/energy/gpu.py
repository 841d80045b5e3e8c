"""A GPU's energy counter: reading it at any moment or at the edge of its tick."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .counter import Facts, Reading
from .nvml import GpuDevice, Nvml
from .problem import Problem
from .units import joules_from_millijoules

METHOD = "nvml-energy-counter"
#: NVML's stated accuracy of power readings, ±5 %.
SENSOR_RELATIVE = 0.05
#: The slowest tick known, for a counter whose own could not be timed.
SLOWEST_TICK_SECONDS = 0.1
#: No board draws more (B300: 1,400 W), for a driver that tells no limit.
HIGHEST_BOARD_WATTS = 1400.0
CAP_OVER_LIMIT = 1.1
_POLL_SECONDS = 2e-4
_CALIBRATION_SECONDS = 0.5
_CALIBRATION_TICKS = 3


@dataclass
class GpuCounter:
    """One GPU's counter with its measured tick; open it with `open_counter`."""

    nvml: Nvml
    device: GpuDevice
    facts: Facts
    limit_watts: float | None
    tick_seconds: float | None = None

    @property
    def lag_seconds(self) -> float:
        """How old the counter's value may be when it is read at any moment."""
        return SLOWEST_TICK_SECONDS if self.tick_seconds is None else self.tick_seconds

    def poll(self) -> _Poll:
        """Ask the counter once."""
        before = time.monotonic()
        millijoules, problem = self.nvml.call(
            "nvmlDeviceGetTotalEnergyConsumption", self.device.handle
        )
        after = time.monotonic()
        joules = None if problem else joules_from_millijoules(millijoules)
        return _Poll(before, after, joules, problem)

    def read(self) -> Reading:
        """The counter now, up to a tick old."""
        return self.reading(self.poll())

    def reading(self, poll: _Poll, lag: float | None = None, *flags: str) -> Reading:
        """A poll as a `Reading`; without `lag` it may be a whole tick old."""
        if poll.problem is not None:
            text = f"the energy counter of {self.device.scope} failed: {poll.problem.sentence}"
            return Reading(poll.after, None, problem=text)
        if lag is None:
            lag = self.lag_seconds + (poll.after - poll.before)
            if self.tick_seconds is None:
                flags += ("tick-assumed",)
        return Reading(poll.after, poll.joules, lag, flags=flags)


@dataclass(frozen=True)
class _Poll:
    before: float
    after: float
    joules: float | None
    problem: Problem | None


@dataclass
class _Watch:
    """One counter under watch: its latest poll and the ticks seen as (time before, poll)."""

    counter: GpuCounter
    last: _Poll
    began: float = field(init=False)
    ticks: list[tuple[float, _Poll]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.began = self.last.before

    def poll(self) -> None:
        poll = self.counter.poll()
        if poll.problem is None and self.last.problem is None and poll.joules != self.last.joules:
            # the tick fell between the beginning of the last poll and the end of this one
            self.ticks.append((self.last.before, poll))
        self.last = poll


def _watch(counters: Sequence[GpuCounter], ticks: int, timeout: float) -> list[_Watch]:
    """Poll all counters until each has ticked `ticks` times, failed, or the time is over."""
    watches = [_Watch(counter, counter.poll()) for counter in counters]
    deadline = time.monotonic() + timeout

    def waiting() -> list[_Watch]:
        return [w for w in watches if w.last.problem is None and len(w.ticks) < ticks]

    while (open_watches := waiting()) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        for watch in open_watches:
            watch.poll()
    return watches


def calibrate(counters: Sequence[GpuCounter]) -> None:
    """Time the ticks of all counters at once (at most half a second): the longest seen counts."""
    for watch in _watch(counters, _CALIBRATION_TICKS + 1, _CALIBRATION_SECONDS):
        spans = [
            later.after - before
            for (before, _), (_, later) in zip(watch.ticks, watch.ticks[1:], strict=False)
        ]
        if spans:
            watch.counter.tick_seconds = max(spans)


def read_at_ticks(counters: Sequence[GpuCounter]) -> dict[str, Reading]:
    """Each counter read just after it ticked: the lag shrinks from the tick to a poll's gap.

    A counter that does not tick in time is read as it is, flagged "edge-unaligned".
    """
    if not counters:
        return {}
    timeout = 2 * max(counter.lag_seconds for counter in counters) + 0.01
    readings = {}
    for watch in _watch(counters, 1, timeout):
        counter = watch.counter
        if watch.ticks:
            before, poll = watch.ticks[0]
            if counter.tick_seconds is not None:
                # waiting longer than the tick believed so far proves that it is longer
                counter.tick_seconds = max(counter.tick_seconds, before - watch.began)
            readings[counter.device.scope] = counter.reading(poll, poll.after - before)
        else:
            # the tick is longer than believed, or nothing was drawn: the value may be this old
            age = watch.last.after - watch.began + counter.lag_seconds
            readings[counter.device.scope] = counter.reading(watch.last, age, "edge-unaligned")
    return readings


def open_counter(nvml: Nvml, device: GpuDevice) -> GpuCounter | Problem:
    """The counter of a device, or why it cannot be read."""
    if device.mig:
        return Problem(
            f"{device.scope} is in MIG mode, and NVML cannot measure the energy of a MIG slice",
            f"sudo nvidia-smi -i {device.index} -mig 0",
        )
    limit = nvml.limit_watts(device.handle)
    cap = CAP_OVER_LIMIT * (HIGHEST_BOARD_WATTS if limit is None else limit)
    facts = Facts(device.scope, METHOD, cap, limit is None, SENSOR_RELATIVE)
    counter = GpuCounter(nvml, device, facts, limit)
    problem = counter.poll().problem
    if problem is not None:
        text = f"the energy counter of {device.scope} cannot be read: {problem.text}"
        return Problem(text, problem.mend, problem.code)
    return counter
