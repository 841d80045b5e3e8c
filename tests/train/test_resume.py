"""Resume is continuation: the same bits, an equal record, and all the energy counted."""

import errno
import json
import multiprocessing
import os
import random
import signal

import children
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from orthowatt.data.digits import load_digits
from orthowatt.errors import TrainingError
from orthowatt.models.backend import transform_backend
from orthowatt.record import NUMERICS_VERSION, RunRecord
from orthowatt.train import runtime, stop
from orthowatt.train.loop import train_run
from orthowatt.train.segments import LOST
from orthowatt.transforms import cpu

#: Everything that draws: initial weights, order, crops, flips, dropout, a random matrix.
DRAWING = {
    "epochs": 3, "batch_size": 256, "image_size": 16, "dropout": 0.3, "crop_padding": 0.1, "flip": True,
    "transform": "random", "layer": "filter", "seed": 11, "ema": 0.8, "train_sizes": (12,),
}  # fmt: skip
STEPS = 5  # an epoch


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that was never stopped, and its configuration."""
    from orthowatt.config import RunConfig

    config = RunConfig(**DRAWING, determinism="exact", device="cpu")
    folder = tmp_path_factory.mktemp("whole")
    train_run(config, folder)
    return folder, config


needs_forks = pytest.mark.skipif(
    "forkserver" not in multiprocessing.get_all_start_methods(), reason="needs a fork server"
)


def untimed(metrics):
    """The metrics that time and energy have no part in."""
    words = ("seconds", "joules", "images_per_second", "data_wait_share")
    return {k: v for k, v in metrics.items() if not any(word in k for word in words)}


def assert_same_result(folder, reference):
    """Bit-identical weights; equal records, energy, times and memory aside."""
    first, second = (load_file(place / "model.safetensors") for place in (folder, reference))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    left, right = RunRecord.load(folder), RunRecord.load(reference)
    timed = {"seconds", "joules", "energy"}
    for one, other in zip(left.epochs, right.epochs, strict=True):
        assert {k: v for k, v in one.items() if k not in timed} == {
            k: v for k, v in other.items() if k not in timed
        }
    assert untimed(left.metrics) == untimed(right.metrics)
    assert (left.data, left.layers) == (right.data, right.layers)


def test_the_same_run_twice_is_the_same(whole, tmp_path):
    reference, config = whole
    torch.manual_seed(123)  # the caller's generator has no part in it
    train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)


def test_another_seed_is_another_run(whole, tmp_path):
    reference, config = whole
    train_run(config.replace(seed=12, epochs=1), tmp_path)
    assert (
        RunRecord.load(tmp_path).epochs[0]["train_loss"]
        != (RunRecord.load(reference).epochs[0]["train_loss"])
    )


@pytest.mark.parametrize(
    "steps", [[STEPS], [STEPS + 1], [2, 8, 3 * STEPS]], ids=lambda steps: str(steps)
)
def test_ctrl_c_at_any_step_can_be_continued(whole, tmp_path, recorder, steps):
    reference, config = whole
    for step in steps:
        with pytest.raises(KeyboardInterrupt):
            train_run(config, tmp_path, progress=recorder(at=step), variant="v")
        stopped = RunRecord.load(tmp_path)
        assert stopped.status == "interrupted"
        assert "the same command goes on" in stopped.reason
        assert stopped.metrics["epochs_done"] == (step - 1) // STEPS
        assert stopped.energy["run"]["seconds"] > 0
    train_run(config, tmp_path, variant="v")
    assert_same_result(tmp_path, reference)
    record = RunRecord.load(tmp_path)
    assert record.resumed
    assert record.started == stopped.started
    # every piece counts; nothing was redone, for each stop was written down
    assert record.energy["run"]["windows"] == 2 * (len(steps) + 1)
    whole = sum(entry["seconds"] for entry in record.epochs)
    assert record.metrics["train_seconds"] == pytest.approx(whole)


def test_a_run_is_continued_with_its_number_of_threads(small, tmp_path, recorder):
    """How sums are rounded hangs on it; what is free at the second start may differ."""
    config = small(batch_size=512, image_size=24)  # work enough for two threads
    train_run(config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path / "parts", progress=recorder(at=3))
    torch.set_num_threads(2)
    record = train_run(config, tmp_path / "parts")
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert record.settings["threads"] == 1
    assert_same_result(tmp_path / "parts", tmp_path / "whole")


def test_the_whole_run_was_not_resumed(whole):
    assert not RunRecord.load(whole[0]).resumed


@pytest.mark.slow
@needs_forks
def test_a_run_killed_at_ten_random_steps_ends_with_the_same_bits(whole, tmp_path):
    reference, config = whole
    config = config.replace(checkpoint_steps=2)
    steps = sorted(random.Random(5).sample(range(1, 3 * STEPS + 1), 10))
    for step in steps:
        assert children.run(children.train, config, tmp_path, step) == -signal.SIGKILL
        assert not (tmp_path / "record.json").exists()
    record = train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)
    # nobody knows what the killed processes used after their checkpoints
    assert record.resumed
    assert LOST in record.warnings
    assert record.metrics["train_seconds"] is None
    assert LOST in record.energy_of("run")["reason"]
    assert any(entry["seconds"] is None for entry in record.epochs)
    assert not (tmp_path / "checkpoint.previous.pt").exists()


@needs_forks
@pytest.mark.slow
@pytest.mark.parametrize("rename", range(1, 4))
def test_a_kill_while_a_checkpoint_is_written(whole, tmp_path, rename):
    """Before any of the three renames that put a checkpoint in its place."""
    reference, config = whole
    dying = config.replace(checkpoint_steps=2)
    code = children.run(children.train_until_rename, dying, tmp_path, rename)
    assert code == -signal.SIGKILL
    train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)
    assert not list(tmp_path.glob(".checkpoint*"))


@pytest.mark.slow
@needs_forks
def test_a_run_killed_before_its_first_checkpoint_starts_anew(whole, tmp_path):
    reference, config = whole
    assert children.run(children.train, config, tmp_path, 2) == -signal.SIGKILL
    assert not (tmp_path / "checkpoint.pt").exists()
    record = train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)
    # nothing is continued, but what the killed process used belongs to the run all the same
    assert LOST in record.energy_of("run")["reason"]
    assert record.resumed
    assert record.metrics["train_seconds"] is None
    assert not list(tmp_path.glob("energy-*"))


@pytest.mark.slow
@needs_forks
def test_another_configurations_journal_is_not_counted(whole, tmp_path):
    _, config = whole
    assert children.run(children.train, config, tmp_path, 2) == -signal.SIGKILL
    record = train_run(config.replace(epochs=0), tmp_path)
    assert not record.resumed
    assert LOST not in record.warnings


def test_sigterm_is_written_down_and_can_be_continued(whole, tmp_path, recorder):
    reference, config = whole
    with pytest.raises(SystemExit) as stopped:
        train_run(config, tmp_path, progress=recorder(at=8, number=signal.SIGTERM))
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    record = RunRecord.load(tmp_path)
    assert (record.status, record.metrics["epochs_done"]) == ("interrupted", 1)
    assert "SIGTERM" in record.reason
    record = train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)
    assert record.metrics["train_seconds"] > 0


def test_what_a_launcher_sends_beside_the_terminal_is_the_same_wish(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(stop.time, "monotonic", lambda: now[0])
    signals = stop.Signals()
    signals.hold = True
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):  # the step is ended in order
        signals._note(number, None)
    now[0] = 2 * stop.ONE_WISH
    signals._note(signal.SIGTERM, None)
    assert signals.asked == signal.SIGINT
    with pytest.raises(KeyboardInterrupt):  # asked for again: at once
        signals._note(signal.SIGINT, None)


def test_a_second_sigterm_does_not_cost_the_checkpoint(whole, tmp_path, recorder):
    """A time limit signals the whole group, and the study its run once more."""

    class Twice(recorder):
        def update(self, *facts):
            super().update(*facts)
            if self.at == facts[1]:
                os.kill(os.getpid(), self.number)

    reference, config = whole
    with pytest.raises(SystemExit):
        train_run(config, tmp_path, progress=Twice(at=8, number=signal.SIGTERM))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["position"]["step"] == 3
    train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(whole, tmp_path, recorder):
    reference, config = whole
    with pytest.raises(KeyboardInterrupt):
        train_run(config.replace(checkpoint_steps=2), tmp_path, progress=recorder(at=4))
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-200])
    record = train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)
    assert any("is damaged" in warning for warning in record.warnings)


def test_a_full_disk_stops_the_run_and_loses_nothing(whole, tmp_path, monkeypatch):
    reference, config = whole
    real, calls = os.fsync, []

    def full(number):
        calls.append(number)
        if len(calls) == 4:  # the second checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(number)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TrainingError, match="No space left on device"):
            train_run(config, tmp_path)
    assert RunRecord.load(tmp_path).status == "interrupted"
    train_run(config, tmp_path)
    assert_same_result(tmp_path, reference)


def test_a_stale_run_starts_anew(whole, small, tmp_path):
    config = small(epochs=1)
    train_run(config, tmp_path)
    first = load_file(tmp_path / "model.safetensors")
    path = tmp_path / "record.json"
    values = json.loads(path.read_text())
    values["numerics_version"] = NUMERICS_VERSION - 1
    values["metrics"]["test_accuracy"] = -1
    path.write_text(json.dumps(values))
    checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    checkpoint["numerics_version"] = NUMERICS_VERSION - 1
    torch.save(checkpoint, tmp_path / "checkpoint.pt")
    record = train_run(config, tmp_path)
    assert not record.resumed
    assert record.numerics_version == NUMERICS_VERSION
    assert record.metrics["test_accuracy"] > 0
    second = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_an_unreadable_record_is_replaced(small, tmp_path):
    (tmp_path / "record.json").write_text("{")
    train_run(small(epochs=0), tmp_path)
    assert RunRecord.load(tmp_path).status == "finished"


def test_changed_data_is_noticed(small, tmp_path, recorder):
    """A folder of real scans gets one more between the pieces of a run."""
    digits = load_digits()
    pairs = zip(digits.test_images[:60], digits.test_labels[:60], strict=True)
    for number, (image, label) in enumerate(pairs):
        place = tmp_path / "data" / ("train" if number < 45 else "test") / str(int(label))
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image[0].numpy()).save(place / f"{number}.png")
    config = small(data=f"imagefolder:{tmp_path / 'data'}", batch_size=16, validation=0.0)
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path / "run", progress=recorder(at=3))
    place = tmp_path / "data" / "train" / "0" / "new.png"
    Image.fromarray(digits.train_images[0, 0].numpy()).save(place)
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(TrainingError, match="the data has changed"):
        train_run(config, tmp_path / "run")
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    place.unlink()
    record = train_run(config, tmp_path / "run")
    assert record.status == "finished"
    assert record.data["shape"] == [3, 16, 16]


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_other_kernels_go_on_only_where_bits_do_not_matter(
    small, tmp_path, recorder, monkeypatch, mode
):
    """A run begun with the kernels is continued where the package has none."""
    config = small(transform="dct", determinism=mode)
    name = ["C++ kernels, avx2"]
    monkeypatch.setattr(runtime, "transform_backend", lambda *_: name[0])
    with pytest.raises(KeyboardInterrupt):
        train_run(config, tmp_path, progress=recorder(at=11))
    assert RunRecord.load(tmp_path).settings["transforms"] == "C++ kernels, avx2"
    name[0] = "plain torch"
    if mode == "exact":
        with pytest.raises(TrainingError, match=r"C\+\+ kernels, avx2.*another folder"):
            train_run(config, tmp_path)
        name[0] = "C++ kernels, avx2"
        assert train_run(config, tmp_path).warnings == []
        return
    record = train_run(config, tmp_path)
    assert record.settings["transforms"] == "plain torch"
    assert "transforms begun by C++ kernels, avx2, continued by plain torch" in record.warnings


def test_the_backend_is_told_for_what_the_run_computes():
    told = transform_backend("wht", "cpu")
    assert told == (cpu.reason() if cpu.library() else "plain torch")
    assert transform_backend("random", "cpu") == transform_backend("dct", "cuda") == "plain torch"
