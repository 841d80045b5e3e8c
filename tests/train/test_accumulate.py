"""Summed gradients of parts against those of the whole batch."""

import pytest
import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn import functional as F

from orthowatt.models.zoo import build, freeze
from orthowatt.train.accumulate import has_batch_norm, keeping, parts
from orthowatt.train.ranks import Ranks


def gradients(model, images, labels, size):
    """The gradients of all parameters, summed over the parts of one batch."""
    model.zero_grad(set_to_none=True)
    for x, y, share, _ in parts(images, labels, size):
        (F.cross_entropy(model(x), y) * share).backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


def network(norm):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3), norm(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(8, 4),
        )  # fmt: skip
    return model.double()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(12, 1, 8, 8, generator=generator, dtype=torch.float64)
    return images, torch.randint(0, 4, (12,), generator=generator)


@pytest.mark.parametrize("size", [1, 4, 5, 12, 50, None])
def test_parts_have_the_gradient_of_the_whole(batch, size):
    model = network(lambda channels: nn.GroupNorm(2, channels))
    whole = gradients(model, *batch, None)
    for found, wanted in zip(gradients(model, *batch, size), whole, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


def test_a_batch_norm_sees_the_part_and_so_differs(batch):
    model = network(nn.BatchNorm2d)
    whole, halves = gradients(model, *batch, None), gradients(model, *batch, 6)
    assert max((a - b).abs().max() for a, b in zip(whole, halves, strict=True)) > 1e-3


@pytest.mark.parametrize(("size", "times"), [(None, 1), (4, 1)])
def test_the_gradients_travel_once_a_step(alone, batch, size, times):
    model = network(lambda channels: nn.GroupNorm(2, channels))
    whole = gradients(model, *batch, None)
    model.zero_grad(set_to_none=True)
    forward, sent = Ranks(0, 2).wrap(model, torch.device("cpu")), []

    def counted(state, bucket):
        sent.append(bucket.index())
        return allreduce_hook(state, bucket)

    forward.register_comm_hook(None, counted)
    for x, y, share, last in parts(*batch, size):
        with keeping(forward, last):
            (F.cross_entropy(forward(x), y) * share).backward()
    assert len(sent) == times
    for parameter, wanted in zip(model.parameters(), whole, strict=True):
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-12, atol=1e-14)


def test_a_frozen_batch_norm_is_none():
    model = build("orthowatt_resnet8", num_classes=3, in_chans=1)
    model.eval()
    assert has_batch_norm(model)
    assert not model.training
    freeze(model, [name for name, _ in model.named_children()])
    assert not has_batch_norm(model)
