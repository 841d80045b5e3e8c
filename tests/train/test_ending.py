"""The end of a run: nothing that was written before is lost, and the reason is told in any case."""

import errno
import os

import pytest

from orthowatt.energy import EnergyMeter
from orthowatt.errors import TrainingError
from orthowatt.record import RunRecord
from orthowatt.train.loop import train_run
from orthowatt.train.run import Run

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def stopped(small, recorder, tmp_path):
    """The configuration of a run that was stopped in its second epoch, in `tmp_path`."""
    config = small(limit_images=640, batch_size=64)  # ten steps an epoch, five of them timed
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path, progress=recorder(at=12))
    return config


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def raises(error):
    def call(*_, **__):
        raise error

    return call


def test_a_start_that_ends_at_once_keeps_what_is_written(stopped, tmp_path, monkeypatch):
    """Ctrl-C between the take-over of the folder and the first step."""
    before = RunRecord.load(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "restore", raises(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            train_run(stopped, tmp_path)
    after = RunRecord.load(tmp_path)
    assert after.status == "interrupted"
    assert after.epochs == before.epochs
    assert len(after.epochs) == after.metrics["epochs_done"] == 1
    assert after.metrics["step_seconds"] == before.metrics["step_seconds"] > 0
    assert len(train_run(stopped, tmp_path).epochs) == 2


def test_a_full_disk_at_the_start_leaves_the_folder_as_it_was(stopped, tmp_path, monkeypatch):
    before = content(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", raises(FULL))
        with pytest.raises(TrainingError, match="No space left on device"):
            train_run(stopped, tmp_path)
    assert content(tmp_path) == before
    assert train_run(stopped, tmp_path).metrics["epochs_done"] == 2


def test_a_record_that_finds_no_room_is_named(small, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(RunRecord, "save", raises(FULL))
        with pytest.raises(TrainingError, match=r"record\.json cannot be written .*make room"):
            train_run(small(epochs=0), tmp_path)
    assert train_run(small(epochs=0), tmp_path).status == "finished"


def test_samples_of_power_that_find_no_room_cost_a_warning(small, tmp_path, monkeypatch):
    monkeypatch.setattr(EnergyMeter, "save_samples", raises(FULL))
    assert train_run(small(epochs=0), tmp_path).status == "finished"
    record = RunRecord.load(tmp_path)
    assert record.status == "finished"
    assert "power.npz was not written (No space left on device)" in record.warnings


def test_a_device_that_answers_nothing_any_more_does_not_hide_why(
    small, recorder, tmp_path, monkeypatch
):
    """After some errors of CUDA every later call to it fails too."""
    config = small()
    sticky = RuntimeError("CUDA error: device-side assert triggered\nCompile with …")

    def break_down(*facts):
        monkeypatch.setattr(Run, "memory_so_far", raises(sticky))
        monkeypatch.setattr(EnergyMeter, "to_dict", raises(sticky))
        raise sticky

    progress = recorder()
    progress.update = break_down
    with pytest.raises(RuntimeError, match="device-side assert"):
        train_run(config, tmp_path, progress=progress)
    record = RunRecord.load(tmp_path)
    assert record.status == "interrupted"
    assert "device-side assert triggered" in record.reason
    assert record.memory.get("peak_rss_bytes") is None
    assert record.energy_of("run")["joules"] is None
    told = [warning for warning in record.warnings if "could not be told at the end" in warning]
    assert len(told) == 2
    assert all(warning.endswith("device-side assert triggered)") for warning in told)
