"""What a GPU did during a window: power, temperature, clocks, memory, other processes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .trace import Trace

#: Why a GPU clocks lower than it could, by NVML's bits; idling and set clocks are no throttling.
THROTTLE_REASONS = {
    0x04: "software power cap",
    0x08: "hardware slowdown",
    0x10: "sync boost",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
    0x200: "board limit",
    0x400: "reliability",
}
#: The integral of the power may differ by this from the counter without being flagged.
INTEGRAL_TOLERANCE = 0.02


@dataclass(frozen=True)
class DeviceStats:
    """One GPU during one window, or several that followed each other; None where not told.

    `mean_watts` and `integral_joules` are of the power readings, not of the counter;
    `integral_over_counter` is their ratio to it, less 1, and `smear_joules` what the averaging of
    the readings may have moved over the window's edges. `coverage` is the part of the time that
    the readings speak for. `foreign_processes` is the most seen at once.
    """

    seconds: float
    polls: int
    coverage: float | None = None
    mean_watts: float | None = None
    lowest_watts: float | None = None
    highest_watts: float | None = None
    instant_mean_watts: float | None = None
    integral_joules: float | None = None
    integral_over_counter: float | None = None
    smear_joules: float | None = None
    temperature_start_celsius: float | None = None
    temperature_end_celsius: float | None = None
    temperature_highest_celsius: float | None = None
    sm_clock_mhz: float | None = None
    sm_clock_lowest_mhz: float | None = None
    memory_clock_mhz: float | None = None
    throttle_reasons: tuple[str, ...] | None = None
    memory_highest_bytes: float | None = None
    foreign_processes: int | None = None

    def disagrees(self, counter_joules: float | None, bound_joules: float | None) -> bool:
        """The integral lies beyond 2 % of the counter, what the edges may explain aside.

        >>> DeviceStats(10.0, 100, integral_joules=1000.0, smear_joules=5.0).disagrees(900.0, 1.0)
        True
        """
        if counter_joules is None or self.integral_joules is None:
            return False
        edges = (self.smear_joules or 0.0) + (bound_joules or 0.0)
        return (
            abs(self.integral_joules - counter_joules) > INTEGRAL_TOLERANCE * counter_joules + edges
        )

    def __add__(self, later: DeviceStats) -> DeviceStats:
        """Both, one after the other: means weighted by time, extremes and sums of the whole."""

        def mean(name: str) -> float | None:
            parts = [(getattr(part, name), part.seconds) for part in (self, later)]
            told = [(value, seconds) for value, seconds in parts if value is not None]
            total = sum(seconds for _, seconds in told)
            return sum(v * s for v, s in told) / total if total else None

        def best(name: str, choose: Any) -> Any:
            told = [v for part in (self, later) if (v := getattr(part, name)) is not None]
            return choose(told) if told else None

        def both(name: str) -> float | None:
            values = (getattr(self, name), getattr(later, name))
            return None if None in values else sum(values)

        reasons = [r for r in (self.throttle_reasons, later.throttle_reasons) if r is not None]
        end = later.temperature_end_celsius
        return DeviceStats(
            seconds=self.seconds + later.seconds,
            polls=self.polls + later.polls,
            coverage=mean("coverage"),
            mean_watts=mean("mean_watts"),
            lowest_watts=best("lowest_watts", min),
            highest_watts=best("highest_watts", max),
            instant_mean_watts=mean("instant_mean_watts"),
            integral_joules=both("integral_joules"),
            integral_over_counter=mean("integral_over_counter"),
            smear_joules=both("smear_joules"),
            temperature_start_celsius=self.temperature_start_celsius,
            temperature_end_celsius=self.temperature_end_celsius if end is None else end,
            temperature_highest_celsius=best("temperature_highest_celsius", max),
            sm_clock_mhz=mean("sm_clock_mhz"),
            sm_clock_lowest_mhz=best("sm_clock_lowest_mhz", min),
            memory_clock_mhz=mean("memory_clock_mhz"),
            throttle_reasons=tuple(sorted({r for one in reasons for r in one}))
            if reasons
            else None,
            memory_highest_bytes=best("memory_highest_bytes", max),
            foreign_processes=best("foreign_processes", max),
        )

    def to_dict(self) -> dict[str, Any]:
        """The values as JSON-ready ones, null where not told."""
        reasons = self.throttle_reasons
        return {**vars(self), "throttle_reasons": None if reasons is None else list(reasons)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> DeviceStats:
        """Rebuild what `to_dict` gave."""
        reasons = values.get("throttle_reasons")
        return cls(**{**values, "throttle_reasons": None if reasons is None else tuple(reasons)})


def device_stats(
    trace: Trace, start: float, end: float, counter_joules: float | None
) -> DeviceStats:
    """What `trace` tells of the time from `start` to `end` (monotonic seconds)."""
    seconds = max(0.0, end - start)
    fast, slow = trace.between(start, end), trace.slow_between(start, end)
    temperatures, bits = slow["temperature_celsius"], slow["throttle_bits"]
    foreign, memory = slow["foreign_processes"], slow["memory_bytes"]
    powers = fast["average_watts"] or fast["instant_watts"]
    joules, coverage = _integral(trace, start, end)
    smear = None
    if joules is not None:
        # a mean over the time before a reading may carry this much over an edge of the window
        span = (max(powers) - min(powers)) if powers else 0.0
        smear = span * (trace.integral.window_seconds / 2 + 0.1)
    return DeviceStats(
        seconds=seconds,
        polls=len(fast["seconds"]),
        coverage=coverage,
        mean_watts=joules / seconds if joules is not None and seconds else None,
        lowest_watts=min(powers, default=None),
        highest_watts=max(powers, default=None),
        instant_mean_watts=_mean(fast["instant_watts"]),
        integral_joules=joules,
        integral_over_counter=joules / counter_joules - 1
        if joules is not None and counter_joules
        else None,
        smear_joules=smear,
        temperature_start_celsius=temperatures[0] if temperatures else None,
        temperature_end_celsius=temperatures[-1] if temperatures else None,
        temperature_highest_celsius=max(temperatures, default=None),
        sm_clock_mhz=_mean(slow["sm_clock_mhz"]),
        sm_clock_lowest_mhz=min(slow["sm_clock_mhz"], default=None),
        memory_clock_mhz=_mean(slow["memory_clock_mhz"]),
        throttle_reasons=_reasons(bits) if bits else None,
        memory_highest_bytes=max(memory, default=None),
        foreign_processes=int(max(foreign)) if foreign else None,
    )


def _integral(trace: Trace, start: float, end: float) -> tuple[float | None, float | None]:
    """Joules and coverage of the power readings; None for both where there are none."""
    with trace.lock:
        before, after = trace.integral_at(start), trace.integral_at(end)
    if before is None or after is None or end <= start:
        return None, None
    coverage = 1.0 - (after[1] - before[1]) / (end - start)
    return max(0.0, after[0] - before[0]), min(1.0, max(0.0, coverage))


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _reasons(bits: Sequence[float]) -> tuple[str, ...]:
    seen = 0
    for value in set(bits):
        seen |= int(value)
    return tuple(sorted(name for bit, name in THROTTLE_REASONS.items() if seen & bit))
