"""Failure signatures as the report tells them."""

import json

from study_folders import all_records, make_record, make_study, write_study

from orthowatt.report import failures, plain
from orthowatt.report.page import write_report
from orthowatt.report.sections import read_sections

CHANCE = {"name": "near chance", "text": "test accuracy 6 %", "remedy": "regularise"}
PHASE = {"name": "loses phase", "text": "layer1.0 loses phase", "remedy": "take hartley"}


def section_of(tmp_path, records, study):
    return read_sections([write_study(tmp_path / "study", study, records)])[0]


def test_a_study_without_signs_says_nothing(tmp_path):
    study = make_study()
    section = section_of(tmp_path, all_records(study), study)
    assert failures.sentences(section) == ""
    assert "Failure signatures" not in plain.markdown([section])


def test_signs_are_counted_by_variant_and_a_remedy_is_told_once(tmp_path):
    study = make_study()
    signs = {("fft", 0): [CHANCE, PHASE, PHASE], ("fft", 1): [PHASE], ("wht", 2): [CHANCE]}
    records = [
        make_record(study, v.name, seed, signatures=signs.get((v.name, seed), []))
        for v in study.variants
        for seed in study.seeds
    ]
    section = section_of(tmp_path, records, study)
    text = failures.sentences(section)
    assert "fft: near chance in 1 of 3 runs (test accuracy 6 %)." in text
    assert "fft: loses phase in 2 of 3 runs (layer1.0 loses phase)." in text
    assert "wht: near chance in 1 of 3 runs" in text
    assert text.count("Remedy for “near chance”: regularise.") == 1
    assert text.endswith("Remedy for “loses phase”: take hartley.")
    assert "**Failure signatures.** " in plain.markdown([section])
    found = json.loads(plain.as_json([section]))
    assert found["studies"][0]["points"]["Failure signatures"] == text
    page = write_report([tmp_path / "study"]).read_text(encoding="utf-8")
    assert "near chance in 1 of 3 runs" in page
