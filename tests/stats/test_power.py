"""Power and intervals against textbook values and statsmodels."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats
from statsmodels.stats.power import TTestPower

from orthowatt.errors import InputError
from orthowatt.stats import mean_interval, power


@pytest.mark.parametrize(("effect", "pairs"), [(0.2, 199), (0.5, 34), (0.8, 15)])
def test_pairs_needed_are_cohens(effect, pairs):
    """Small, medium, large effects at .05 and 80 %: the textbook's sample sizes."""
    assert power(1.0, effect=effect).n == pairs


@pytest.mark.parametrize("n", [3, 5, 8, 30, 400])
@pytest.mark.parametrize("alpha", [0.05, 0.005])
def test_detectable_effect_agrees_with_statsmodels(n, alpha):
    found = power(1.0, n=n, alpha=alpha).effect
    # its power is right there, its solver (0.15) is not: 3.092 for 5 pairs at .005, power 0.783
    theirs = TTestPower().power(found, n, alpha)
    assert math.isnan(theirs) or theirs == pytest.approx(0.8, abs=2e-6)


def test_power_itself_agrees_where_statsmodels_has_a_value():
    compared = 0
    for n in (2, 4, 10, 100):
        for effect in np.geomspace(0.01, 50, 25):
            expected = TTestPower().power(effect, n, 0.05)
            if math.isnan(expected):  # scipy's far tail; ours must still answer
                assert 0 < power(1.0, n=n, effect=effect).power <= 1
                continue
            compared += 1
            assert power(1.0, n=n, effect=effect).power == pytest.approx(expected, abs=2e-6)
    assert compared > 60


def test_answers_agree_with_each_other():
    found = power(0.02, n=5)
    assert power(0.02, n=5, effect=found.effect).power == pytest.approx(0.8, abs=1e-6)
    assert power(0.02, effect=found.effect * 1.001).n == 5
    assert power(0.04, n=5).effect == pytest.approx(2 * found.effect)


def test_more_pairs_show_less():
    shown = [power(1.0, n=n).effect for n in (2, 3, 5, 10, 100)]
    assert shown == sorted(shown, reverse=True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "give n"),
        ({"n": 1}, "at least 2"),
        ({"n": 2.5}, "whole number"),
        ({"effect": -1.0}, "above 0"),
        ({"effect": 1e-5}, "over 1,000,000 pairs"),
        ({"n": 3, "effect": 1.0, "power": 0.8}, "leave out the one"),
        ({"n": 3, "power": 0.01}, "between alpha"),
        ({"n": 3, "alpha": 0}, "alpha is 0"),
    ],
)
def test_bad_input(options, text):
    with pytest.raises(InputError, match=text):
        power(1.0, **options)


@pytest.mark.parametrize("spread", [0, -1.0, math.nan, math.inf, True])
def test_spread_must_be_a_number_above_zero(spread):
    with pytest.raises(InputError, match="spread"):
        power(spread, n=3)


def test_interval_agrees_with_scipy():
    values = [0.61, 0.64, 0.62, 0.66]
    low, high = scipy_stats.t.interval(0.95, 3, np.mean(values), scipy_stats.sem(values))
    found = mean_interval(values)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert (found.n, found.missing) == (4, 0)


def test_interval_counts_what_is_missing():
    found = mean_interval([0.5, None, math.nan])
    assert (found.mean, found.low, found.n, found.missing) == (0.5, None, 1, 2)
    assert mean_interval([None]).mean is None
