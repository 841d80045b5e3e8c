"""The score of a part of a set."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from orthowatt.data.loader import Batches
from orthowatt.train.evaluate import Tally, evaluate


@pytest.fixture
def parts():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (23, 3, 8, 8), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 4, (23,), generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.Dropout(0.5))
    return model, images, labels


@pytest.mark.parametrize("training", [True, False])
def test_it_is_the_mean_over_all_images(parts, training):
    model, images, labels = parts
    model.train(training)
    batches = Batches(images, labels, batch_size=5, image_size=8)
    score = evaluate(model, batches, "fp32")
    assert model.training == training
    logits = model.eval()(images / 255)
    assert score is not None
    assert score.count == 23
    assert score.loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert score.accuracy == (logits.argmax(1) == labels).sum().item() / 23


def test_no_images_have_no_score(parts):
    model, images, labels = parts
    batches = Batches(images, labels, batch_size=5, image_size=8, indices=torch.tensor([]).long())
    assert evaluate(model, batches, "fp32") is None


def test_a_tally_weighs_batches_by_their_size():
    tally = Tally(torch.device("cpu"))
    tally.add(torch.tensor(1.0), torch.eye(3), torch.tensor([0, 1, 0]))
    tally.add(torch.tensor(5.0), torch.eye(3)[:1], torch.tensor([0]))
    score = tally.read()
    assert (score.loss, score.accuracy, score.count) == (2.0, 0.75, 4)


def test_a_tally_keeps_a_loss_that_is_not_finite():
    tally = Tally(torch.device("cpu"))
    tally.add(torch.tensor(float("nan")), torch.eye(2), torch.tensor([0, 1]))
    tally.add(torch.tensor(1.0), torch.eye(2), torch.tensor([0, 1]))
    assert tally.read().loss != tally.read().loss
