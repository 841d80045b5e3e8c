"""How small an effect n pairs can show, and how many pairs an effect needs."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from numbers import Integral

import numpy as np

from ..errors import InputError

ALPHA = 0.05
POWER = 0.8
#: Above this many pairs an answer helps nobody; `power` says so instead of searching on.
MOST_PAIRS = 1_000_000


@dataclass(frozen=True)
class Power:
    """A paired, two-sided t test: `n` pairs show a true `effect` with probability `power`.

    `effect` and `spread` (the standard deviation of the paired differences) share one unit.

    >>> found = power(spread=0.02, n=5)
    >>> found.n, found.power, round(found.effect, 4)
    (5, 0.8, 0.0336)
    """

    n: int
    effect: float
    power: float
    spread: float
    alpha: float


def power(
    spread: float,
    *,
    n: int | None = None,
    effect: float | None = None,
    power: float | None = None,
    alpha: float = ALPHA,
) -> Power:
    """Solve the paired t test for what is not given.

    With `n` alone: the smallest effect that n pairs show with probability `power` (0.8 unless
    given); with `effect` alone: the pairs needed; with both: the power they have. `spread` is the
    standard deviation of the paired differences, in the effect's unit. Raises `InputError`.
    Source: the noncentral t distribution.

    >>> power(spread=0.02, effect=0.01).n
    34
    >>> round(power(spread=0.02, n=34).effect, 4)
    0.0099
    """
    _positive("spread", spread)
    if not 0 < alpha < 1:
        raise InputError(f"alpha is {alpha}, but must lie in (0, 1); 0.05 is the custom")
    if n is not None and (not isinstance(n, Integral) or n < 2):
        raise InputError(f"n is {n!r}, but must be a whole number of at least 2 pairs")
    if effect is not None:
        _positive("effect", effect)
    if n is None and effect is None:
        raise InputError("give n (pairs) to learn the smallest effect, or effect to learn n")
    if n is not None and effect is not None:
        if power is not None:
            raise InputError("n, effect and power are all given; leave out the one to be solved")
        return Power(int(n), effect, _power(effect / spread, int(n), alpha), spread, alpha)
    wanted = POWER if power is None else power
    if not alpha < wanted < 1:
        raise InputError(f"power is {wanted}, but must lie between alpha ({alpha}) and 1")
    if effect is not None:
        found = pairs_needed(effect / spread, wanted, alpha)
        if found is None:
            raise InputError(
                f"an effect of {effect:g} at a spread of {spread:g} needs over {MOST_PAIRS:,} "
                "pairs; ask for a larger effect"
            )
        return Power(found, effect, _power(effect / spread, found, alpha), spread, alpha)
    assert n is not None
    return Power(int(n), spread * _smallest(int(n), wanted, alpha), wanted, spread, alpha)


def _positive(name: str, value: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 < value < math.inf):
        raise InputError(f"{name} is {value!r}, but must be a finite number above 0")


def _power(standardised: float, n: int, alpha: float) -> float:
    """P(|T| > critical), T noncentral t with n − 1 degrees of freedom and shift d·√n.

    The sum of Φ(±shift − critical·s) over the chi distribution of s: scipy's own noncentral t
    (1.17), and statsmodels' `TTestPower` with it, is NaN for many shifts that few pairs need.
    """
    from scipy import special  # here, for --help need not pay its import

    freedom = n - 1
    half = freedom / 2
    critical = float(special.stdtrit(freedom, 1 - alpha / 2))
    shift = standardised * math.sqrt(n)
    # the integrand is 1 below `start` and 0 above `end`, within 1e-15; chi² = freedom · s²
    lowest, highest = special.gammaincinv(half, 1e-15), special.gammainccinv(half, 1e-15)
    start = max((shift - 8) / critical, math.sqrt(lowest / half))
    end = max(start, min((shift + 8) / critical, math.sqrt(highest / half)))
    nodes, weights = _nodes()
    s = start + (end - start) * (nodes + 1) / 2
    share = special.ndtr(shift - critical * s) + special.ndtr(-shift - critical * s)
    log_density = half * math.log(half) - special.gammaln(half) + math.log(2)
    density = np.exp(log_density + (freedom - 1) * np.log(s) - half * s * s)
    between = (end - start) / 2 * float((weights * share * density).sum())
    return min(1.0, float(special.gammainc(half, half * start * start)) + between)


@functools.cache
def _nodes() -> tuple[np.ndarray, np.ndarray]:
    """Gauss's nodes and weights on [−1, 1]; a hundred give the power to 1e-9."""
    return np.polynomial.legendre.leggauss(100)


def _smallest(n: int, wanted: float, alpha: float) -> float:
    """The standardised effect at which n pairs have the wanted power."""
    from scipy import optimize

    high = 1.0
    while _power(high, n, alpha) < wanted:
        high *= 2
    found = optimize.brentq(lambda d: _power(d, n, alpha) - wanted, 1e-9, high)
    return float(found)  # type: ignore[arg-type]


def pairs_needed(standardised: float, wanted: float, alpha: float) -> int | None:
    """The fewest pairs with the wanted power, None above `MOST_PAIRS`; effect in spreads."""
    high = 2
    while _power(standardised, high, alpha) < wanted:
        if high == MOST_PAIRS:
            return None
        high = min(2 * high, MOST_PAIRS)
    low = max(2, high // 2)
    while low < high:  # power grows with n, so halving finds the fewest
        middle = (low + high) // 2
        if _power(standardised, middle, alpha) < wanted:
            low = middle + 1
        else:
            high = middle
    return low
