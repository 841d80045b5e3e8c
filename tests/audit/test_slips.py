"""Slips: the arithmetic of the paper's figures, the ranking, and each slip planted and found."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthowatt.audit import self_test
from orthowatt.audit.explain import Row, explain
from orthowatt.audit.floor import ordinary_run
from orthowatt.audit.selftest import CONTEXT, JOULES_PER_IMAGE, PLANTS, RATIO
from orthowatt.audit.slips import HYPOTHESES, SLIPS, density, fit, read_slips

PAPER = dataclasses.replace(
    CONTEXT, epochs=(20, 30), phase="training", method="power sampling", per="model"
)
RUN = ordinary_run(PAPER)
BASELINE, VARIANT = Row(25_606e3, "the baseline"), Row(39e3, "the variant")


def test_the_paper_is_best_explained_by_joules_an_epoch():
    """25,606 J and 39 kJ an epoch: 0.51 and 0.78 J an image, the variant 1.5 times as much."""
    best, second = explain([BASELINE, VARIANT], RUN, PAPER)
    assert best.slips == ("H1", "H3")
    assert best.twins == ("H2",)
    assert "0.512 J an image" in best.arithmetic
    assert "0.78 J an image" in best.arithmetic
    assert "1.52 times the baseline" in best.arithmetic
    assert second.slips == ("H2", "H4")
    assert "102 samples of 250,000 mW" in second.arithmetic
    assert "156 samples of 250 W" in second.arithmetic
    assert 1 > best.plausibility > second.plausibility > 0


def test_plausibilities_are_shares():
    every = explain([BASELINE, VARIANT], RUN, PAPER, count=1000)
    assert 0.99 < sum(e.plausibility for e in every) <= 1 + 1e-9
    assert {"H5", "H6", "H7", "H8", "H9", "H10", "H11", "H12"} <= {
        slip for e in every for slip in e.slips
    }


@pytest.mark.parametrize(
    ("slip", "joules", "value"),
    [
        ("H1", 25_606e3, 25_606),
        ("H3", 39e3, 0.78),
        ("H4", 39e3, 156),
        ("H6", 25_606e3, 25_606e3 / 60),
        ("H10", 25_606e3, 1.25e6 / (25_606e3 / 400)),
        ("H11", 39e3, 0.0312),
    ],
)
def test_corrected_quantities(slip, joules, value):
    found = [r.value for r in read_slips(joules, RUN) if r.slip == slip]
    assert any(v == pytest.approx(value, rel=1e-3) for v in found)


def test_readings_come_best_fit_first():
    fits = [reading.fit for reading in read_slips(39e3, RUN)]
    assert fits == sorted(fits, reverse=True)
    assert fits[0] == 1.0


def test_without_a_native_size_its_slip_is_left_out():
    run = ordinary_run(dataclasses.replace(PAPER, native_size=None, test_images=None))
    assert "H9" not in {reading.slip for reading in read_slips(39e3, run)}


@pytest.mark.parametrize("joules", [150e3, 300e3, 500e3])
def test_ordinary_figures_need_no_explanation(joules):
    assert explain([Row(joules, "a")], RUN, PAPER) == ()
    assert explain([Row(joules, "a"), Row(1.02 * joules, "b")], RUN, PAPER) == ()


def test_one_figure_alone_is_explained_too():
    found = explain([Row(300e6, "a")], RUN, PAPER)
    assert found[0].slips == ("H1",)
    assert found[0].twins == ("H2",)


def test_a_slip_against_what_is_stated_weighs_less():
    """A starved GPU is likelier where no source names the device."""
    rows = [Row(1.46e6, "a"), Row(1.47e6, "b")]
    share = {}
    for name, context in (("stated", PAPER), ("open", None)):
        every = explain(rows, RUN, context, count=1000)
        share[name] = next(e.plausibility for e in every if e.slips == ("H10",))
    assert share["open"] > share["stated"] > 0


def test_every_planted_slip_is_found():
    assert self_test() == [(f"H{number}", True) for number in range(1, 13)]


def test_plants_change_the_true_figures():
    run = ordinary_run(CONTEXT)
    true = JOULES_PER_IMAGE * run.middle_images
    assert explain([Row(true, "A"), Row(RATIO * true, "B")], run, None) == ()
    for plant in PLANTS.values():
        assert plant((true, RATIO * true), run) != (true, RATIO * true)


def test_inverting_a_unit_slip_gives_the_truth_back():
    found = {r.slip: r.value for r in read_slips(1000 * 300e3, RUN)}
    assert found["H1"] == found["H2"] == pytest.approx(300e3)


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-2, 1e12))
def test_any_figure_can_be_read(joules):
    for reading in read_slips(joules, RUN):
        assert 0 <= reading.fit <= 1
        assert reading.arithmetic
        assert reading.slip in HYPOTHESES


@pytest.mark.parametrize("slip", SLIPS, ids=lambda slip: slip.key)
def test_densities_integrate_to_one(slip):
    span = slip.span(RUN)
    decades = [-6 + 0.001 * step for step in range(20_000)]
    total = sum(density(10.0**decade, span) for decade in decades) * 0.001
    assert total == pytest.approx(1, abs=2e-3)
    assert fit(span[0], span) == fit(span[1], span) == 1
