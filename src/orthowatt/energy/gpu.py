"""A GPU's energy: its counter, or on boards without one the integral of its power."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass, field

from .boards import HIGHEST_BOARD_WATTS, board_watts
from .bounds import CAP_OVER_LIMIT
from .counter import Facts, Reading
from .nvml import NOT_OFFERED, GpuDevice, Nvml
from .power import PowerSensor, open_power
from .problem import Problem
from .sampler import GpuSampler
from .units import joules_from_millijoules

METHOD = "nvml-energy-counter"
INTEGRAL_METHOD = "nvml-power-integral"
#: NVML's stated accuracy of power readings, ±5 %.
SENSOR_RELATIVE = 0.05
#: The slowest tick known, for a counter whose own could not be timed; power readings are renewed
#: at least as often.
SLOWEST_TICK_SECONDS = 0.1
#: A counter that stands still for longer has no such tick: its board sleeps or its sensor fails.
_STANDING_SECONDS = 1.0
RESET = (
    "the energy counter went back during the window (the driver was reloaded or the device "
    "reset); measure again"
)


@dataclass(frozen=True)
class Poll:
    """One answer of a counter, between two times; `breaks` as in `Reading`."""

    before: float
    after: float
    joules: float | None
    problem: Problem | None
    breaks: int = 0


class _Board:
    """What both kinds of GPU meters share: the device's facts, kept up with what was seen."""

    facts: Facts

    @property
    def limit_watts(self) -> float | None:
        """The enforced power limit in W, None where the driver tells none."""
        return self.facts.limit_watts

    def seen(self, watts: float, limit_watts: float) -> None:
        """Raise the cap where this power or this enforced limit was seen (in W, or NaN).

        A power above the cap of a known limit is flagged: the bound rests on there being none.
        """
        facts = self.facts
        if facts.limit_watts is not None:
            if limit_watts > facts.limit_watts:  # somebody raised it meanwhile
                cap = CAP_OVER_LIMIT * limit_watts
                flags = tuple(flag for flag in facts.flags if flag != "cap-exceeded")
                self.facts = dataclasses.replace(
                    facts, cap_watts=cap, limit_watts=limit_watts, flags=flags
                )
            elif watts > facts.cap_watts and "cap-exceeded" not in facts.flags:
                self.facts = dataclasses.replace(facts, flags=(*facts.flags, "cap-exceeded"))
        elif CAP_OVER_LIMIT * watts > facts.cap_watts:
            cap = CAP_OVER_LIMIT * watts
            self.facts = dataclasses.replace(facts, cap_watts=cap, cap_from="highest seen")


@dataclass
class GpuCounter(_Board):
    """One GPU's energy counter with its measured tick and read cost.

    `stood_seconds` is the longest time for which it was seen not to move: a tick timed shorter
    than that was timed wrong.
    """

    nvml: Nvml
    device: GpuDevice
    facts: Facts
    tick_seconds: float | None = None
    read_seconds: float | None = None
    breaks: int = 0
    last_joules: float | None = None
    stood_seconds: float = 0.0
    stands_since: float = 0.0
    # reentrant: a signal handler may close a window while this thread reads
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def lag_seconds(self) -> float:
        """How old the counter's value may be when it is read at any moment."""
        tick, stood = self.tick_seconds, self.stood_seconds
        if tick is None or stood > 1.1 * tick:
            tick = SLOWEST_TICK_SECONDS
        return max(tick, stood)

    def poll(self) -> Poll:
        """Ask the counter once; a value below an earlier one counts as a break."""
        clock = self.nvml.clock
        with self.lock:  # two threads must not take the values in the wrong order
            before = clock.now()
            millijoules, problem = self.nvml.call(
                "nvmlDeviceGetTotalEnergyConsumption", self.device.handle
            )
            after = clock.now()
            if problem is not None:
                return Poll(before, after, None, problem, self.breaks)
            joules = joules_from_millijoules(millijoules)
            if self.last_joules is not None and joules < self.last_joules:
                self.breaks += 1
            if joules != self.last_joules:
                self.stands_since = after
            elif before - self.stands_since <= _STANDING_SECONDS:
                self.stood_seconds = max(self.stood_seconds, before - self.stands_since)
            self.last_joules = joules
            return Poll(before, after, joules, None, self.breaks)

    def read(self) -> Reading:
        """The counter now, up to a tick old."""
        return self.reading(self.poll())

    def reading(self, poll: Poll, lag: float | None = None, *flags: str) -> Reading:
        """A poll as a `Reading`; without `lag` it may be a whole tick old."""
        broken = {"breaks": poll.breaks, "break_reason": RESET if poll.breaks else None}
        if poll.problem is not None:
            text = f"the energy counter of {self.facts.scope} failed: {poll.problem.sentence}"
            return Reading(
                poll.after, None, self.lag_seconds, problem=text, last_joules=self.last_joules,
                **broken,
            )  # fmt: skip
        if lag is None:
            lag = self.lag_seconds + (poll.after - poll.before)
            if self.tick_seconds is None:
                flags += ("tick-assumed",)
        return Reading(poll.after, poll.joules, lag, flags=flags, **broken)


