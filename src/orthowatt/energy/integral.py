"""Energy as the integral of power readings, with the time that no reading speaks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class PowerIntegral:
    """Adds up power readings, of which each is the mean over `window_seconds` before it.

    Readings closer together than that follow the power, and the trapezoid between them errs by
    at most the cap times h² / (4 window) for a gap h. A longer gap is filled with the reading at
    its end, which speaks for its own window only; the rest is `uncovered_seconds`, in which the
    power is not known. So lost readings never lower the mean: they lower the coverage.

    >>> integral = PowerIntegral(window_seconds=1.0)
    >>> for second in (0.0, 0.5, 1.0, 4.0):
    ...     integral.add(second, 300.0)
    >>> integral.joules, integral.uncovered_seconds
    (1200.0, 2.625)
    """

    window_seconds: float
    joules: float = 0.0
    uncovered_seconds: float = 0.0
    last: tuple[float, float] | None = None

    def add(self, seconds: float, watts: float) -> None:
        """Take a reading of `watts` at a monotonic time; only a later one counts."""
        if self.last is None:
            self.last = (seconds, watts)
            return
        before, watts_before = self.last
        gap, window = seconds - before, self.window_seconds
        if gap <= 0:
            return
        if gap < window:
            self.joules += gap * (watts_before + watts) / 2
            self.uncovered_seconds += gap * gap / (4 * window)
        else:
            self.joules += gap * watts
            self.uncovered_seconds += gap - window / 2
        self.last = (seconds, watts)
