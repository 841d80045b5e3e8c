"""Reading studies: one section a device, and a sentence for every run that is not counted."""

import json

import pytest
from study_folders import all_records, make_record, make_study, make_transforms, write_study

from orthowatt.errors import DataError
from orthowatt.record import NUMERICS_VERSION
from orthowatt.report.sections import read_sections, read_transforms, shared


def sections_of(tmp_path, study, records):
    return read_sections([write_study(tmp_path / "study", study, records)])


def test_a_whole_study_is_one_section_without_notes(demo_dir):
    (section,) = read_sections([demo_dir])
    assert section.notes == ()
    assert section.device == "cpu-tower"
    assert [row.n for row in section.rows] == [3] * 8
    assert section.transforms["spectra"]["images"][0]["name"] == "scan"


def test_devices_are_never_pooled(tmp_path):
    study = make_study()
    records = all_records(study, slug="gpu-aaaaaaaa-one") + all_records(study, slug="cpu-two")
    one, two = sections_of(tmp_path, study, records)
    assert {one.device, two.device} == {"gpu-aaaaaaaa-one", "cpu-two"}
    for section in (one, two):
        assert {record.device for record in section.records} == {section.device}
        assert all(row.accuracy.interval.n == 3 for row in section.rows)


def test_several_directories_are_several_sections(demo_dir, powered_dir):
    sections = read_sections([demo_dir, powered_dir])
    assert [section.title for section in sections] == ["demo", "powered"]
    assert len({section.key for section in sections}) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "failed", "reason": "the loss became NaN at step 12"}, "NaN at step 12"),
        ({"status": "interrupted"}, "interrupted"),
        ({"numerics_version": NUMERICS_VERSION - 1}, "stale"),
    ],
)
def test_a_run_that_does_not_count_is_named_and_left_out(tmp_path, changes, words):
    study = make_study()
    records = all_records(study)
    for key, value in changes.items():
        setattr(records[4], key, value)
    (section,) = sections_of(tmp_path, study, records)
    (note,) = section.notes
    assert words in note
    assert f"{records[4].variant}, seed {records[4].config.seed}" in note
    assert {row.name: row.n for row in section.rows}[records[4].variant] == 2


def test_missing_runs_are_named(tmp_path):
    study = make_study()
    (section,) = sections_of(tmp_path, study, all_records(study)[:-2])
    (note,) = section.notes
    assert note.startswith("2 runs of the study are missing: wht filter (seeds 1 and 2)")


def test_runs_of_other_settings_seeds_or_variants_are_left_out(tmp_path):
    study = make_study()
    records = all_records(study)
    other = make_study(base=study.base.replace(epochs=99))
    records.append(make_record(other, "wht", 0))
    records.append(make_record(study, "wht", 77))
    records.append(make_record(study, "dct", 0))
    records[-1].variant = "unheard of"
    (section,) = sections_of(tmp_path, study, records)
    assert sorted(section.notes) == [
        "unheard of, seed 0: left out, for this study has no such variant.",
        "wht, seed 0: left out, for its settings are no longer the study's.",
        "wht, seed 77: left out, for the study does not ask for this seed.",
    ]
    assert {row.n for row in section.rows} == {3}


def test_a_second_run_of_one_cell_does_not_count_twice(tmp_path):
    study = make_study()
    (section,) = sections_of(tmp_path, study, [*all_records(study), make_record(study, "wht", 1)])
    assert "a second run" in section.notes[0]
    assert {row.n for row in section.rows} == {3}


def test_unreadable_runs_are_named(demo_dir):
    broken = sorted((demo_dir / "runs").iterdir())[0] / "record.json"
    broken.write_text("{ torn", encoding="utf-8")
    (section,) = read_sections([demo_dir])
    assert any(str(broken) in note for note in section.notes)
    assert len(section.records) == 23


def test_resumed_runs_and_mixed_software_are_said(tmp_path):
    study = make_study()
    records = all_records(study)
    records[3].resumed = True
    records[5].software = {**records[5].software, "torch": "2.13.0"}
    (section,) = sections_of(tmp_path, study, records)
    assert any("Resumed" in note and "identity, seed 0" in note for note in section.notes)
    assert "The runs differ in software: torch." in section.notes
    assert shared(section.records, "software")["torch"] == "2.12.0; 2.13.0"


def test_equal_warnings_are_counted_once(tmp_path):
    study = make_study()
    records = all_records(study)
    for record in records[:5]:
        record.warnings = ["the loader starved", "the loader starved"]
    (section,) = sections_of(tmp_path, study, records)
    assert section.warnings == (("the loader starved", 5),)


def test_a_single_runs_folder_is_a_study_of_one(tmp_path):
    make_record(make_study(), "wht", 0).save(tmp_path / "solo")
    (section,) = read_sections([tmp_path / "solo"])
    assert section.title == "solo"
    assert [row.name for row in section.rows] == ["wht"]
    assert section.notes == ()


def test_a_study_without_any_run_is_a_section_that_says_so(tmp_path):
    (section,) = sections_of(tmp_path, make_study(), [])
    assert section.records == []
    assert "24 runs of the study are missing" in section.notes[0]


def test_a_folder_without_a_study_is_an_error_that_names_it(tmp_path):
    with pytest.raises(DataError, match=r"holds no study\.json"):
        read_sections([tmp_path])


@pytest.mark.parametrize("text", ["{", "[]", '{"checks": [{"name": "WHT"}]}', '{"spectra": 3}'])
def test_unfit_transforms_are_a_note_and_not_a_crash(demo_dir, text):
    (demo_dir / "transforms.json").write_text(text, encoding="utf-8")
    (section,) = read_sections([demo_dir])
    assert section.transforms is None
    assert "transforms.json cannot be read" in section.notes[0]


def test_transforms_say_what_was_held_against_the_reference(tmp_path):
    values = make_transforms()
    values["checks"][0]["dtype"] = "float32"
    (tmp_path / "transforms.json").write_text(json.dumps(values), encoding="utf-8")
    found, complaint = read_transforms(tmp_path)
    assert complaint is None
    assert found["checks"][0]["reference"] == "float32 against a dense, fp64"
    assert found["checks"][1]["reference"] == "dense, fp64"
