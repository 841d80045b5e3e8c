"""Budgets and targets, what a final run trains on, sizes that grow, averages beside the score."""

import time

import pytest
import torch
from safetensors.torch import load_file

from orthowatt.config import RunConfig
from orthowatt.data.loader import Batches
from orthowatt.errors import InputError
from orthowatt.models import zoo
from orthowatt.recipes.run import fast
from orthowatt.record import RunRecord
from orthowatt.train.average import Average
from orthowatt.train.budget import Budget, exceeded, image_areas
from orthowatt.train.loop import train_run
from orthowatt.train.ranks import Ranks
from orthowatt.train.run import Run


def test_a_target_ends_training_after_its_epoch(small, tmp_path):
    config = small(epochs=6, batch_size=64, learning_rate=6e-3, target_accuracy=0.6)
    record = train_run(config, tmp_path)
    stopped = record.settings["stopped"]
    assert record.status == "finished"
    assert stopped["by"] == "target_accuracy"
    assert stopped["epoch"] == record.metrics["epochs_done"] < 6
    scores = [entry["validation_accuracy"] for entry in record.epochs]
    assert scores[-1] >= 0.6 > max(scores[:-1], default=0.0)
    assert any("target_accuracy 0.6 was reached" in warning for warning in record.warnings)
    assert record.metrics["test_accuracy"] > 0.5
    cost = record.settings["joules_to_target"]
    known = record.energy_of("train")["joules"] is not None
    assert (cost["value"] is not None) == known
    assert train_run(config, tmp_path).metrics == record.metrics


def test_a_target_that_is_not_reached_changes_nothing(small, tmp_path):
    plain = train_run(small(epochs=1), tmp_path / "plain")
    record = train_run(small(epochs=1, target_accuracy=1.0), tmp_path / "target")
    assert "stopped" not in record.settings
    assert record.epochs[0]["train_loss"] == plain.epochs[0]["train_loss"]


def test_a_budget_keeps_the_tests_share_back(small, tmp_path, monkeypatch):
    """At 2 J a step of 128 images, two passes over 359 images and one over 144 are worth 4.5 J."""
    steps = []

    def joules(run, window):
        return 2.0 * len(steps)

    monkeypatch.setattr(Run, "joules", joules)
    real = Average.update
    monkeypatch.setattr(Average, "update", lambda *args: (steps.append(1), real(*args)))
    config = small(budget_joules=31.0, ema=0.5)
    record = train_run(config, tmp_path)
    assert record.status == "finished"
    # 26 J, and 4.5 J for the passes, and 2 J for what comes before the next look
    assert record.settings["stopped"] == {
        "by": "budget_joules", "limit": 31.0, "value": 26.0, "epoch": 2, "step": 13,
    }  # fmt: skip
    assert [entry.get("steps") for entry in record.epochs] == [None, 3]
    assert record.epochs[1]["validation_accuracy"] is None
    assert record.metrics["test_accuracy"] is not None
    assert any("training stopped in epoch 2, step 13: 26 J" in w for w in record.warnings)
    assert any("the run kept budget_joules 31 is unknown" in w for w in record.warnings)


def test_a_budget_ends_a_run_whose_energy_is_lost(small, tmp_path, monkeypatch):
    readings = iter([1.0] * 3)  # to be allowed to begin, and two looks at the first step
    monkeypatch.setattr(Run, "joules", lambda *_: next(readings, None))
    record = train_run(small(budget_joules=1e6), tmp_path)
    assert record.status == "finished"
    assert record.settings["stopped"]["step"] == 2
    assert any("could not be read any more" in warning for warning in record.warnings)


def test_smaller_images_count_by_their_area():
    """What 100 images of 16 pixels cost says what an image of 32 will: four times as much."""
    data = {"test": 30, "validation": 0}
    assert image_areas([16, 32], [100, 10], 32) == 35.0
    for size, spent in ((32, False), (16, True)):
        budget = Budget(RunConfig(budget_joules=55.0))
        assert budget.spent(50.0, image_areas([size], [120], 32), data) == spent


@pytest.mark.parametrize(
    ("energy", "text"),
    [
        ({"joules": 90.0, "bound_joules": 5.0}, None),
        ({"joules": 98.0, "bound_joules": 5.0}, "98 ± 5 J: whether it kept budget_joules 100 is"),
        ({"joules": 98.0, "bound_joules": None}, "the run used 98 J: whether it kept"),
        ({"joules": 104.0, "bound_joules": 5.0}, "104 ± 5 J: more than budget_joules 100"),
        ({"joules": None, "reason": "no sensor"}, "kept budget_joules 100 is unknown: no sensor"),
    ],
)
def test_the_record_says_whether_the_budget_was_kept(energy, text):
    found = exceeded(RunConfig(budget_joules=100.0), energy)
    assert found is None if text is None else text in found
    assert exceeded(RunConfig(), energy) is None


