"""A whole run on real scans: its files, its record, its bounds."""

import json

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from orthowatt.data import sources
from orthowatt.errors import DataError, InputError, TrainingError
from orthowatt.models import zoo
from orthowatt.recipes.run import demo
from orthowatt.record import RunRecord
from orthowatt.train.loop import train_run

METRICS = {
    "test_accuracy", "test_loss", "validation_accuracy", "best_validation_accuracy",
    "train_seconds", "eval_seconds", "step_seconds", "images_per_second", "macs",
    "added_macs_dense", "added_adds_fast", "added_mults_fast", "parameters", "added_parameters",
    "logit_shift", "epochs_done", "data_wait_seconds", "data_wait_share",
}  # fmt: skip


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory):
    """The folder and the record of one run of the demo's recipe."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, train_run(demo(transform="wht", device="cpu"), folder, variant="wht")


def test_the_demo_learns(demonstrated):
    _, record = demonstrated
    assert record.status == "finished"
    assert record.metrics["test_accuracy"] > 0.95
    assert record.epochs[-1]["train_loss"] < record.epochs[0]["train_loss"] / 4


def test_the_folder_holds_the_record(demonstrated):
    folder, record = demonstrated
    names = {path.name for path in folder.iterdir()}
    assert names == {"record.json", "epochs.jsonl", "model.safetensors", "checkpoint.pt"}
    assert RunRecord.load(folder).to_dict() == json.loads(json.dumps(record.to_dict()))
    assert RunRecord.load(folder).epochs == record.epochs
    assert record.variant == "wht"


def test_every_metric_is_there(demonstrated):
    _, record = demonstrated
    # of the device's own timeline and of energy: known where there is a GPU, or a sensor
    elsewhere = {"host_seconds", "joules_per_image", "energy_delay_joule_seconds"}
    assert set(record.metrics) == METRICS | elsewhere
    assert 0 < record.metrics["data_wait_share"] < 1
    assert record.metrics["host_seconds"] is None
    known = record.energy_of("train")["joules"] is not None
    assert (record.metrics["joules_per_image"] is not None) == known
    assert all(record.metric(name) is not None for name in METRICS)
    assert record.metrics["epochs_done"] == len(record.epochs) == 5
    assert 0 < record.metrics["step_seconds"] < record.metrics["train_seconds"] / 50
    assert set(record.epochs[0]) == {
        "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy",
        "learning_rate", "seconds", "joules", "energy",
    }  # fmt: skip
    assert sum(entry["seconds"] for entry in record.epochs) == pytest.approx(
        record.metrics["train_seconds"]
    )


def test_images_per_second_counts_images_not_places_in_a_batch(small, tmp_path):
    """All 1294 digits are one short batch; of seven steps two are timed, so median is mean."""
    metrics = train_run(small(batch_size=2000, epochs=7), tmp_path).metrics
    assert metrics["images_per_second"] * metrics["step_seconds"] == pytest.approx(1294)


def test_energy_is_told_or_unknown_with_a_reason(demonstrated):
    _, record = demonstrated
    phases = {"data", "epoch", "warm-up", "train", "eval", "checkpoint"}
    assert set(record.energy) == {"run", *phases}
    for window in record.energy.values():
        energy = window["energy"]
        assert (energy["joules"] is None) == (energy["status"] == "unknown")
        assert energy["joules"] is not None or energy["reason"]
    parts = record.energy["train"]["seconds"] + record.energy["eval"]["seconds"]
    assert record.energy["run"]["seconds"] > parts


def test_the_record_says_what_ran(demonstrated):
    _, record = demonstrated
    assert record.data["checksum"] == sources.load("digits").checksum
    assert (record.data["train"], record.data["validation"], record.data["test"]) == (
        1294, 144, 359,
    )  # fmt: skip
    assert record.settings["precision"] == "fp32"
    assert record.settings["determinism"] == "exact"
    assert record.settings["threads"] == 1
    assert record.hardware["slug"].startswith("cpu-")
    assert record.software["torch"]
    assert [layer["type"] for layer in record.layers] == ["WHT2d", "WHT2d"]
    assert record.memory["peak_allocated_bytes"] is None
    assert record.warnings == []
    assert not record.resumed


def test_the_weights_score_what_the_record_says(demonstrated):
    """The test accuracy again, from the stored weights, by other means."""
    folder, record = demonstrated
    digits = sources.load("digits")
    model = zoo.build("orthowatt_resnet8", num_classes=10, in_chans=1)
    zoo.insert_transform(model, "wht", "early+late", image_size=32, in_chans=1)
    model.load_state_dict(load_file(folder / "model.safetensors"), strict=True)
    images = (digits.test_images / 255 - digits.mean[0]) / digits.std[0]
    with torch.inference_mode():
        logits = model.eval()(images)
    accuracy = (logits.argmax(1) == digits.test_labels).double().mean().item()
    assert accuracy == pytest.approx(record.metrics["test_accuracy"], abs=1e-9)
    loss = F.cross_entropy(logits, digits.test_labels).item()
    assert loss == pytest.approx(record.metrics["test_loss"], rel=1e-3)


def test_a_finished_run_is_not_run_again(demonstrated, recorder):
    folder, record = demonstrated
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    progress = recorder()
    again = train_run(demo(transform="wht", device="cpu"), folder, progress=progress)
    assert again.metrics == record.metrics
    assert progress.calls == []
    assert before == {path: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_another_runs_folder_is_refused(demonstrated):
    folder, _ = demonstrated
    with pytest.raises(InputError, match=r"another configuration .*epochs 5 → 4"):
        train_run(demo(transform="wht", epochs=4, device="cpu"), folder)


def test_progress_is_told_every_step(small, recorder, tmp_path):
    progress = recorder()
    train_run(small(epochs=1, transform="dct"), tmp_path, progress=progress)
    assert progress.calls[0] == ("start", 10, "dct, seed 0")
    assert progress.calls[-1] == ("finish",)
    updates = progress.calls[1:-1]
    assert [(call[1], call[2]) for call in updates] == [(1, step) for step in range(1, 11)]
    assert all(
        loss > 0 and 0 <= accuracy <= 1 and speed > 0 for *_, loss, accuracy, speed, _ in updates
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd", "learning_rate": 0.05, "l2": 1e-4, "schedule": "one-cycle"},
        {"optimizer": "adamw", "weight_decay": 0.05, "schedule": "constant", "warmup": 0.1},
        {"label_smoothing": 0.1, "channels_last": False, "crop_padding": 0.06},
        {"precision": "bf16"},
        {"image_size": 24, "flip": True, "dropout": 0.1},
    ],
    ids=lambda changes: next(iter(changes.values())),
)
def test_every_kind_of_training_learns(small, tmp_path, changes):
    config = small(**{"epochs": 3, "batch_size": 64, "learning_rate": 6e-3, **changes})
    record = train_run(config, tmp_path)
    assert record.metrics["test_accuracy"] > 0.8
    expected = changes.get("precision", "fp32")
    assert record.settings["precision"] == expected


def test_without_validation_images_their_scores_are_unknown(small, tmp_path):
    record = train_run(small(epochs=1, validation=0.0), tmp_path)
    assert record.data["validation"] == 0
    assert record.metrics["best_validation_accuracy"] is None
    assert record.epochs[0]["validation_accuracy"] is None
    assert record.metrics["test_accuracy"] is not None


def test_no_epochs_score_the_start(small, tmp_path):
    record = train_run(small(epochs=0), tmp_path)
    assert record.metrics["step_seconds"] is None
    assert record.metrics["images_per_second"] is None
    assert record.metrics["train_seconds"] is None
    assert 0 < record.metrics["test_accuracy"] < 0.4


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"model": "resnet8"}, InputError),
        ({"data": "table:/nowhere.csv"}, DataError),
        ({"weight_decay": 0.1}, InputError),
        ({"freeze": ("layer7",)}, InputError),
        ({"device": "tpu"}, InputError),
    ],
)
def test_bad_input_leaves_no_record(small, tmp_path, changes, kind):
    with pytest.raises(kind):
        train_run(small(**changes), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_file_is_no_folder(small, tmp_path, inside):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file is a file, but must be a folder"):
        train_run(small(), tmp_path / "file" / inside)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_loss_that_is_not_finite_stops_the_run(small, tmp_path, recorder):
    config = small(optimizer="sgd", learning_rate=1e30)
    progress = recorder()
    with pytest.raises(TrainingError, match=r"the loss is (nan|inf) in epoch 1, by step \d+"):
        train_run(config, tmp_path, progress=progress)
    record = RunRecord.load(tmp_path)
    assert record.status == "failed"
    assert "lower learning_rate" in record.reason
    assert record.metric("test_accuracy") is None
    assert record.metrics["epochs_done"] == 0
    assert set(record.energy) == {"run", "data", "epoch", "warm-up", "train"}
    assert progress.calls[-1] == ("finish",)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("error", "raised", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), TrainingError, "too little memory"),
        (RuntimeError("boom"), RuntimeError, "boom"),
    ],
)
def test_a_run_that_breaks_says_why(small, tmp_path, recorder, error, raised, reason):
    with pytest.raises(raised):
        train_run(small(), tmp_path, progress=recorder(at=2, error=error))
    assert RunRecord.load(tmp_path).status == "interrupted"  # it may be well the next time
    assert reason in RunRecord.load(tmp_path).reason


@pytest.mark.parametrize("broken", [False, True])
def test_the_callers_state_is_left_alone(small, tmp_path, recorder, broken):
    torch.set_num_threads(2)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    progress = recorder(at=1, error=RuntimeError("boom")) if broken else None
    try:
        train_run(small(epochs=1, dropout=0.5), tmp_path, progress=progress)
    except RuntimeError:
        assert broken
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.slow
def test_scaled_half_precision_learns_about_the_same(small, tmp_path):
    config = small(epochs=2, batch_size=64, limit_images=640, learning_rate=6e-3)
    wide = train_run(config, tmp_path / "fp32")
    half = train_run(config.replace(precision="fp16"), tmp_path / "fp16")
    assert half.settings["precision"] == "fp16"
    losses = [[entry["train_loss"] for entry in record.epochs] for record in (wide, half)]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)
    assert losses[1][1] < 0.8 * losses[1][0]


@pytest.mark.slow
def test_a_compiled_run_learns_the_same(small, tmp_path):
    config = small(transform="wht", limit_images=640)
    plain = train_run(config, tmp_path / "plain")
    compiled = train_run(config.replace(compile=True), tmp_path / "compiled")
    assert compiled.settings["compile"] is True
    for left, right in zip(plain.epochs, compiled.epochs, strict=True):
        assert left["train_loss"] == pytest.approx(right["train_loss"], rel=0.02)
