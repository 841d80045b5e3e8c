"""The decision rule: equivalent, different or inconclusive, from paired values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ..errors import InputError, check_choice
from .interval import half_width
from .pairs import COSTS, METRICS, Pairs, listed, pair
from .power import ALPHA, POWER, pairs_needed
from .power import power as solve_power

#: Margins in the effect's unit: a fraction for accuracy, a log-ratio for energy and time.
MARGINS = {"accuracy": 0.01, "energy": math.log(1.05), "time": math.log(1.05)}
#: Differences closer than this are equal: both units are of order one, so this is rounding only.
SAME = 1e-12
#: All sign patterns are counted up to this many pairs, above it 100,000 drawn ones.
EXACT_PAIRS = 20

Verdict = Literal["different", "equivalent", "inconclusive"]


@dataclass(frozen=True)
class Comparison:
    """A variant against its baseline over `n` pairs.

    `effect` is variant minus baseline: for accuracy the mean difference (a fraction), for energy
    and time the mean log-ratio, so that exp(effect) is the ratio; `low` and `high` bound its 95 %
    t interval. `p_value` is the paired t test's, `p_holm` the same corrected for the family of
    comparisons, `p_equivalence` the larger of the two one-sided tests against ±`margin`,
    `p_permutation` the exact sign-flip test's. `detectable` is the smallest true effect that n
    pairs of this spread show with 80 % probability, `seeds_needed` the pairs that a true effect
    as large as the margin needs. What cannot be computed is None, and `notes` say why.

    >>> found = compare([0.70, 0.72, 0.71], [0.75, 0.75, 0.77])
    >>> found.verdict, round(found.effect, 4), found.n, found.notes
    ('different', 0.0467, 3, ())
    """

    n: int
    effect: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_permutation: float | None
    verdict: Verdict
    metric: str = "accuracy"
    margin: float = MARGINS["accuracy"]
    p_equivalence: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    seeds_needed: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Variant over baseline as a geometric mean; None for accuracy, which has no ratio here."""
        if self.effect is None or self.metric not in COSTS:
            return None
        return math.exp(self.effect)

    def to_dict(self) -> dict[str, Any]:
        """The comparison as JSON-ready values."""
        return {**dataclasses.asdict(self), "ratio": self.ratio, "notes": list(self.notes)}

    def describe(self) -> str:
        """One sentence: effect, interval, verdict, and what the pairs could have shown.

        >>> compare([0.70, 0.72, 0.71], [0.75, 0.75, 0.77]).describe()
        'accuracy +4.67 points [+0.87, +8.46] over 3 pairs: different'
        """
        if self.effect is None:
            why = f" ({'; '.join(self.notes)})" if self.notes else ""
            return f"{self.metric}: inconclusive, no pair can be compared{why}"
        shown = f"{self.metric} {self._signed(self.effect)}{self._unit}"
        if self.low is not None and self.high is not None:
            shown += f" [{self._signed(self.low)}, {self._signed(self.high)}]"
        text = f"{shown} over {self.n} pair{'s' if self.n != 1 else ''}: {self.verdict}"
        if self.verdict == "inconclusive":
            text += self._reach()
        return text

    def _reach(self) -> str:
        if self.detectable is None:
            return "; two pairs or more that differ are needed to judge" if self.n < 2 else ""
        text = f"; {self.n} pairs show {self._size(self.detectable)} or more"
        if self.seeds_needed is None:
            return f"{text}, and {self._size(self.margin)} is out of reach at this spread"
        return f"{text}, and {self._size(self.margin)} needs {self.seeds_needed}"

    @property
    def _unit(self) -> str:
        return " points" if self.metric == "accuracy" else ""

    def _signed(self, effect: float) -> str:
        if self.metric == "accuracy":
            return f"{100 * effect:+.2f}"
        return f"{_percent(effect):+.1f} %"

    def _size(self, effect: float) -> str:
        if self.metric == "accuracy":
            return f"{100 * effect:.2g} points"
        return f"{_percent(effect):.2g} %"


