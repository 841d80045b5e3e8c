"""Markdown, JSON and CSV: the same numbers, whole and safe to paste."""

import csv
import io
import json
import re

import pytest
from study_folders import make_record, make_study, write_study

from orthowatt.config import Variant
from orthowatt.errors import InputError
from orthowatt.report.page import write_report
from orthowatt.report.sections import read_sections


def report(tmp_path, directories, format, **kwargs):
    path = write_report(directories, tmp_path / f"r.{format}", format=format, **kwargs)
    return path.read_text(encoding="utf-8")


def test_csv_has_a_line_a_variant_and_empty_cells_for_unknowns(tmp_path, demo_dir, powered_dir):
    lines = list(csv.DictReader(io.StringIO(report(tmp_path, [demo_dir, powered_dir], "csv"))))
    assert len(lines) == 16
    assert {line["study"] for line in lines} == {"demo", "powered"}
    demo = {line["variant"]: line for line in lines if line["study"] == "demo"}
    for line in demo.values():
        assert line["run_joules_mean"] == line["energy_verdict"] == line["energy_log_ratio"] == ""
        assert line["energy_reason"]
    (section,) = read_sections([demo_dir])
    for row in section.rows:
        assert float(demo[row.name]["test_accuracy_mean"]) == row.accuracy.mean
    powered = [line for line in lines if line["study"] == "powered"]
    assert all(float(line["run_joules_mean"]) > 100 for line in powered)


def test_json_holds_null_for_what_was_not_measured(tmp_path, demo_dir):
    found = json.loads(report(tmp_path, [demo_dir], "json"))
    (study,) = found["studies"]
    assert found["audit"] is None
    assert study["device"] == "cpu-tower"
    assert [row["energy"]["mean"] for row in study["rows"]] == [None] * 8
    assert study["rows"][1]["accuracy"]["comparison"]["n"] == 3
    assert study["rows"][0]["accuracy"]["comparison"] is None


def test_markdown_tables_are_whole(tmp_path, demo_dir):
    text = report(tmp_path, [demo_dir], "md")
    tables = [block for block in text.split("\n\n") if block.startswith("| variant")]
    assert len(tables) == 3
    for table in tables:
        lines = table.splitlines()
        assert len(lines) == 2 + 8
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1
    assert "Energy was not measured" in text
    assert "orthowatt study demo.toml --out" in text


def test_markdown_escapes_what_would_break_or_run(tmp_path):
    name = "a|b <script>alert(1)</script>"
    study = make_study(variants=(Variant("none"), Variant(name, {"transform": "wht"})))
    records = [make_record(study, v.name, seed) for v in study.variants for seed in study.seeds]
    text = report(tmp_path, [write_study(tmp_path / "s", study, records)], "md")
    assert "<script" not in text
    assert "| a\\|b &lt;script>" in text


def test_an_audit_alone_has_no_csv(tmp_path, audit):
    with pytest.raises(InputError, match="no CSV form"):
        write_report([], tmp_path / "a.csv", format="csv", audit=audit)


def test_the_audit_is_in_markdown_and_json(tmp_path, audit):
    text = report(tmp_path, [], "md", audit=audit)
    assert audit.results[0].statement.split()[0] in text
    found = json.loads(report(tmp_path, [], "json", audit=audit))
    assert len(found["audit"]["findings"]) == len(audit.results)
