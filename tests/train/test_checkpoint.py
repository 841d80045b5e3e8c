"""Checkpoints: whole, read without running code, refused when they are not the run's."""

import errno
import os
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orthowatt.config import RunConfig
from orthowatt.errors import InputError, TrainingError
from orthowatt.record import NUMERICS_VERSION
from orthowatt.train import checkpoint
from orthowatt.train.checkpoint import Checkpoint

CONFIG = RunConfig()


@pytest.fixture
def made():
    weight = torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    return Checkpoint(
        config_hash=CONFIG.hash,
        data_checksum="abc",
        device="cpu-here",
        threads=1,
        transforms="plain torch",
        epoch=3,
        model={"w": weight.contiguous(memory_format=torch.channels_last)},
        stepper={"optimizer": {"state": {0: {"step": torch.tensor(3.0)}}}, "scaler": {}},
        epochs=[{"epoch": 1, "train_loss": 0.1 + 0.2}],
        step_seconds=[0.25],
        energy_now={"train": {"seconds": 1.0, "parts": {}}},
    )


def test_it_comes_back_as_it_was(made, tmp_path):
    made.save(tmp_path)
    found, notes = checkpoint.load(tmp_path, CONFIG)
    assert found is not None
    assert notes == []
    assert torch.equal(found.model["w"], made.model["w"])
    assert found.model["w"].stride() == made.model["w"].stride()
    assert replace(found, model={}, stepper={}) == replace(made, model={}, stepper={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt"]


def test_two_generations_are_kept(made, tmp_path):
    for epoch in (1, 2, 3):
        replace(made, epoch=epoch).save(tmp_path)
    names = ["checkpoint.previous.pt", "checkpoint.pt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    (tmp_path / "checkpoint.pt").unlink()  # killed between the two renames
    found, notes = checkpoint.load(tmp_path, CONFIG)
    assert found is not None
    assert (found.epoch, notes) == (2, [])
    checkpoint.forget_previous(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_none_is_none(tmp_path):
    assert checkpoint.load(tmp_path, CONFIG) == (None, [])


def test_another_configurations_is_refused(made, tmp_path):
    made.save(tmp_path)
    with pytest.raises(InputError, match=r"another configuration.*give another folder"):
        checkpoint.load(tmp_path, CONFIG.replace(seed=1))


def test_a_foreign_one_gives_way_to_the_one_before(made, tmp_path):
    replace(made, epoch=1).save(tmp_path)
    replace(made, config_hash="0123456789ab").save(tmp_path)
    found, notes = checkpoint.load(tmp_path, CONFIG)
    assert found is not None
    assert found.epoch == 1
    assert len(notes) == 1
    assert "another configuration" in notes[0]


def test_older_numerics_start_anew(made, tmp_path):
    replace(made, numerics_version=NUMERICS_VERSION - 1).save(tmp_path)
    assert checkpoint.load(tmp_path, CONFIG) == (None, [])


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "one bit":
        # inside the tensor's own bytes, which nothing but a checksum looks at
        place = content.find(torch.randn(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
            .contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).numpy().tobytes())  # fmt: skip
        assert place > 0
        content[place + 5] ^= 4
    path.write_bytes(content if how == "one bit" else content[:how])


DAMAGES = [0, 1, 100, -10, "one bit"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_file_is_refused(made, tmp_path, how):
    made.save(tmp_path)
    damage(tmp_path / "checkpoint.pt", how)
    with pytest.raises(TrainingError, match=r"damaged .*delete it"):
        checkpoint.load(tmp_path, CONFIG)


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_one_gives_way_to_the_one_before(made, tmp_path, how):
    replace(made, epoch=2).save(tmp_path)
    made.save(tmp_path)
    damage(tmp_path / "checkpoint.pt", how)
    found, notes = checkpoint.load(tmp_path, CONFIG)
    assert found is not None
    assert found.epoch == 2
    assert len(notes) == 1
    assert "checkpoint.pt is damaged" in notes[0]
    assert "the one before it was used" in notes[0]


@pytest.mark.parametrize("at", ["write", "rename"])
def test_a_full_disk_loses_nothing(made, tmp_path, monkeypatch, at):
    for epoch in (1, 2):
        replace(made, epoch=epoch).save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def refuse(*_):
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(os, {"write": "fsync", "rename": "replace"}[at], refuse)
        with pytest.raises(TrainingError, match=r"No space left on device.*make room"):
            made.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("value", [[1, 2], {"epoch": 3}, {"weight": torch.zeros(2)}])
def test_another_file_of_torchs_is_refused(tmp_path, value):
    torch.save(value, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="no checkpoint of a run"):
        checkpoint.load(tmp_path, CONFIG)


def test_nothing_in_it_is_run(tmp_path):
    proof = tmp_path / "proof"

    class Payload:
        def __reduce__(self):
            return (Path.touch, (proof,))

    torch.save({"model": Payload()}, tmp_path / "checkpoint.pt")
    with pytest.raises(TrainingError, match="damaged"):
        checkpoint.load(tmp_path, CONFIG)
    (tmp_path / "checkpoint.pt").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(TrainingError, match="damaged"):
        checkpoint.load(tmp_path, CONFIG)
    assert not proof.exists()