def _percent(log_ratio: float) -> float:
    """A log-ratio as a change in per cent; what overflows is infinite."""
    return 100 * math.expm1(log_ratio) if log_ratio < 700 else math.inf


def compare(
    baseline: Iterable[Any],
    variant: Iterable[Any],
    *,
    metric: Literal["accuracy", "energy", "time"] = "accuracy",
    margin: float | None = None,
) -> Comparison:
    """Compare a variant with its baseline, pair by pair.

    `baseline` and `variant` are run records, paired by seed on one device, or plain numbers,
    paired by position (accuracies as fractions, energies in J, times in s; None where unknown).
    `margin` is the equivalence margin in the effect's unit: for accuracy a fraction (default
    0.01), for energy and time a log-ratio (default ln 1.05). Equivalent when both one-sided t
    tests against ±margin have p < .05; else different when the paired t test has p < .05; else
    inconclusive, as it is below two pairs. Raises `InputError` and `InputTypeError`.

    Differences without any spread have no t statistic. When all are 0 the tests are taken in their
    limit and a note says so; equal differences other than 0 are not tested, however many there
    are: values as coarse as an accuracy on a small test set agree that often by chance.

    >>> compare([0.70, 0.72, 0.71, 0.74], [0.702, 0.721, 0.710, 0.739]).verdict
    'equivalent'
    >>> round(compare([100.0, 110.0, 120.0], [151.0, 164.0, 181.0], metric="energy").ratio, 2)
    1.5
    """
    return compare_all(baseline, {"variant": variant}, metric=metric, margin=margin)["variant"]


def compare_all(
    baseline: Iterable[Any],
    variants: Mapping[str, Iterable[Any]],
    *,
    metric: Literal["accuracy", "energy", "time"] = "accuracy",
    margin: float | None = None,
) -> dict[str, Comparison]:
    """Compare each variant with one baseline, the paired t tests Holm-corrected over all of them.

    Arguments and rule as in `compare`; `detectable` and `seeds_needed` use the strictest level
    that Holm's method asks for, .05 over the number of comparisons.

    >>> base = [0.70, 0.72, 0.71]
    >>> found = compare_all(base, {"a": [0.75, 0.75, 0.77], "b": [0.60, 0.75, 0.71]})
    >>> {name: comparison.verdict for name, comparison in found.items()}
    {'a': 'inconclusive', 'b': 'inconclusive'}
    """
    check_choice("metric", metric, METRICS)
    margin = _margin(metric, margin)
    first = listed("baseline", baseline)
    tests = {
        name: _test(pair(first, values, metric), metric, margin)
        for name, values in variants.items()
    }
    tested = [name for name, found in tests.items() if found.p_value is not None]
    corrected = dict(zip(tested, _holm([tests[name].p_value for name in tested]), strict=True))
    return {
        name: _decided(found, corrected.get(name), ALPHA / max(1, len(tested)))
        for name, found in tests.items()
    }


def _margin(metric: str, margin: float | None) -> float:
    if margin is None:
        return MARGINS[metric]
    number = isinstance(margin, (int, float)) and not isinstance(margin, bool)
    if number and 0 < margin < 1:
        return float(margin)
    if metric == "accuracy":
        raise InputError(
            f"margin is {margin!r}, but for accuracy must be a fraction in (0, 1); 0.01 is a point"
        )
    raise InputError(
        f"margin is {margin!r}, but for {metric} must be a log-ratio in (0, 1); "
        "for ±5 % give math.log(1.05)"
    )


@dataclass(frozen=True)
class _Test:
    """What the pairs say before the correction for the family."""

    pairs: Pairs
    metric: str
    margin: float
    effect: float | None = None
    spread: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    p_equivalence: float | None = None
    p_permutation: float | None = None
    notes: tuple[str, ...] = ()


