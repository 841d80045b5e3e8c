"""The rows of the tables, against scipy and by hand."""

import math
from statistics import fmean

import pytest
from scipy import stats
from study_folders import NO_SENSOR, make_record, make_study

from orthowatt.report import cells
from orthowatt.report.tables import build_rows


def rows_of(study, **changes):
    """The rows of a whole study, by name."""
    records = {
        v.name: [make_record(study, v.name, seed, **changes) for seed in study.seeds]
        for v in study.variants
    }
    return {row.name: row for row in build_rows(study, records)}, records


def test_means_intervals_and_differences_are_students():
    rows, records = rows_of(make_study(seeds=tuple(range(6))))
    base = [r.metrics["test_accuracy"] for r in records["none"]]
    fft = [r.metrics["test_accuracy"] for r in records["fft"]]
    assert rows["fft"].accuracy.mean == pytest.approx(fmean(fft))
    half = stats.t.ppf(0.975, 5) * stats.tstd(fft) / math.sqrt(6)
    assert rows["fft"].accuracy.half == pytest.approx(half)
    paired = stats.ttest_rel(fft, base)
    comparison = rows["fft"].accuracy.comparison
    assert comparison.effect == pytest.approx(fmean(fft) - fmean(base))
    assert comparison.p_value == pytest.approx(paired.pvalue)
    interval = paired.confidence_interval(0.95)
    assert (comparison.low, comparison.high) == pytest.approx((interval.low, interval.high))


def test_the_baseline_comes_first_and_is_compared_with_nothing():
    study = make_study(baseline="dct")
    rows, _ = rows_of(study)
    assert next(iter(rows)) == "dct"
    assert rows["dct"].accuracy.comparison is None
    assert rows["none"].accuracy.comparison is not None


def test_margins_are_the_studys():
    rows, _ = rows_of(make_study(accuracy_margin=0.03, cost_margin=1.5))
    assert rows["wht"].accuracy.comparison.margin == 0.03
    assert rows["wht"].time.comparison.margin == pytest.approx(math.log(1.5))


def test_energy_without_a_sensor_is_unknown_with_its_reason_and_never_zero():
    rows, _ = rows_of(make_study())
    for row in rows.values():
        assert row.energy.interval is None
        assert row.energy.mean is None
        assert row.energy.comparison is None
        assert row.energy.reason == NO_SENSOR
        assert row.to_dict()["energy"]["mean"] is None


def test_measured_energy_is_compared_as_a_ratio():
    rows, records = rows_of(make_study(), joules=500.0)
    ratios = [
        b.energy_of("run")["joules"] / a.energy_of("run")["joules"]
        for a, b in zip(records["none"], records["wht"], strict=True)
    ]
    effect = rows["wht"].energy.comparison.effect
    assert effect == pytest.approx(fmean(math.log(ratio) for ratio in ratios))
    assert rows["wht"].energy.scope == "gpu:GPU-1a2b3c4d"


def test_a_resumed_run_counts_for_accuracy_but_not_for_time_or_energy():
    study = make_study()
    records = {
        v.name: [make_record(study, v.name, seed, joules=500.0) for seed in study.seeds]
        for v in study.variants
    }
    records["wht"][0].resumed = True
    row = {r.name: r for r in build_rows(study, records)}["wht"]
    assert row.accuracy.interval.n == 3
    assert row.time.interval.n == row.energy.interval.n == 2
    assert row.time.comparison.n == row.energy.comparison.n == 2


def test_energies_of_unlike_scopes_are_shown_but_not_compared():
    study = make_study()
    records = {
        v.name: [make_record(study, v.name, seed, joules=500.0) for seed in study.seeds]
        for v in study.variants
    }
    for record in records["wht"]:
        record.energy["run"]["energy"]["scope"] = "cpu-package:0"
    rows = {r.name: r for r in build_rows(study, records)}
    assert rows["wht"].energy.interval.n == 3
    assert all(row.energy.comparison is None for row in rows.values())
    records["wht"][0].energy["run"]["energy"]["scope"] = "gpu:GPU-1a2b3c4d"
    mixed = {r.name: r for r in build_rows(study, records)}["wht"]
    assert mixed.energy.interval is None
    assert "unlike scopes" in mixed.energy.reason


def test_an_estimate_is_labelled_and_not_compared():
    study = make_study()
    records = {
        v.name: [make_record(study, v.name, seed, joules=500.0) for seed in study.seeds]
        for v in study.variants
    }
    for record in records["wht"]:
        record.energy["run"]["energy"]["status"] = "estimated"
    row = {r.name: r for r in build_rows(study, records)}["wht"]
    assert row.energy.estimated
    assert row.energy.comparison.n == 0
    cell = cells.energy(row)
    assert cell.text.startswith("≤ ")
    assert cell.small[0].startswith("estimated")


def test_the_energy_of_a_training_image_stands_under_that_of_the_run():
    study = make_study()
    records = {
        v.name: [make_record(study, v.name, seed, joules=500.0) for seed in study.seeds]
        for v in study.variants
    }
    for number, record in enumerate(records["wht"]):
        record.metrics["joules_per_image"] = 0.02 + 0.001 * number
    records["dct"][0].metrics["joules_per_image"] = None
    rows = {r.name: r for r in build_rows(study, records)}
    assert rows["wht"].joules_per_image == pytest.approx(0.021)
    assert rows["wht"].to_dict()["joules_per_image"] == rows["wht"].joules_per_image
    assert cells.energy(rows["wht"]).small == ("21\xa0mJ a training image",)
    assert cells.energy(rows["dct"]).small == ()


def test_a_resumed_run_tells_no_energy_of_an_image():
    study = make_study()
    records = {
        v.name: [make_record(study, v.name, seed, joules=500.0) for seed in study.seeds]
        for v in study.variants
    }
    for record, joules in zip(records["wht"], (0.02, 0.02, 0.09), strict=True):
        record.metrics["joules_per_image"] = joules
    records["wht"][2].resumed = True
    row = {r.name: r for r in build_rows(study, records)}["wht"]
    assert row.joules_per_image == pytest.approx(0.02)


def test_a_variant_without_runs_is_a_row_of_unknowns():
    study = make_study()
    records = {v.name: [make_record(study, v.name, s) for s in study.seeds] for v in study.variants}
    records["dct"] = []
    row = {r.name: r for r in build_rows(study, records)}["dct"]
    assert (row.n, row.asked) == (0, 3)
    assert row.accuracy.interval is None
    assert row.accuracy.reason == "no finished run"
    assert row.memory_bytes is None
    assert row.logit_shift is None


def test_one_seed_has_a_mean_but_no_interval():
    rows, _ = rows_of(make_study(seeds=(4,)))
    assert rows["wht"].accuracy.mean is not None
    assert rows["wht"].accuracy.half is None
    assert rows["wht"].accuracy.comparison.verdict == "inconclusive"


def test_memory_is_the_gpus_where_there_is_one():
    study = make_study()
    gpu = {"peak_rss_bytes": 10, "peak_allocated_bytes": 7}
    rows, _ = rows_of(study, memory=gpu)
    assert (rows["wht"].memory_bytes, rows["wht"].memory_kind) == (7.0, "GPU, allocated")
    rows, _ = rows_of(study)
    assert rows["wht"].memory_kind == "process"
    assert rows["wht"].memory_bytes == 612 * 2**20 + 2