@dataclass
class GpuIntegral(_Board):
    """One GPU's energy where it has no counter: the sampler's integral of its power."""

    nvml: Nvml
    device: GpuDevice
    facts: Facts
    power: PowerSensor
    sampler: GpuSampler
    tick_seconds: None = None
    read_seconds: float | None = None

    @property
    def lag_seconds(self) -> float:
        """How far an edge may be off: half the time a reading averages over, and its renewal."""
        return self.power.window_seconds / 2 + SLOWEST_TICK_SECONDS

    def read(self) -> Reading:
        """The integral up to now, with a reading of the power taken for it."""
        poll = self.sampler.poll()
        trace = self.sampler.trace
        if poll.problem is not None:
            text = f"the power reading of {self.facts.scope} failed: {poll.problem.sentence}"
            return Reading(
                poll.seconds, None, self.lag_seconds, problem=text,
                uncovered_seconds=trace.integral.uncovered_seconds,
                last_joules=trace.integral.joules,
            )  # fmt: skip
        joules, uncovered = trace.integral.joules, trace.integral.uncovered_seconds
        return Reading(poll.seconds, joules, self.lag_seconds, uncovered_seconds=uncovered)


def gpu_facts(nvml: Nvml, device: GpuDevice, method: str) -> Facts:
    """What is known of a GPU: its scope and power limit, and the cap that follows from it."""
    limit = nvml.limit_watts(device.handle)
    highest = board_watts(device.name)
    if limit is not None:
        cap, source = limit, "limit"
    elif highest is not None:
        cap, source = highest, "board table"
    else:
        cap, source = HIGHEST_BOARD_WATTS, "highest board"
    return Facts(
        device.scope, method, CAP_OVER_LIMIT * cap, limit is None, SENSOR_RELATIVE,
        limit_watts=limit, cap_from=source,
    )  # fmt: skip


def open_gpu(
    nvml: Nvml, device: GpuDevice
) -> tuple[GpuCounter | GpuIntegral, GpuSampler] | Problem:
    """A device's meter with its sampler, or why it cannot be measured.

    The counter where there is one; else the integral of the power, where that can be read.
    """
    if device.mig:
        return Problem(
            f"{device.scope} is in MIG mode, and NVML cannot measure the energy of a MIG slice",
            f"sudo nvidia-smi -i {device.index} -mig 0",
        )
    power = open_power(nvml, device)
    sensor = None if isinstance(power, Problem) else power
    sampler = GpuSampler(nvml, device, sensor)
    counter = GpuCounter(nvml, device, gpu_facts(nvml, device, METHOD))
    problem = counter.poll().problem
    if problem is None:
        sampler.count, sampler.metered = (lambda: counter.poll().joules), counter
        return counter, sampler
    if sensor is not None and problem.code in NOT_OFFERED:
        integral = GpuIntegral(
            nvml, device, gpu_facts(nvml, device, INTEGRAL_METHOD), sensor, sampler
        )
        sampler.metered = integral
        return integral, sampler
    text = f"the energy counter of {device.scope} cannot be read: {problem.text}"
    return Problem(text, problem.mend, problem.code)
