"""Failure signatures: a real run that shows each of them, and healthy ones that do not."""

import pytest
import torch

from orthowatt.config import RunConfig
from orthowatt.models.zoo import build, insert_transform
from orthowatt.record import RunRecord
from orthowatt.train import signatures
from orthowatt.train.loop import train_run

HEALTHY = {"epochs": 5, "learning_rate": 4e-3, "schedule": "cosine"}


@pytest.fixture
def run(small, tmp_path):
    def train(**changes) -> RunRecord:
        return train_run(small(**{"schedule": "constant", **changes}), tmp_path)

    return train


def names(record):
    return [sign["name"] for sign in record.signatures]


def test_a_healthy_run_shows_none(run):
    record = run(**HEALTHY)
    assert record.metrics["test_accuracy"] > 0.85
    assert record.signatures == []


def test_a_network_that_does_not_learn_is_near_chance(run, tmp_path):
    record = run(epochs=3, learning_rate=1e-7)
    assert names(record) == ["near chance"]
    (sign,) = record.signatures
    assert "after 3 epochs, below 22.5 %: chance, 10.0 %, and 5 binomial errors" in sign["text"]
    assert "smaller model" in sign["remedy"]
    assert RunRecord.load(tmp_path).signatures == record.signatures


def test_a_rate_far_too_high_makes_the_validation_swing(run):
    record = run(epochs=8, learning_rate=0.3, momentum=0.98, batch_size=32, optimizer="sgd", seed=1)
    assert "swinging" in names(record)
    sign = record.signatures[names(record).index("swinging")]
    assert "in the last 4 epochs" in sign["text"]
    assert "regularise" in sign["remedy"]
    assert "lower learning_rate" in sign["remedy"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"transform": "fft"}, ["loses phase", "loses phase"]),
        # layer1 works on 10×10 maps of images of 20×20: no Hadamard matrix, so a crop from 12
        ({"transform": "wht", "position": "early", "image_size": 20}, ["not invertible"]),
        ({"transform": "wht", "pad": "keep", "position": "early", "image_size": 20}, []),
        ({"transform": "wht"}, []),
        ({"transform": "hartley", "norm": None}, []),
        ({"transform": "fft", "layer": "filter"}, []),
    ],
)
def test_layers_that_lose_something(run, changes, expected):
    record = run(epochs=1, **changes)
    assert [name for name in names(record) if name != "near chance"] == expected


def score(*accuracies, test=0.5, classes=10, held_out=True, **config):
    key = "validation_accuracy" if held_out else "train_accuracy"
    epochs = [
        {"validation_accuracy": None, "train_accuracy": 1.0, key: accuracy}
        for accuracy in accuracies
    ]
    data = {"classes": classes, "validation": 100 if held_out else 0, "train": 10_000}
    return RunRecord(RunConfig(**config), epochs=epochs, data=data, metrics={"test_accuracy": test})


@pytest.mark.parametrize(
    ("record", "near"),
    [
        (score(0.1, 0.1, 0.249), True),  # 0.1 + 5 · √(0.1 · 0.9 / 100) = 0.25
        (score(0.1, 0.1, 0.251), False),
        (score(0.1, 0.1), False),  # too early to tell
        (score(0.1, 0.1, 0.9, 0.1), False),  # after three epochs, and at the end
        (score(0.1, 0.1, 0.9, test=0.0999), True),
        (score(0.1, 0.1, 0.9, test=0.1), False),
        (score(0.1, 0.1, 0.9, test=None), False),
        (score(0.1, 0.1, 0.12, held_out=False), False),  # 10,000 images: below 0.115
        (score(0.1, 0.1, 0.114, held_out=False), True),
        (score(0.02, 0.02, 0.05, classes=100), True),
    ],
)
def test_near_chance_by_its_numbers(record, near):
    assert (signatures.near_chance(record) is not None) is near


def test_a_bare_transform_is_told_of_the_filter():
    bare = signatures.near_chance(score(0.1, test=0.05, transform="fft"))
    assert bare is not None
    assert "layer=filter" in bare.remedy
    filtered = signatures.near_chance(score(0.1, test=0.05, transform="fft", layer="filter"))
    assert filtered is not None
    assert "layer=filter" not in filtered.remedy


@pytest.mark.parametrize(
    ("accuracies", "swings"),
    [
        ((0.9, 0.1, 0.8, 0.59), True),
        ((0.9, 0.1, 0.8, 0.61), False),
        ((0.1, 0.9), False),  # one epoch alone
        ((0.9, 0.1, 0.7, 0.8, 0.75), False),  # the last two of five
        ((), False),
    ],
)
def test_swinging_by_its_numbers(accuracies, swings):
    record = score(*accuracies)
    assert (signatures.swinging(record.epochs) is not None) is swings


def test_what_only_rises_is_said_to_be_learning():
    sign = signatures.swinging(score(0.1, 0.1, 0.4, 0.7).epochs)
    assert sign is not None
    assert "rising throughout" in sign.text
    assert "more epochs" in sign.remedy


def test_a_filter_that_has_become_zero_is_not_invertible():
    with torch.random.fork_rng(devices=[]):
        model = build("orthowatt_resnet8", num_classes=2, in_chans=1)
    edits = insert_transform(model, "wht", "early", "filter", image_size=32, in_chans=1)
    assert list(signatures.of_layers(model)) == []
    with torch.no_grad():
        edits.sites[0].layer.v[0, 0, 0] = 0
    (sign,) = signatures.of_layers(model)
    assert sign.name == "not invertible"
    assert "layer1.0.orthowatt_after" in sign.text
