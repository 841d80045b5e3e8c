"""The decision rule against textbook values, independent libraries and simulated coverage."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from statsmodels.stats.weightstats import ttost_paired

from orthowatt.errors import InputError, InputTypeError
from orthowatt.stats import compare, compare_all

# Student (1908), the sleep data: extra hours under two drugs, ten patients. Textbook values of
# the paired t test: t = 4.0621, p = 0.002833, mean 1.58, 95 % interval 0.7001142 to 2.4598858.
DRUG_1 = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
DRUG_2 = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def hundredths(hours):
    """Hours as accuracies: the same data, shifted into [0, 1]."""
    return [0.5 + hour / 100 for hour in hours]


def test_paired_t_reproduces_the_textbook():
    found = compare(hundredths(DRUG_1), hundredths(DRUG_2))
    assert found.n == 10
    assert found.effect == pytest.approx(0.0158, abs=1e-12)
    assert found.p_value == pytest.approx(0.002833, abs=5e-7)
    assert found.low == pytest.approx(0.007001142, abs=5e-10)
    assert found.high == pytest.approx(0.024598858, abs=5e-10)
    assert found.p_holm == pytest.approx(found.p_value)
    assert found.verdict == "different"


def test_equivalence_agrees_with_statsmodels():
    rng = np.random.default_rng(7)
    for _ in range(20):
        a = rng.normal(0.7, 0.02, 6)
        b = a + rng.normal(0.001, 0.006, 6)
        expected = ttost_paired(b, a, -0.01, 0.01)[0]
        assert compare(a, b).p_equivalence == pytest.approx(expected, rel=1e-9)


def test_equivalence_wins_over_a_difference_and_the_effect_stays():
    a = [0.700, 0.710, 0.720, 0.730, 0.740]
    b = [0.7021, 0.7120, 0.7220, 0.7319, 0.7420]
    found = compare(a, b)
    assert found.p_value < 0.05
    assert found.verdict == "equivalent"
    assert found.effect == pytest.approx(0.002, abs=1e-4)
    assert found.low > 0


def test_margin_decides():
    a, b = [0.70, 0.71, 0.72, 0.73], [0.7001, 0.7152, 0.7203, 0.7354]
    assert compare(a, b).verdict == "equivalent"
    assert compare(a, b, margin=0.003).verdict == "inconclusive"


def test_energy_is_a_log_ratio():
    a = [100.0, 200.0, 400.0]
    b = [103.0, 208.0, 410.0]
    found = compare(a, b, metric="energy")
    logs = np.log(np.array(b) / np.array(a))
    low, high = scipy_stats.t.interval(0.95, 2, logs.mean(), logs.std(ddof=1) / math.sqrt(3))
    assert found.effect == pytest.approx(logs.mean())
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.ratio == pytest.approx(math.exp(logs.mean()))
    assert found.margin == pytest.approx(math.log(1.05))
    assert compare([0.5, 0.6], [0.6, 0.6]).ratio is None


def test_scale_leaves_a_ratio_alone():
    a, b = [100.0, 120.0, 110.0], [140.0, 150.0, 160.0]
    small = compare(a, b, metric="time")
    large = compare([1000 * x for x in a], [1000 * x for x in b], metric="time")
    assert small.effect == pytest.approx(large.effect)
    assert small.p_value == pytest.approx(large.p_value)


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_sign_flips_agree_with_scipy(n):
    rng = np.random.default_rng(n)
    a = rng.uniform(0.4, 0.6, n)
    b = a + rng.normal(0.01, 0.02, n)
    expected = scipy_stats.permutation_test(
        (b - a,), np.mean, permutation_type="samples", n_resamples=math.inf
    ).pvalue
    assert compare(a, b).p_permutation == pytest.approx(expected)


def test_smallest_permutation_p_is_two_sign_patterns():
    a = np.linspace(0.5, 0.6, 6)
    b = a + np.linspace(0.05, 0.08, 6)
    assert compare(a, b).p_permutation == pytest.approx(2 / 2**6)


def test_many_pairs_draw_sign_patterns_and_repeat():
    rng = np.random.default_rng(3)
    a = rng.uniform(0.4, 0.6, 40)
    b = a + rng.normal(0.003, 0.01, 40)
    first, second = compare(a, b), compare(a, b)
    assert first.p_permutation == second.p_permutation
    assert first.p_permutation == pytest.approx(first.p_value, abs=0.02)


def test_holm_over_the_family():
    rng = np.random.default_rng(1)
    base = rng.uniform(0.6, 0.7, 6)
    variants = {str(k): base + rng.normal(0.01 * k, 0.012, 6) for k in range(4)}
    found = compare_all(base, variants)
    # Holm by hand: the sorted p times what is left of the family, never falling
    expected, highest = {}, 0.0
    ordered = sorted(found, key=lambda name: found[name].p_value)
    for rank, name in enumerate(ordered):
        highest = max(highest, min(1.0, found[name].p_value * (len(ordered) - rank)))
        expected[name] = highest
    assert {name: c.p_holm for name, c in found.items()} == pytest.approx(expected)
    assert any(c.p_value < 0.05 <= c.p_holm for c in found.values())
    assert all(c.verdict != "different" for c in found.values() if c.p_holm >= 0.05)


def test_holm_skips_what_cannot_be_tested():
    base = [0.70, 0.72, 0.71]
    found = compare_all(base, {"one": [0.75, None, None], "all": [0.75, 0.75, 0.77]})
    assert found["one"].p_holm is None
    assert found["one"].verdict == "inconclusive"
    assert found["all"].p_holm == found["all"].p_value


# -- what is unknown, too little or without spread -------------------------------------------------


def test_unknown_values_are_named_and_lower_n():
    found = compare([0.7, 0.71, None, 0.73], [0.8, math.nan, 0.82, 0.85])
    assert found.n == 2
    assert found.notes == (
        "pair 2 is left out: variant 2 is nan",
        "pair 3 is left out: baseline 3 is unknown",
    )


def test_costs_that_no_run_takes_are_unknown():
    found = compare([1.0, 0.0, 3.0], [2.0, 2.0, 3.5], metric="energy")
    assert found.n == 2
    assert "baseline 2 is 0 J" in found.notes[0]


@pytest.mark.parametrize(("values", "n"), [([], 0), ([0.7], 1)])
def test_below_two_pairs_is_inconclusive(values, n):
    found = compare(values, values)
    assert (found.n, found.verdict) == (n, "inconclusive")
    assert found.p_value is None
    assert found.low is None
    assert found.detectable is None


def test_identical_values_are_equivalent_and_say_so():
    found = compare([0.5, 0.6, 0.7], [0.5, 0.6, 0.7])
    assert found.verdict == "equivalent"
    assert (found.effect, found.p_permutation) == (0.0, 1.0)
    assert "identical in all 3 pairs" in found.notes[0]
    assert found.seeds_needed is None


@pytest.mark.parametrize("difference", [4 / 359, 0.001])
@pytest.mark.parametrize("n", [3, 5])
def test_equal_differences_of_coarse_values_are_not_tested(n, difference):
    """Accuracies on 359 images step by 1/359: equal differences are no spread of 0."""
    base = [(330 + i) / 359 for i in range(n)]
    found = compare(base, [value + difference for value in base])
    assert found.verdict == "inconclusive"
    assert found.effect == pytest.approx(difference)
    assert (found.p_value, found.p_holm, found.p_equivalence) == (None, None, None)
    assert (found.low, found.high) == (None, None)
    assert found.p_permutation == pytest.approx(2.0 ** (1 - n))
    assert f"all {n} differences are equal" in found.notes[0]
    assert "different" not in found.describe()


def test_two_equal_differences_prove_nothing():
    found = compare([0.1, 0.2], [0.2, 0.3])
    assert found.verdict == "inconclusive"
    assert found.p_value is None
    assert "by chance" in found.notes[0]


# -- bad input -------------------------------------------------------------------------------------


def test_unequal_lengths_raise():
    with pytest.raises(InputError, match=r"2 numbers and variant 3.*position"):
        compare([0.1, 0.2], [0.1, 0.2, 0.3])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        (([0.1], [0.2]), {"metric": "enrgy"}, InputError, "did you mean 'energy'"),
        (([66.0], [79.0]), {}, InputError, "fraction in .*divide percentages by 100"),
        (([1.0], [2.0]), {"metric": "energy", "margin": 1.05}, InputError, r"math\.log\(1\.05\)"),
        (([0.1], [0.2]), {"margin": 0}, InputError, "0.01 is a point"),
        ((0.1, [0.2]), {}, InputTypeError, "baseline is float"),
        (([0.1], "0.2"), {}, InputTypeError, "variant is str"),
        (([0.1], ["high"]), {}, InputTypeError, "variant 1 is 'high'"),
    ],
)
def test_bad_input_names_what_was_given_and_the_mend(arguments, options, error, text):
    with pytest.raises(error, match=text):
        compare(*arguments, **options)


# -- what the pairs could have shown ---------------------------------------------------------------


def test_reach_is_stated_where_nothing_is_decided():
    found = compare([0.70, 0.73, 0.71], [0.71, 0.72, 0.74])
    assert found.verdict == "inconclusive"
    assert found.detectable > 0.03
    assert found.seeds_needed > 3
    assert f"needs {found.seeds_needed}" in found.describe()
    assert "3 pairs show" in found.describe()


def test_reach_uses_the_strictest_level_of_the_family():
    base, variant = [0.70, 0.73, 0.71], [0.71, 0.72, 0.74]
    alone = compare(base, variant)
    family = compare_all(base, {"a": variant, "b": variant, "c": variant})["a"]
    assert family.detectable > alone.detectable
    assert family.seeds_needed > alone.seeds_needed


def test_describe_shows_ratios_as_per_cent():
    found = compare([100.0, 110.0, 121.0], [150.0, 166.0, 181.0], metric="energy")
    assert found.describe().startswith("energy +50.")
    assert found.describe().endswith("over 3 pairs: different")


def test_describe_without_any_pair_gives_the_reason():
    assert "baseline 1 is unknown" in compare([None], [0.5]).describe()


def test_to_dict_is_strict_json():
    import json

    found = compare([1.0, 2.0, 3.0], [1.1, 2.3, 3.1], metric="time").to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.floats(0.01, 0.99), st.floats(0.01, 0.99)), min_size=2, max_size=8))
def test_swapping_sides_mirrors_the_effect(pairs):
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    there, back = compare(a, b), compare(b, a)
    assert there.verdict == back.verdict
    assert there.effect == pytest.approx(-back.effect, abs=1e-12)
    assert there.p_permutation == pytest.approx(back.p_permutation)
    if there.p_value is not None:
        assert there.p_value == pytest.approx(back.p_value, rel=1e-6, abs=1e-12)
        assert there.p_equivalence == pytest.approx(back.p_equivalence, rel=1e-6, abs=1e-12)
        assert 0 < there.p_permutation <= 1


@pytest.mark.slow
def test_error_rates_and_coverage_by_simulation():
    """5 % false differences, at most 5 % false equivalence at the margin, 95 % coverage."""
    rng = np.random.default_rng(2024)
    runs, n, spread = 2000, 5, 0.008
    false_difference = covered = false_equivalence = 0
    for _ in range(runs):
        a = rng.normal(0.7, 0.02, n)
        null = compare(a, a + rng.normal(0.0, spread, n))
        false_difference += null.p_value < 0.05
        covered += null.low <= 0 <= null.high
        edge = compare(a, a + rng.normal(0.01, spread, n))
        false_equivalence += edge.verdict == "equivalent"
    error = 3 * math.sqrt(0.05 * 0.95 / runs)
    assert false_difference / runs == pytest.approx(0.05, abs=error)
    assert covered / runs == pytest.approx(0.95, abs=error)
    assert false_equivalence / runs <= 0.05 + error


@pytest.mark.slow
def test_detectable_effect_is_shown_as_often_as_promised():
    rng = np.random.default_rng(11)
    from orthowatt.stats import power

    for n in (3, 6):
        effect = power(spread=0.01, n=n).effect
        shown = 0
        for _ in range(2000):
            a = rng.normal(0.5, 0.01, n)
            shown += compare(a, a + rng.normal(effect, 0.01, n), margin=1e-6).p_value < 0.05
        assert shown / 2000 == pytest.approx(0.8, abs=0.03)
