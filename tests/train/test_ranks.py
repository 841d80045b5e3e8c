"""Several processes train one run together: the same step as one, energy by device, one voice."""

import json
import multiprocessing
import os
import subprocess
import sys
import time

import children
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.testing._internal.distributed.fake_pg import FakeStore

from orthowatt.config import RunConfig
from orthowatt.data import sources
from orthowatt.energy import Energy, Measured
from orthowatt.errors import InputError
from orthowatt.models.surgery import insert
from orthowatt.models.zoo import build, freeze
from orthowatt.nn import WHT2d
from orthowatt.record import RunRecord
from orthowatt.train.loop import train_run
from orthowatt.train.ranks import Ranks, joined, synchronise
from orthowatt.train.segments import OTHERS, over_ranks, without_others

needs_forks = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs a fork server"
)


@pytest.fixture
def shared(small):
    """One configuration of a few steps, with a norm over channels or over the batch."""

    def make(model, **changes):
        given = {
            "model": model, "epochs": 1, "batch_size": 256, "image_size": 16, "optimizer": "sgd",
            "learning_rate": 0.05, "flip": True,
        }  # fmt: skip
        return small(**{**given, **changes})

    return make


def furthest(left, right):
    first, second = (load_file(place / "model.safetensors") for place in (left, right))
    parameters = [key for key in first if "running" not in key and "tracked" not in key]
    return max(
        ((first[k] - second[k]).norm() / (second[k].norm() + 1e-8)).item() for k in parameters
    )


@pytest.mark.slow
@needs_forks
def test_without_batch_norm_two_processes_are_one_up_to_rounding(shared, tmp_path):
    config = shared("convnext_atto", image_size=32, batch_size=96, limit_images=192)
    alone = train_run(config, tmp_path / "one")
    assert children.codes(children.start_ranks(config, tmp_path / "two")) == [0, 0]
    together = RunRecord.load(tmp_path / "two")
    assert furthest(tmp_path / "two", tmp_path / "one") < 1e-4
    assert together.settings["ranks"] == 2
    peaks = [peak["peak_rss_bytes"] for peak in together.settings["memory_by_rank"]]
    assert together.memory["peak_rss_bytes"] == (None if None in peaks else max(peaks))
    assert [one["slug"] for one in together.hardware["processes"]] == [alone.device] * 2
    assert together.metrics["test_accuracy"] == alone.metrics["test_accuracy"]
    assert together.epochs[0]["train_loss"] == pytest.approx(alone.epochs[0]["train_loss"], 1e-4)
    checked = together.epochs[0]["validation_loss"]
    assert checked == pytest.approx(alone.epochs[0]["validation_loss"], rel=1e-4)


@pytest.mark.slow
@needs_forks
def test_batch_norm_sees_its_own_process_alone(shared, tmp_path):
    """The documented difference: statistics over a share of the batch are other statistics."""
    config = shared("orthowatt_resnet8")
    train_run(config, tmp_path / "one")
    assert children.codes(children.start_ranks(config, tmp_path / "two")) == [0, 0]
    assert furthest(tmp_path / "two", tmp_path / "one") > 1e-2


@pytest.mark.slow
@needs_forks
def test_a_signal_to_one_stops_all_and_can_be_continued(shared, tmp_path):
    config = shared("orthowatt_resnet8", epochs=2, batch_size=128, limit_images=520)
    assert children.codes(children.start_ranks(config, tmp_path / "parts", at=3)) == [143, 143]
    stopped = RunRecord.load(tmp_path / "parts")
    assert (stopped.status, stopped.metrics["epochs_done"]) == ("interrupted", 0)
    assert None not in stopped.settings["memory_by_rank"]
    assert children.codes(children.start_ranks(config, tmp_path / "parts")) == [0, 0]
    assert children.codes(children.start_ranks(config, tmp_path / "whole")) == [0, 0]
    assert furthest(tmp_path / "parts", tmp_path / "whole") == 0.0
    left, right = RunRecord.load(tmp_path / "parts"), RunRecord.load(tmp_path / "whole")
    assert [e["train_loss"] for e in left.epochs] == [e["train_loss"] for e in right.epochs]


@pytest.mark.slow
@needs_forks
def test_a_process_that_fails_says_which_it_is(shared, tmp_path):
    first, second = children.start_ranks(shared("orthowatt_resnet8"), tmp_path, broken=1)
    assert children.codes([second]) == [1]
    assert (tmp_path / "error-1").read_text() == "process 1 of 2: the disk is gone"
    first.kill()  # as torchrun does
    first.join()


@pytest.mark.slow
@needs_forks
@pytest.mark.parametrize("killed", [False, True])
def test_the_record_says_which_process_ended_the_run(shared, tmp_path, killed):
    """By its own words where it had any, and not by what broke between the others."""
    config = shared("orthowatt_resnet8", batch_size=64, limit_images=320)
    if killed:
        first, second = children.start_ranks(config.replace(epochs=300), tmp_path)
        while not (tmp_path / "checkpoint.pt").exists():
            time.sleep(0.05)
        second.kill()
    else:
        first, second = children.start_ranks(config, tmp_path, diverging=1)
    assert children.codes([first, second]) == [1, -9 if killed else 1]
    record, said = RunRecord.load(tmp_path), tmp_path / "error-rank-1.txt"
    if killed:
        assert record.status == "interrupted"
        assert "another process has left without a word" in record.reason
        assert not said.exists()
        return
    assert record.status == "failed"
    assert record.reason.startswith("process 1 of 2: the loss is nan in epoch 1, by step 3")
    assert record.reason in said.read_text()
    assert [peaks is None for peaks in record.settings["memory_by_rank"]] == [False, True]
    assert record.memory["peak_rss_bytes"] is None  # of one process alone it would be too low
    assert (tmp_path / "error-0").read_text() == record.reason
    assert children.codes(children.start_ranks(config, tmp_path)) == [0, 0]
    again = RunRecord.load(tmp_path)
    assert again.status == "finished"
    assert not said.exists()
    assert any(
        "an earlier start was ended by process 1 of 2: the loss" in w for w in again.warnings
    )


