"""Records: whole or not at all, null for what is not known, readable by later versions."""

import json
import os

import pytest

from orthowatt.config import RunConfig, StudyConfig, Variant
from orthowatt.errors import DataError
from orthowatt.record import NUMERICS_VERSION, RunRecord, Study, dumps, write_atomic


@pytest.fixture
def record():
    return RunRecord(
        RunConfig(transform="wht"),
        variant="wht",
        metrics={"test_accuracy": 0.5, "lost": float("nan")},
        energy={"run": {"energy": {"joules": None, "status": "unknown", "reason": "no sensor"}}},
        epochs=[{"epoch": 1, "train_loss": float("inf")}],
    )


def test_round_trip(record, tmp_path):
    record.save(tmp_path)
    again = RunRecord.load(tmp_path)
    assert again.config == record.config
    assert again.metric("test_accuracy") == 0.5
    assert again.metric("lost") is None
    assert again.metric("never measured") is None
    assert again.epochs == [{"epoch": 1, "train_loss": None}]
    assert again.energy_of("run")["reason"] == "no sensor"
    assert "no window 'eval'" in again.energy_of("eval")["reason"]
    assert not again.stale


def test_json_is_strict():
    assert (
        dumps({"a": float("nan"), "b": [float("inf"), 1.5], 3: (1,)})
        == '{"a": null, "b": [null, 1.5], "3": [1]}'
    )


def test_a_torn_epoch_line_is_left_out(record, tmp_path):
    record.save(tmp_path)
    with open(tmp_path / "epochs.jsonl", "a") as file:
        file.write('{"epoch": 2, "tra')
    assert [epoch["epoch"] for epoch in RunRecord.load(tmp_path).epochs] == [1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 99}, "schema version 99"),
        ({"status": "great"}, "lacks its config or a valid status"),
        ({"config": {"transform": "wth"}}, "cannot be read"),
    ],
)
def test_foreign_records_are_refused(record, tmp_path, change, words):
    record.save(tmp_path)
    path = tmp_path / "record.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(DataError, match=words):
        RunRecord.load(tmp_path)


def test_missing_and_damaged_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"holds no record\.json"):
        RunRecord.load(tmp_path)
    (tmp_path / "record.json").write_text('{"config"')
    with pytest.raises(DataError, match="delete the folder and run it again"):
        RunRecord.load(tmp_path)
    with pytest.raises(DataError, match=r"holds no study\.json"):
        Study.load(tmp_path)


def test_stale_is_another_version_of_the_numerics(record):
    record.numerics_version = NUMERICS_VERSION - 1
    assert record.stale


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_study_names_what_it_cannot_read(record, tmp_path):
    study = StudyConfig("s", RunConfig(), (Variant("none"), Variant("wht", {"transform": "wht"})))
    write_atomic(tmp_path / "study.json", dumps(study.to_dict()))
    record.save(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "b").mkdir()
    write_atomic(tmp_path / "runs" / "c" / "record.json", "{")
    found = Study.load(tmp_path)
    assert [r.variant for r in found.of_variant("wht")] == ["wht"]
    assert found.of_variant("none") == []
    assert len(found.notes) == 1
    assert "cannot be read" in found.notes[0]