def test_a_budget_that_cannot_be_watched_is_refused(small, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "joules", lambda *_: None)
    with pytest.raises(InputError, match="cannot be measured here; `orthowatt doctor` says why"):
        train_run(small(budget_joules=10.0), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_final_run_trains_on_everything_but_the_test_set(small, tmp_path):
    record = train_run(small(epochs=1, train_on="train+validation"), tmp_path)
    assert (record.data["train"], record.data["validation"]) == (1438, 0)
    assert record.metrics["validation_accuracy"] is None
    assert record.metrics["test_accuracy"] is not None


def test_sizes_grow_and_the_score_is_at_the_last(small, tmp_path, monkeypatch):
    sizes, real = [], Batches.epoch

    def epoch(self, number, start=0, image_size=None):
        for images, labels in real(self, number, start, image_size):
            sizes.append((self.train, images.shape[-1]))
            yield images, labels

    monkeypatch.setattr(Batches, "epoch", epoch)
    train_run(small(epochs=3, batch_size=512, train_sizes=(8, 12)), tmp_path)
    trained = [size for train, size in sizes if train]
    assert trained == [8, 8, 12, 12, 16, 16]
    assert {size for train, size in sizes if not train} == {16}


def test_the_average_is_what_is_scored_and_kept(small, tmp_path):
    averaged = train_run(small(epochs=1, ema=0.9, mirror_test=True), tmp_path / "ema")
    plain = train_run(small(epochs=1), tmp_path / "plain")
    assert averaged.settings["scored_weights"] == "moving average, 0.9"
    # training itself is the same, and its last weights stand beside the score
    assert averaged.epochs[0]["train_loss"] == plain.epochs[0]["train_loss"]
    assert averaged.metrics["test_accuracy_last_weights"] == plain.metrics["test_accuracy"]
    assert averaged.metrics["test_accuracy"] != plain.metrics["test_accuracy"]
    assert 0 < averaged.metrics["test_accuracy_mirrored"] <= 1
    assert "test_accuracy_mirrored" not in plain.metrics
    first, second = (load_file(tmp_path / n / "model.safetensors") for n in ("ema", "plain"))
    assert not all(torch.equal(first[key], second[key]) for key in first)
    assert RunRecord.load(tmp_path / "ema").energy["beside"]["windows"] == 2


def test_an_average_is_its_definition():
    network = torch.nn.BatchNorm1d(3)
    average = Average(network, 0.9)
    expected = network.weight.detach().clone()
    for step in range(4):
        with torch.no_grad():
            network.weight.add_(1.0)
            network.num_batches_tracked.add_(1)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * network.weight.detach()
        average.update(network)
    assert torch.allclose(average.model.weight, expected)
    assert average.model.num_batches_tracked == 4
    again = Average(network, 0.9)
    again.load_state_dict(average.state_dict())
    assert torch.equal(again.model.weight, average.model.weight)
    assert again.steps == 4


def test_the_fast_recipe_works_small(tmp_path):
    """Progressive sizes, filters that are resampled to them, an average: the whole of it."""
    config = fast(
        model="orthowatt_resnet8", data="digits", pretrained=False, image_size=24,
        train_sizes=(12, 16), batch_size=64, epochs=6, ema=0.9, device="cpu", flip=False,
        learning_rate=0.2,
    )  # fmt: skip
    record = train_run(config, tmp_path)
    assert [layer["type"] for layer in record.layers] == ["TransformFilter2d"] * 2
    assert record.metrics["logit_shift"] < 1e-4  # it begins as the identity
    assert record.metrics["test_accuracy"] > 0.8
    weights = load_file(tmp_path / "model.safetensors")
    learned = [value for key, value in weights.items() if key.endswith("orthowatt_after.v")]
    assert len(learned) == 2
    assert all((value - 1).abs().max() > 1e-3 for value in learned)


def test_the_average_computes_with_its_own_layers():
    """Inserted layers belong to the copy: a change to the network leaves its average alone."""
    model = zoo.build("orthowatt_resnet8", num_classes=10, in_chans=1)
    zoo.insert_transform(model, "wht", "early", "filter", image_size=16, in_chans=1)
    average = Average(model, 0.9).model
    x = torch.rand(2, 1, 16, 16)
    before = average(x)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(".v"):
                parameter.add_(1.0)
    assert torch.equal(average(x), before)
    with torch.no_grad():
        average.layer1[0].orthowatt_after.v.mul_(2.0)
    assert not torch.equal(average(x), before)


def test_a_rehearsal_takes_few_images_and_says_so(small, tmp_path):
    record = train_run(small(epochs=1, batch_size=16, limit_images=40), tmp_path)
    assert [record.data[part] for part in ("train", "validation", "test")] == [40, 40, 40]
    assert record.settings["total_steps"] == 2
    assert "a rehearsal: of each part at most 40 images" in record.warnings
    assert record.config.limit_images == 40
    assert record.config.hash != small(epochs=1, batch_size=16).hash


def test_long_steps_on_a_gpu_are_looked_at_by_time(monkeypatch):
    """Every 20 steps, and where these take long every two seconds; several processes by count."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for processes, expected in ((1, [4, 8, 12, 16, 20]), (2, [20])):
        run = object.__new__(Run)
        run.config, run.device = RunConfig(), torch.device("cuda")
        run.ranks, run._looked_at = Ranks(size=processes), now[0]
        looked = []
        for step in range(1, 21):
            now[0] += 0.5
            if run.looks(step, steps=100):
                looked.append(step)
        assert looked == expected
