"""What the sampler has read of one GPU: every poll, in columns, with the running integral."""

from __future__ import annotations

import bisect
import math
import threading
from array import array
from typing import Any

from .integral import PowerIntegral

#: Columns of the fast polls (10 a second) and of the slow ones (1 a second), with their units.
FAST = ("seconds", "counter_joules", "average_watts", "instant_watts")
SLOW = (
    "seconds", "temperature_celsius", "sm_clock_mhz", "memory_clock_mhz", "throttle_bits",
    "memory_bytes", "foreign_processes", "limit_watts",
)  # fmt: skip


class Trace:
    """The polls of one GPU; what a poll was not told is not-a-number, never 0.

    `integral` runs along. One thread writes, any may read.
    """

    def __init__(self, window_seconds: float | None) -> None:
        self.lock = threading.RLock()
        self.fast = {name: array("d") for name in FAST}
        self.slow = {name: array("d") for name in SLOW}
        self.integral = PowerIntegral(window_seconds or 1.0)
        # the integral at each poll that told a power: time, joules, uncovered seconds, watts
        self._sums = [array("d") for _ in range(4)]

    def add(self, seconds: float, counter: float, average: float, instant: float) -> None:
        """Take one fast poll."""
        with self.lock:
            for name, value in zip(FAST, (seconds, counter, average, instant), strict=True):
                self.fast[name].append(value)
            watts = instant if math.isnan(average) else average
            if not math.isnan(watts):
                self.integral.add(seconds, watts)
                sums = (seconds, self.integral.joules, self.integral.uncovered_seconds, watts)
                for column, value in zip(self._sums, sums, strict=True):
                    column.append(value)

    def add_slow(self, *values: float) -> None:
        """Take one slow poll, in the order of `SLOW`."""
        with self.lock:
            for name, value in zip(SLOW, values, strict=True):
                self.slow[name].append(value)

    def integral_at(self, seconds: float) -> tuple[float, float] | None:
        """Joules and uncovered seconds up to a time; the first and last readings are carried on."""
        times, joules, uncovered, watts = self._sums
        if not times:
            return None
        after = bisect.bisect_right(times, seconds)
        if after == 0:
            gap = times[0] - seconds
            return joules[0] - gap * watts[0], uncovered[0] - gap
        if after == len(times):
            gap = seconds - times[-1]
            return joules[-1] + gap * watts[-1], uncovered[-1] + self._carried(gap)
        share = (seconds - times[after - 1]) / (times[after] - times[after - 1])
        return (
            joules[after - 1] + share * (joules[after] - joules[after - 1]),
            uncovered[after - 1] + share * (uncovered[after] - uncovered[after - 1]),
        )

    def _carried(self, gap: float) -> float:
        window = self.integral.window_seconds
        return gap * gap / (2 * window) if gap < window else gap - window / 2

    def between(self, start: float, end: float) -> dict[str, list[float]]:
        """The fast columns from `start` to `end`, what was not told left out."""
        with self.lock:
            first = bisect.bisect_left(self.fast["seconds"], start)
            last = bisect.bisect_right(self.fast["seconds"], end)
            return {
                name: [v for v in column[first:last] if not math.isnan(v)]
                for name, column in self.fast.items()
            }

    def slow_between(self, start: float, end: float) -> dict[str, list[float]]:
        """The slow columns from the last poll before `start` to `end`, what was not told left out.

        So the first value is the one in force at the start, and a window between two polls has it.
        """
        with self.lock:
            times = self.slow["seconds"]
            last = bisect.bisect_right(times, end)
            first = max(0, bisect.bisect_right(times, start) - 1)
            if last == 0 and times:
                last = 1
            return {
                name: [v for v in column[first:last] if not math.isnan(v)]
                for name, column in self.slow.items()
            }

    def to_arrays(self) -> dict[str, Any]:
        """Every poll as NumPy arrays: `fast/<column>` and `slow/<column>`, float64."""
        import numpy as np

        with self.lock:
            parts = (("fast", self.fast), ("slow", self.slow))
            return {
                f"{kind}/{name}": np.array(column, dtype=np.float64)
                for kind, columns in parts
                for name, column in columns.items()
            }
