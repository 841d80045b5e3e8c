"""The ratio of two energies as an interval; devices and scopes are not mixed unawares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..errors import InputError
from .quantity import Energy


@dataclass(frozen=True)
class Ratio:
    """A ratio with the interval that the two bounds allow; `high` is infinite where the divisor's
    bound reaches 0; all None with a reason when an energy is unknown."""

    value: float | None
    low: float | None
    high: float | None
    reason: str | None = None


def ratio(numerator: Energy, denominator: Energy, *, across: bool = False) -> Ratio:
    """`numerator` / `denominator` with its interval; both of one scope.

    On one device, measured in one way, the sensor's own relative error cancels and only the
    reading bounds count. With `across=True` different scopes are allowed; then, and between two
    methods, the sensors' errors widen the interval.
    Raises `InputError` for different scopes without `across`, or a divisor of 0 J.

    >>> a = Energy(110.0, "measured", scope="gpu:A", bound_joules=1.0, sensor_relative=0.05)
    >>> b = Energy(100.0, "measured", scope="gpu:A", bound_joules=1.0, sensor_relative=0.05)
    >>> r = ratio(a, b); print(f"{r.value:.2f} in [{r.low:.3f}, {r.high:.3f}]")
    1.10 in [1.079, 1.121]
    """
    if numerator.scope != denominator.scope and not across:
        raise InputError(
            f"energies of {numerator.scope!r} and {denominator.scope!r} are not compared: boards "
            "of one model differ by up to 22 %; measure both on one device, or pass across=True"
        )
    for energy in (numerator, denominator):
        if energy.joules is None:
            return Ratio(None, None, None, energy.reason)
        if energy.bound_joules is None:
            return Ratio(None, None, None, f"the energy of {energy.scope!r} has no bound")
    if denominator.joules == 0:
        raise InputError("a ratio to 0 J is not defined; measure a longer window")
    low, high = _interval(numerator), _interval(denominator)
    value = numerator.joules / denominator.joules  # type: ignore[operator]
    same = numerator.scope == denominator.scope and numerator.method == denominator.method
    widest = (1.0, 1.0) if same else _sensors(numerator, denominator)
    if widest is None:
        return Ratio(value, None, None, "a sensor's own accuracy is not known")
    top = low[1] / high[0] * widest[1] if high[0] > 0 else math.inf
    return Ratio(value, low[0] / high[1] * widest[0], top)


def _interval(energy: Energy) -> tuple[float, float]:
    joules, bound = energy.joules or 0.0, energy.bound_joules or 0.0
    return max(0.0, joules - bound), joules + bound


def _sensors(numerator: Energy, denominator: Energy) -> tuple[float, float] | None:
    first, second = numerator.sensor_relative, denominator.sensor_relative
    if first is None or second is None or second >= 1:
        return None
    return max(0.0, 1 - first) / (1 + second), (1 + first) / (1 - second)
