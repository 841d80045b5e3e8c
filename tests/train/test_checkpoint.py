"""Checkpoints: whole, read without running code, refused when they are not the run's."""

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
    found = checkpoint.load(tmp_path, CONFIG)
    assert found is not None
    assert torch.equal(found.model["w"], made.model["w"])
    assert found.model["w"].stride() == made.model["w"].stride()
    assert replace(found, model={}, stepper={}) == replace(made, model={}, stepper={})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.pt"]


def test_none_is_none(tmp_path):
    assert checkpoint.load(tmp_path, CONFIG) is None


def test_another_configurations_is_refused(made, tmp_path):
    made.save(tmp_path)
    with pytest.raises(InputError, match="another configuration"):
        checkpoint.load(tmp_path, CONFIG.replace(seed=1))


def test_older_numerics_start_anew(made, tmp_path):
    replace(made, numerics_version=NUMERICS_VERSION - 1).save(tmp_path)
    assert checkpoint.load(tmp_path, CONFIG) is None


@pytest.mark.parametrize("keep", [0, 1, 100, -10])
def test_a_torn_file_is_refused(made, tmp_path, keep):
    made.save(tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match=r"damaged .*delete it"):
        checkpoint.load(tmp_path, CONFIG)


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
