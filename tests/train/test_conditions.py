"""What a run is computed with stays as it began, or the run says that it did not."""

from pathlib import Path

import pytest
import torch

from orthowatt.errors import TrainingError
from orthowatt.record import RunRecord
from orthowatt.train import conditions, planner, runtime
from orthowatt.train.loop import train_run

BEGAN = {
    "transforms": "plain torch", "processes": 1, "precision": "bf16", "device": "NVIDIA A100",
    "torch": "2.14.0", "micro_batch": None,
}  # fmt: skip


@pytest.fixture
def stopped(recorder, tmp_path):
    """Begins `config` in `tmp_path`, and stops it in its second epoch."""

    def begin(config, folder=tmp_path):
        with pytest.raises(KeyboardInterrupt):
            train_run(config, folder, progress=recorder(at=3))

    return begin


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("what", "now", "words"),
    [
        ("precision", "fp16", "precision: bf16, but here it would go on with fp16"),
        ("device", "NVIDIA H100", "device: NVIDIA A100, .* with NVIDIA H100"),
        ("torch", "2.15.0", r"torch: 2\.14\.0, .* with 2\.15\.0"),
        ("micro_batch", 16, "micro_batch: the whole batch, .* with 16"),
        ("processes", 2, "processes: 1, .* with 2"),
    ],
)
def test_a_change_is_refused_or_noted(what, now, words):
    changed = {**BEGAN, what: now}
    with pytest.raises(TrainingError, match=rf"began with {words}.*another folder"):
        conditions.changes(BEGAN, changed, Path("here"), exact=True)
    assert len(conditions.changes(BEGAN, changed, Path("here"), exact=False)) == 1
    assert conditions.changes(BEGAN, BEGAN, Path("here"), exact=True) == []


def test_a_run_tells_what_computes_it():
    found = conditions.here(torch.device("cpu"), "fp32", "plain torch", 1)
    assert found["torch"] == torch.__version__
    assert found.keys() <= BEGAN.keys() - {"micro_batch"}


def test_another_precision_is_refused_where_bits_matter(small, stopped, tmp_path, monkeypatch):
    config = small(limit_images=256)
    stopped(config)
    before = content(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(runtime, "resolve_precision", lambda *_: "bf16")
        with pytest.raises(TrainingError, match="precision: fp32, but here it would go on with"):
            train_run(config, tmp_path)
    assert content(tmp_path) == before
    assert train_run(config, tmp_path).warnings[1:] == []


def test_another_precision_is_noted_where_they_do_not(
    small, stopped, recorder, tmp_path, monkeypatch
):
    """fp32 has no state of a loss scaler, which fp16 needs; the note outlives a further stop."""
    config = small(limit_images=256, determinism="fast")
    stopped(config)
    monkeypatch.setattr(runtime, "resolve_precision", lambda *_: "fp16")
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path, progress=recorder(at=4))
    record = train_run(config, tmp_path)
    assert record.status == "finished"
    assert record.warnings.count("precision begun by fp32, continued by fp16") == 1


def test_a_run_keeps_the_micro_batch_that_it_began_with(small, stopped, tmp_path, monkeypatch):
    config = small(limit_images=256, auto_batch=True)
    monkeypatch.setattr(planner, "free_bytes", lambda: 7 * 2**20)
    stopped(config)
    part = RunRecord.load(tmp_path).settings["micro_batch"]
    assert 1 < part < config.batch_size
    monkeypatch.setattr(planner, "free_bytes", lambda: 2**40)
    record = train_run(config, tmp_path)
    assert record.settings["micro_batch"] == record.settings["batch_norm_images"] == part
    assert [w for w in record.warnings if "batch norm saw" in w]
    assert not [w for w in record.warnings if "begun by" in w]


def test_a_micro_batch_that_no_longer_fits_gives_way_only_where_bits_do_not_matter(
    small, stopped, tmp_path, monkeypatch
):
    for mode in ("exact", "fast"):
        folder = tmp_path / mode
        config = small(limit_images=256, auto_batch=True, determinism=mode)
        monkeypatch.setattr(planner, "free_bytes", lambda: 2**40)
        stopped(config, folder)
        monkeypatch.setattr(planner, "free_bytes", lambda: 7 * 2**20)
        if mode == "exact":
            with pytest.raises(TrainingError, match="micro_batch: the whole batch, but here"):
                train_run(config, folder)
            continue
        record = train_run(config, folder)
        part = record.settings["micro_batch"]
        assert 1 < part < config.batch_size
        assert f"micro_batch begun by the whole batch, continued by {part}" in record.warnings


def test_a_checkpoint_that_does_not_tell_still_loads(small, stopped, tmp_path):
    config = small(limit_images=256)
    stopped(config)
    values = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    for name in ("conditions", "notes"):
        del values[name]
    torch.save(values, tmp_path / "checkpoint.pt")
    assert train_run(config, tmp_path).status == "finished"