@pytest.mark.slow
def test_torchrun_runs_the_command_line(tmp_path):
    config = RunConfig(epochs=1, image_size=16, batch_size=32, limit_images=64, device="cpu")
    (tmp_path / "run.json").write_text(json.dumps(config.to_dict()))
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone",
        "-m", "orthowatt", "run", str(tmp_path / "run.json"), "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("test accuracy") == 1  # one process speaks
    record = RunRecord.load(tmp_path / "out")
    assert (record.status, record.settings["ranks"]) == ("finished", 2)


def window(seconds=1.0, primary=None, **parts):
    energies = {
        scope: Energy.unknown("no sensor", scope)
        if joules is None
        else Energy(joules, "measured", scope=scope, seconds=seconds, bound_joules=1.0)
        for scope, joules in parts.items()
    }
    own = [energies[name] for name in primary]
    energy = sum(own[1:], own[0])
    whole = list(energies.values())
    return {"run": Measured(seconds, energies, energy, sum(whole[1:], whole[0])).to_dict()}


def test_energy_is_the_sum_over_the_processes_own_devices():
    """Each process sees both GPUs and the package; its own GPU is what it answers for."""
    first = window(primary=["A"], A=100.0, B=7.0, package=30.0)
    second = window(2.0, primary=["B"], A=99.0, B=110.0, package=31.0)
    found = over_ranks([first, second])["run"]
    assert found["energy"]["joules"] == 210.0
    assert found["energy"]["scope"] == "A+B"
    assert found["parts"]["B"]["joules"] == 110.0
    assert found["parts"]["package"]["joules"] == 30.0  # a machine's sensor counts once
    assert found["total"]["joules"] == 240.0
    assert found["seconds"] == 2.0


def test_processes_that_share_a_device_count_it_once():
    found = over_ranks([window(primary=["A"], A=100.0), window(primary=["A"], A=101.0)])["run"]
    assert found["energy"]["joules"] == 100.0


def test_one_unknown_device_makes_the_sum_unknown():
    found = over_ranks([window(primary=["A"], A=100.0), window(primary=["B"], A=1.0, B=None)])
    assert found["run"]["energy"]["joules"] is None
    assert found["run"]["energy"]["at_least_joules"] == 99.0


def test_where_the_others_cannot_be_asked_the_energy_is_a_floor():
    found = without_others(window(primary=["A"], A=100.0))["run"]
    assert found["energy"]["joules"] is None
    assert found["energy"]["at_least_joules"] == 99.0
    assert OTHERS in found["energy"]["reason"]


def norms(model):
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
    }


def test_batch_norms_are_synchronised_where_they_stand():
    """With the activation that timm puts into a norm, an inserted layer, and frozen statistics."""
    model = build("mobilenetv3_small_050", num_classes=4)
    insert(model, {"blocks.1.0.bn1": WHT2d(pad="crop")})
    freeze(model, ["blocks.0"])
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    keys, before = list(model.state_dict()), model.eval()(images)
    synchronise(model)
    assert list(model.state_dict()) == keys
    assert torch.equal(model(images), before)  # in evaluation both kinds are one
    model.train()
    for path, norm in norms(model).items():
        frozen = path.startswith("blocks.0.")
        assert isinstance(norm, nn.SyncBatchNorm) != frozen
        assert norm.training != frozen
    assert "orthowatt_after" in model.get_submodule("blocks.1.0.bn1")._modules


def test_an_unknown_batch_norm_is_not_synchronised():
    class Own(nn.BatchNorm2d):
        pass

    with pytest.raises(InputError, match="but 0 is a Own, which has no synchronised form"):
        synchronise(nn.Sequential(Own(4)))


@pytest.fixture
def as_rank(monkeypatch):
    """The environment of the first of two processes."""
    values = {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_synchronised_norms_on_the_cpu_are_refused_at_once(as_rank, small, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "load", None)  # before any data is read
    with pytest.raises(InputError, match="on GPUs only; give sync_bn=false"):
        train_run(small(sync_bn=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    assert not torch.distributed.is_initialized()


def test_processes_that_are_joined_already_are_refused(small, tmp_path):
    """Each would train alone, all into one folder."""
    torch.distributed.init_process_group("fake", store=FakeStore(), rank=1, world_size=2)
    try:
        with pytest.raises(InputError, match=r"already joins 2 processes.*destroy_process_group"):
            train_run(small(), tmp_path / "run")
    finally:
        torch.distributed.destroy_process_group()
    assert not (tmp_path / "run").exists()


def test_a_group_of_one_is_no_obstacle(alone, small, as_rank):
    with joined(small()) as found:
        assert found == Ranks()


def test_what_cannot_be_shared_is_refused():
    with pytest.raises(InputError, match="batch_size is 5, but 2 processes must share it equally"):
        Ranks(0, 2).share(5)
    with pytest.raises(InputError, match="needs a GPU of its own; give device=cuda"):
        Ranks(0, 2).device("cuda:1")
    assert Ranks(1, 2, 1).device("cpu") == "cpu"
    assert Ranks().agree(False, True) == (False, True)
    assert torch.equal(Ranks().gather(torch.ones(1))[0], torch.ones(1))
