"""The figures are valid Plotly, say what the records say, and can be told apart."""

import json
from statistics import fmean

import plotly.graph_objects as go
import pytest
from study_folders import all_records, make_record, make_study, write_study

from orthowatt.config import Variant
from orthowatt.report.figures import (
    COLOURS,
    Palette,
    accuracy_curves,
    cost_of,
    cost_plot,
    curve_table,
)
from orthowatt.report.sections import read_sections


def coloured(spec):
    """The specification with the page's own colours replaced by some colour."""
    return json.loads(json.dumps(spec).replace('"--ink"', '"#000000"'))


@pytest.fixture
def section(demo_dir):
    (found,) = read_sections([demo_dir])
    return found


@pytest.fixture
def powered(powered_dir):
    (found,) = read_sections([powered_dir])
    return found


def test_figures_are_valid_plotly(section, powered):
    for found in (section, powered):
        palette = Palette([found])
        for spec in (accuracy_curves(found, palette), cost_plot(found, palette)):
            figure = go.Figure(coloured(spec))  # raises on any name or value Plotly does not know
            assert len(figure.data) >= 8


def test_curves_are_the_means_and_every_seed(section):
    spec = accuracy_curves(section, Palette([section]))
    means = {trace["name"]: trace for trace in spec["data"] if "name" in trace}
    thin = [trace for trace in spec["data"] if "name" not in trace]
    assert set(means) == {row.name for row in section.rows}
    assert len(thin) == 24
    wht = next(row for row in section.rows if row.name == "wht")
    last = fmean(100 * record.epochs[-1]["validation_accuracy"] for record in wht.records)
    assert means["wht"]["y"][-1] == pytest.approx(last, abs=1e-3)
    assert means["wht"]["x"] == [1, 2, 3, 4, 5, 6]
    assert spec["layout"]["xaxis"]["dtick"] == 1  # no epoch is marked twice
    table = curve_table(section)
    assert table["lines"][-1][1][table["names"].index("wht")] == pytest.approx(last)


def test_runs_of_unlike_length_are_averaged_over_those_that_reached_an_epoch(tmp_path):
    study = make_study()
    records = all_records(study)
    records[0].epochs = records[0].epochs[:4]
    (section,) = read_sections([write_study(tmp_path / "s", study, records)])
    spec = accuracy_curves(section, Palette([section]))
    base = next(trace for trace in spec["data"] if trace.get("name") == "none")
    assert base["customdata"] == [3, 3, 3, 3, 2, 2]


def test_training_accuracy_stands_in_and_is_named(tmp_path):
    study = make_study()
    records = all_records(study)
    for record in records:
        for epoch in record.epochs:
            del epoch["validation_accuracy"]
    (section,) = read_sections([write_study(tmp_path / "s", study, records)])
    spec = accuracy_curves(section, Palette([section]))
    assert spec["layout"]["meta"] == "Training accuracy"
    for record in records:
        record.epochs = []
    (section,) = read_sections([write_study(tmp_path / "t", study, records)])
    assert accuracy_curves(section, Palette([section])) is None


def test_cost_is_energy_only_if_every_variant_has_it(section, powered, tmp_path):
    assert cost_of(section) == "time"
    assert cost_of(powered) == "energy"
    study = make_study()
    records = all_records(study, joules=500.0)
    for record in records:
        if record.variant == "dct":
            record.energy = {}
    (partly,) = read_sections([write_study(tmp_path / "s", study, records)])
    assert cost_of(partly) == "time"
    spec = cost_plot(powered, Palette([powered]))
    wht = next(trace for trace in spec["data"] if trace["name"] == "wht")
    row = next(row for row in powered.rows if row.name == "wht")
    assert wht["x"] == [row.energy.mean]
    assert wht["error_y"]["array"] == [pytest.approx(100 * row.accuracy.half)]
    assert spec["layout"]["xaxis"]["title"]["text"] == "Energy of the whole run (J)"


def test_one_seed_has_no_error_bars(tmp_path):
    study = make_study(seeds=(0,))
    (section,) = read_sections([write_study(tmp_path / "s", study, all_records(study))])
    spec = cost_plot(section, Palette([section]))
    assert spec["data"]
    assert not any("error_x" in trace or "error_y" in trace for trace in spec["data"])


def test_twenty_variants_look_different(tmp_path):
    variants = tuple(Variant(f"v{i}", {"dropout": i / 100}) for i in range(20))
    study = make_study(variants=variants, baseline="v0", seeds=(0,))
    records = [make_record(study, variant.name, 0) for variant in variants]
    (section,) = read_sections([write_study(tmp_path / "s", study, records)])
    palette = Palette([section])
    looks = {(palette.colour(row), palette.dash(row), palette.symbol(row)) for row in section.rows}
    assert len(looks) == 20
    assert {palette.colour(row) for row in section.others} == set(COLOURS)


def test_a_variant_keeps_its_look_across_sections(section, powered):
    palette = Palette([powered, section])
    for one, two in zip(section.rows, powered.rows, strict=True):
        assert palette.colour(one) == palette.colour(two)


def test_names_are_no_markup_to_plotly(tmp_path):
    name = '<a href="https://example.org">x</a>'
    study = make_study(variants=(Variant("none"), Variant(name, {"transform": "wht"})))
    records = all_records(study)
    (section,) = read_sections([write_study(tmp_path / "s", study, records)])
    for spec in (f(section, Palette([section])) for f in (accuracy_curves, cost_plot)):
        assert all("<" not in trace.get("name", "") for trace in spec["data"])
