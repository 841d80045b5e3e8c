"""Whether a run fits: plans for named GPUs, the choice of a micro-batch, refusals before a step."""

import pytest
import torch

from orthowatt.config import RunConfig
from orthowatt.data import sources
from orthowatt.errors import InputError, TrainingError
from orthowatt.models.zoo import build
from orthowatt.record import RunRecord
from orthowatt.train import planner, prepare
from orthowatt.train.cards import CARDS, card
from orthowatt.train.loop import train_run
from orthowatt.train.planner import Room, plan, room
from orthowatt.train.ranks import Ranks

MIB = 2**20


@pytest.fixture(scope="module")
def model():
    with torch.device("meta"):
        return build("orthowatt_resnet8", num_classes=10, in_chans=1)


def planned(model, free=None, total=None, **changes):
    config = RunConfig(**{"image_size": 32, "batch_size": 256, **changes})
    return plan(model, config, Room("a device", total, free), channels=1, precision="fp32")


def test_a_named_gpu_is_planned_for_as_a_whole(model):
    assert [name for name in CARDS if card(name).memory_bytes > 40 * 2**30] == [
        "l40s", "a100-80", "h100", "h200",
    ]  # fmt: skip
    where = room(card("t4"))
    assert where.free is None
    assert where.total == card("t4").memory_bytes - planner.CONTEXT
    with pytest.raises(InputError, match=r"did you mean .a100-.0. or .a100-.0."):
        card("a100")


@pytest.mark.parametrize(
    ("name", "precision", "fits"), [("t4", "fp16", True), ("t4", "fp32", False), ("l4", "fp32", 1)]
)
def test_resnet50_at_224_on_known_gpus(name, precision, fits):
    """Batches of 192 in fp32 need about 16 GiB, which a T4 does not have and an L4 has."""
    with torch.device("meta"):
        model = build("resnet50", num_classes=100)
    config = RunConfig(image_size=224, batch_size=192)
    found = plan(model, config, room(card(name)), channels=3, precision=precision)
    assert found.fits is bool(fits)
    assert (found.batch_fits is None) is bool(fits)
    if not fits:
        assert 128 <= found.batch_fits < 192
        assert f"a batch_size of {found.batch_fits} fits" in found.sentence()
        assert "NVIDIA T4 16 GB has 13.93 GiB in all, which is too little" in found.sentence()


