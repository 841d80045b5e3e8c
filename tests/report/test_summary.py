"""The sentences at the top say what the verdicts say."""

import math

import pytest
from study_folders import make_record, make_study, write_study

from orthowatt.config import Variant
from orthowatt.report.sections import read_sections
from orthowatt.report.summary import _span, audit_sentence, energy_reason, lede, points

NOISE = (0.001, -0.002, 0.0015, -0.0005, 0.0, 0.001, -0.001, 0.0005)


def section_of(tmp_path, shifts, *, seeds=8, spread=1.0, joules=None):
    """A study whose variants differ from the baseline by exactly known amounts and noise."""
    names = ("none", *shifts)
    study = make_study(
        variants=tuple(Variant(name, {"dropout": i / 100}) for i, name in enumerate(names)),
        seeds=tuple(range(seeds)),
    )
    records = []
    for name in names:
        for seed in study.seeds:
            record = make_record(study, name, seed, joules=joules)
            noise = 0.0 if name == "none" else spread * NOISE[seed]
            record.metrics["test_accuracy"] = 0.9 + shifts.get(name, 0.0) + noise
            record.metrics["logit_shift"] = None
            records.append(record)
    (section,) = read_sections([write_study(tmp_path / "s", study, records)])
    return section


def test_a_gain_is_the_headline(tmp_path):
    text = lede(section_of(tmp_path, {"up": 0.03, "same": 0.0}))
    assert text.startswith("up is more accurate than the baseline (none)")
    assert "1 is equivalent" in text


def test_no_gain_is_the_headline_too(tmp_path):
    section = section_of(tmp_path, {"down": -0.05, "same": 0.0})
    assert lede(section).startswith("No variant is shown to be more accurate")
    text = dict(points(section))["Accuracy"]
    assert "Less accurate: down by 5.0 points." in text
    assert "Equivalent within ±1 point: same." in text
    assert "down" not in text.partition("Equivalent")[2]


def test_too_few_seeds_say_what_could_be_seen_and_what_is_needed(tmp_path):
    section = section_of(tmp_path, {"maybe": 0.004}, seeds=3, spread=6.0)
    row = section.rows[1]
    assert row.accuracy.comparison.verdict == "inconclusive"
    text = dict(points(section))["Accuracy"]
    assert f"{100 * row.accuracy.comparison.detectable:.1f} points" in text
    assert f"about {row.accuracy.comparison.seeds_needed:,} seeds" in text
    assert "cannot be told apart with 3 seeds" in lede(section)


def test_one_seed_promises_nothing(tmp_path):
    section = section_of(tmp_path, {"maybe": 0.004}, seeds=1)
    assert "cannot be told apart with 1 seed" in lede(section)
    assert "± " not in dict(points(section))["Accuracy"]
    assert "on the test set, with one seed." in dict(points(section))["Accuracy"]


def test_energy_is_a_finding_or_a_reason(tmp_path):
    unknown = section_of(tmp_path / "a", {"wht": 0.0})
    assert energy_reason(unknown).startswith("Energy was not measured: no readable energy sensor")
    assert "`orthowatt doctor`" in energy_reason(unknown)
    known = section_of(tmp_path / "b", {"wht": 0.0}, joules=500.0)
    assert energy_reason(known) == ""
    assert "More energy: wht by" in dict(points(known))["Energy"]


def test_work_and_logits_of_an_insertion(demo_dir):
    (section,) = read_sections([demo_dir])
    text = dict(points(section))
    assert "identity and wht filter leave the logits as they were" in text["Insertion"]
    assert "random, wht, dct, hartley and fft changes them by 117 to 174" in text["Insertion"]
    assert "4.7 to 9.4" in text["Added work"]


@pytest.mark.parametrize("records", [0, 3])
def test_a_study_that_cannot_compare_says_so(tmp_path, records):
    study = make_study()
    done = [make_record(study, "wht", seed) for seed in range(records)]
    (section,) = read_sections([write_study(tmp_path / "s", study, done)])
    assert ("can be compared" if records else "No run of this study") in lede(section)


def test_the_audits_sentence_counts_verdicts():
    findings = [{"verdict": v} for v in ("implausible", "contradicted", "implausible")]
    assert (
        audit_sentence({"findings": findings}) == "Of 3 claims: 1 contradicted and 2 implausible."
    )


@pytest.mark.parametrize(
    ("ratios", "text"),
    [
        ((1.05, 1.2), "5.0 to 20.0\xa0%"),
        ((1.2, 17.7), "20.0\xa0% to 17.7-fold"),
        ((12, 40), "12 to 40-fold"),
        ((40, 1e9), "40 to over 1,000-fold"),
    ],
)
def test_a_span_of_costs_keeps_the_units_that_differ(ratios, text):
    assert _span("time", [math.log(ratio) for ratio in ratios]) == text
