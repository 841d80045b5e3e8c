"""The small fast network: it whitens, hands on what it is given, and learns."""

import pytest
import torch
from torch.nn import functional as F

from orthowatt.data.digits import load_digits
from orthowatt.models import zoo
from orthowatt.models.speed import SpeedNet


@pytest.fixture(scope="module")
def scans():
    digits = load_digits()
    return (digits.train_images[:256] / 255 - 0.3) / 0.4, digits.train_labels[:256]


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return SpeedNet(10, 1, widths=(16, 24, 32))


def test_the_first_convolution_whitens(network, scans):
    images, _ = scans
    network.whiten(images)
    maps = network.whitening(images).transpose(0, 1).flatten(1)
    covariance = torch.cov(maps[: len(maps) // 2].double())
    assert torch.allclose(covariance, torch.diag(covariance.diag()), atol=1e-3)
    # a direction with little in it is not blown up to 1
    assert 0 < covariance.diag().min() < covariance.diag().max() < 1.0
    assert torch.equal(network.whitening.weight[:4], -network.whitening.weight[4:])
    assert not network.whitening.weight.requires_grad


def test_it_learns(network, scans):
    images, labels = scans
    network.whiten(images)
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.02)
    losses = []
    for _ in range(12):
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_timm_and_runs_build_it_by_name():
    model = zoo.build("orthowatt_speednet", num_classes=100)
    assert isinstance(model, SpeedNet)
    assert model.head.out_features == 100