def test_too_much_names_a_batch_that_fits(model):
    need = planned(model).total
    found = planned(model, free=need // 2)
    assert not found.fits
    assert 0 < found.batch_fits < 256
    assert planned(model, free=need // 2, batch_size=found.batch_fits).fits
    with pytest.raises(TrainingError, match=r"needs about .* free, which is too little: a batch_s"):
        planner.check(found)
    nothing = planned(model, free=1)
    assert nothing.batch_fits == 0
    assert "no batch fits" in nothing.sentence()


def test_what_fits_passes_and_the_unknown_is_not_refused(model):
    planner.check(planned(model, free=2**40))
    unknown = planned(model)
    assert unknown.fits is None
    assert "is not known" in unknown.sentence()
    planner.check(unknown)


@pytest.mark.parametrize("share", [1.5, 0.7, 0.4, 0.2])
def test_the_micro_batch_is_the_largest_divisor_that_fits(model, share):
    total = int(planned(model).total * share)
    found = planned(model, total=total, auto_batch=True)
    sizes = [n for n in (256, 128, 64, 32, 16, 8, 4, 2, 1) if n <= (found.micro_batch or 256)]
    assert found.total <= planner.USABLE * total
    assert found.need.images == sizes[0]
    if found.micro_batch is not None:
        larger = planned(model, micro_batch=None if sizes[0] == 128 else 2 * sizes[0])
        assert larger.total > planner.USABLE * total
    # what else runs on the device plays no part in the choice
    assert planned(model, total=total, free=1, auto_batch=True).micro_batch == found.micro_batch


def test_what_compiling_may_save_is_no_reason_to_refuse(model):
    need = planned(model).total
    plain = planned(model, free=need // 2)
    compiled = planned(model, free=need // 2, compile=True)
    assert (plain.fits, compiled.fits) == (False, None)
    planner.check(compiled)
    assert f"is not known, but a batch_size of {plain.batch_fits} fits" in compiled.sentence()
    nothing = planned(model, free=plain.need.weights, compile=True)  # and no room for gradients
    with pytest.raises(TrainingError, match="which is too little: no batch fits"):
        planner.check(nothing)


def test_several_processes_keep_their_gradients_in_buckets(model):
    config = RunConfig(image_size=32, batch_size=256)
    where = Room("a device", None, None)
    one, two = (
        plan(model, config, where, channels=1, precision="fp32", processes=n) for n in (1, 2)
    )
    assert one.need.step + one.need.gradients < two.need.step < one.need.step * 1.1


class Ready:
    """A run of two processes up to its plan."""

    def __init__(self, config):
        self.config, self.device, self.precision = config, torch.device("cpu"), "fp32"
        self.ranks = Ranks(0, 2)
        self.record = RunRecord(config, data={"train": 1000})
        self.micro_batch = None

    def as_begun(self, share):
        return self.config

    def goes_on_with(self, **conditions):
        pass


@pytest.mark.parametrize(("sync_bn", "seen"), [(True, 128), (False, 64)])
def test_synchronised_batch_norms_can_be_planned(small, sync_bn, seen):
    """torch's layer for it computes on GPUs only, and so not on the plan's shapes."""
    run = Ready(small(sync_bn=sync_bn))
    planner.settle(run, sources.load("digits", image_size=16))
    assert run.record.settings["batch_norm_images"] == seen


@pytest.mark.parametrize("batch", [8, None])
def test_the_probe_is_no_larger_than_a_step(small, tmp_path, monkeypatch, batch):
    """What is planned must be what comes first: before it nothing is computed or moved."""
    seen = []
    real = prepare.logits

    def watched(model, images, at_once):
        seen.append(at_once)
        return real(model, images, at_once)

    monkeypatch.setattr(prepare, "logits", watched)
    train_run(small(epochs=0, micro_batch=batch), tmp_path)
    assert seen == [batch or 128] * 2


def test_the_plan_comes_before_the_data_and_the_network(small, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("too late")

    monkeypatch.setattr(planner, "free_bytes", lambda: 3 * MIB)
    monkeypatch.setattr(sources.Dataset, "to", never)
    monkeypatch.setattr(prepare, "prepare", never)
    with pytest.raises(TrainingError, match="which is too little"):
        train_run(small(), tmp_path / "run")


def test_what_the_caller_holds_on_a_gpu_is_not_free(monkeypatch):
    told = {
        "mem_get_info": (10 * MIB, 1000 * MIB), "memory_reserved": 50 * MIB,
        "memory_allocated": 30 * MIB, "get_device_name": "a GPU",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
    assert room(torch.device("cuda:0")).free == 30 * MIB


def test_one_image_at_once_is_too_few_for_a_batch_norm(model):
    with pytest.raises(InputError, match="cannot train on 1 image at once; choose a larger batch_"):
        planned(model, batch_size=1, image_size=16)
    # at 32 pixels the last maps have four values, so one image at once will do
    assert planned(model, batch_size=1).need.images == 1
    assert planned(model, total=1, auto_batch=True, image_size=16).micro_batch == 2


def test_the_largest_training_size_counts(model):
    small, large = planned(model), planned(model, train_sizes=(64,))
    assert large.need.step > 3 * small.need.step


def test_a_run_that_does_not_fit_is_refused_before_it_writes_anything(small, tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "free_bytes", lambda: 3 * MIB)
    with pytest.raises(TrainingError, match=r"this machine has .* free, which is too little"):
        train_run(small(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_run_in_parts_is_flagged(small, tmp_path):
    record = train_run(small(epochs=1, micro_batch=32), tmp_path)
    assert record.settings["micro_batch"] == 32
    assert record.settings["batch_norm_images"] == 32
    assert record.settings["memory_plan"]["parts"]["images"] == 32
    assert any("batch norm saw micro-batches of 32 of each 128" in w for w in record.warnings)


def test_a_run_in_one_is_not(small, tmp_path):
    record = train_run(small(epochs=1, auto_batch=True), tmp_path)
    assert record.settings["micro_batch"] is None
    assert record.settings["batch_norm_images"] == 128
    assert record.settings["memory_plan"]["fits"] is True
    assert not any("micro-batch" in warning for warning in record.warnings)


def test_auto_batch_accumulates_where_memory_is_short(small, tmp_path, monkeypatch):
    monkeypatch.setattr(planner, "free_bytes", lambda: 8 * MIB)
    with pytest.raises(TrainingError, match="auto_batch keeps 128"):
        train_run(small(epochs=1), tmp_path)
    record = train_run(small(epochs=1, auto_batch=True), tmp_path)
    assert record.settings["micro_batch"] in (64, 32, 16)
    assert record.settings["memory_plan"]["fits"] is True
    assert record.status == "finished"