def _test(pairs: Pairs, metric: str, margin: float) -> _Test:
    a, b = np.asarray(pairs.baseline), np.asarray(pairs.variant)
    if metric in COSTS:
        a, b = np.log(a), np.log(b)
    differences = b - a
    n = len(differences)
    if n == 0:
        return _Test(pairs, metric, margin)
    effect = float(differences.mean())
    if n == 1:
        note = "one pair has no spread to judge from"
        return _Test(pairs, metric, margin, effect, notes=(note,))
    flips = _sign_flips(differences)
    if float(np.ptp(differences)) <= SAME:
        return _without_spread(_Test(pairs, metric, margin, effect, p_permutation=flips), n)
    spread = float(differences.std(ddof=1))
    half = half_width(spread, n)
    p_value, p_equivalence = _t_tests(differences, margin)
    return _Test(
        pairs, metric, margin, effect, spread, effect - half, effect + half,
        p_value, p_equivalence, flips,
    )  # fmt: skip


def _t_tests(differences: np.ndarray, margin: float) -> tuple[float, float]:
    """The paired t test's p, and the larger p of the two one-sided tests against ±margin."""
    from scipy import stats  # here, for half a second of import is nothing to pay for --help

    two_sided = stats.ttest_1samp(differences, 0.0)[1]
    above = stats.ttest_1samp(differences, -margin, alternative="greater")[1]
    below = stats.ttest_1samp(differences, margin, alternative="less")[1]
    return float(two_sided), float(max(above, below))  # type: ignore[arg-type]


def _without_spread(test: _Test, n: int) -> _Test:
    """Identical values, the t tests in their limit; other equal differences are not tested."""
    if abs(test.effect or 0.0) <= SAME:
        note = f"the values are identical in all {n} pairs"
        return dataclasses.replace(
            test, effect=0.0, low=0.0, high=0.0, p_value=1.0, p_equivalence=0.0, notes=(note,)
        )
    # no spread is no evidence of a spread of 0: three runs on 359 images agree within their steps
    all_n = "both" if n == 2 else f"all {n}"
    note = f"{all_n} differences are equal, which coarse values often are by chance: not tested"
    return dataclasses.replace(test, notes=(note,))


def _sign_flips(differences: np.ndarray) -> float:
    """Two-sided p of the mean under all sign patterns of the differences (exact to 20 pairs)."""
    observed = abs(float(differences.sum()))
    if len(differences) <= EXACT_PAIRS:
        sums = np.zeros(1)
        for difference in differences:
            sums = np.concatenate([sums + difference, sums - difference])
        extra = 0
    else:
        # a generator of its own, seeded: the same values give the same p everywhere
        signs = np.random.default_rng(0).choice([-1.0, 1.0], (100_000, len(differences)))
        sums = signs @ differences
        extra = 1  # the observed pattern counts as one of those drawn
    slack = SAME * max(1.0, float(np.abs(differences).sum()))  # equal sums, added in other orders
    hits = int((np.abs(sums) >= observed - slack).sum())
    return (hits + extra) / (len(sums) + extra)


def _holm(p_values: list[float | None]) -> list[float]:
    if len(p_values) < 2:
        return [float(p) for p in p_values if p is not None]
    from statsmodels.stats.multitest import multipletests  # here, for it takes a second to import

    return np.asarray(multipletests(p_values, method="holm")[1], dtype=float).tolist()


def _decided(test: _Test, p_holm: float | None, alpha: float) -> Comparison:
    verdict: Verdict = "inconclusive"
    if test.p_equivalence is not None and test.p_equivalence < ALPHA:
        verdict = "equivalent"
    elif p_holm is not None and p_holm < ALPHA:
        verdict = "different"
    n = len(test.pairs.baseline)
    detectable, needed = _reach(test, n, alpha)
    return Comparison(
        n, test.effect, test.low, test.high, test.p_value, test.p_permutation, verdict,
        test.metric, test.margin, test.p_equivalence, p_holm, detectable, needed,
        (*test.pairs.notes, *test.notes),
    )  # fmt: skip


def _reach(test: _Test, n: int, alpha: float) -> tuple[float | None, int | None]:
    """The smallest effect that n pairs show, and the pairs that the margin needs."""
    if test.spread is None:
        return None, None
    detectable = solve_power(test.spread, n=n, alpha=alpha).effect
    return detectable, pairs_needed(test.margin / test.spread, POWER, alpha)
