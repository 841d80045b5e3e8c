"""Learning rates against torch's schedulers, and both decays against their definitions."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from orthowatt.config import RunConfig
from orthowatt.errors import InputError
from orthowatt.train.optimise import Stepper, decayed_weights, learning_rate

CPU = torch.device("cpu")


def rates(total, **settings):
    config = RunConfig(learning_rate=0.1, **settings)
    return [learning_rate(config, step, total) for step in range(total)]


@pytest.mark.parametrize("warmup", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("total", [8, 50])
def test_one_cycle_is_torchs(total, warmup):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=total, pct_start=warmup or 0.3, cycle_momentum=False
    )
    expected = []
    for _ in range(total):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(expected) < total:
            scheduler.step()
    assert rates(total, schedule="one-cycle", warmup=warmup) == pytest.approx(expected)


def test_cosine_is_torchs():
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=20)
    expected = []
    for _ in range(20):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    assert rates(20, schedule="cosine") == pytest.approx(expected)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_warm_up_rises_linearly_to_the_rate(schedule):
    found = rates(20, schedule=schedule, warmup=0.25)
    assert found[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert max(found) == pytest.approx(0.1)


def test_constant_is_constant():
    assert rates(3, schedule="constant") == [0.1, 0.1, 0.1]


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.01, 0.3, 0.99])
@pytest.mark.parametrize("total", [1, 2, 3, 7])
def test_every_rate_is_usable(schedule, warmup, total):
    for rate in rates(total, schedule=schedule, warmup=warmup):
        assert 0 < rate <= 0.1 + 1e-12


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        # a bias before a norm has no gradient but rounding, which Adam would blow up
        conv = nn.Conv2d(2, 4, 3, bias=False)
        return nn.Sequential(conv, nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))


def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(8, 2, 6, 6, generator=generator), torch.arange(8) % 3


def train(network, config, steps=4, precision="fp32"):
    stepper = Stepper(network, config, CPU, precision)
    images, labels = batch()
    for _ in range(steps):
        stepper.step(F.cross_entropy(network(images), labels), config.learning_rate)
    return network


def assert_same(first, second):
    for (name, left), right in zip(first.named_parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-6, msg=name)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_l2_is_a_penalty_in_the_loss(network, optimizer):
    config = RunConfig(optimizer=optimizer, learning_rate=0.01, l2=0.03)
    reference = copy.deepcopy(network)
    train(network, config)
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    options = {"momentum": 0.9} if optimizer == "sgd" else {}
    peer = kinds[optimizer](reference.parameters(), lr=0.01, **options)
    images, labels = batch()
    for _ in range(4):
        penalty = sum(weight.square().sum() for weight in decayed_weights(reference))
        peer.zero_grad()
        (F.cross_entropy(reference(images), labels) + 0.03 * penalty).backward()
        peer.step()
    assert_same(network, reference)


def test_weight_decay_is_adamws_on_the_same_weights(network):
    config = RunConfig(optimizer="adamw", learning_rate=0.01, weight_decay=0.3)
    reference = copy.deepcopy(network)
    train(network, config)
    decayed = decayed_weights(reference)
    others = [p for p in reference.parameters() if all(p is not w for w in decayed)]
    peer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}], lr=0.01
    )
    images, labels = batch()
    for _ in range(4):
        peer.zero_grad()
        F.cross_entropy(reference(images), labels).backward()
        peer.step()
    assert_same(network, reference)


def test_decay_leaves_biases_norms_and_filters_alone(network):
    from orthowatt.nn import TransformFilter2d

    model = nn.Sequential(network, TransformFilter2d("wht", 4, (4, 4)))
    assert [tuple(weight.shape) for weight in decayed_weights(model)] == [(4, 2, 3, 3), (3, 64)]
    network[0].weight.requires_grad_(False)
    assert len(decayed_weights(model)) == 1


def test_adam_with_decoupled_decay_is_refused(network):
    with pytest.raises(InputError, match="choose optimizer=adamw"):
        Stepper(network, RunConfig(optimizer="adam", weight_decay=0.1), CPU, "fp32")


def test_nothing_to_train_is_refused(network):
    network.requires_grad_(False)
    with pytest.raises(InputError, match="leaves nothing to train"):
        Stepper(network, RunConfig(freeze=("",)), CPU, "fp32")


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_scaled_step_with_infinite_gradients_changes_nothing(network, optimizer):
    config = RunConfig(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, l2=0.1)
    before = copy.deepcopy(network)
    stepper = Stepper(network, config, CPU, "fp16")
    images, labels = batch()
    # the scaler's first factor of 65536 overflows a gradient of 1e36
    stepper.step(1e36 * F.cross_entropy(network(images), labels), 0.1)
    assert_same(network, before)
    assert stepper.scaler.get_scale() < 65536
    # and the step after it is the first: of what was skipped, nothing is left
    stepper.step(F.cross_entropy(network(images), labels), 0.1)
    assert not torch.equal(network[0].weight, before[0].weight)
    plain = Stepper(before, config, CPU, "fp32")
    plain.step(F.cross_entropy(before(images), labels), 0.1)
    assert_same(network, before)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_scaled_step_waits_for_nothing(network, optimizer, monkeypatch):
    """Whether it overflowed is decided on the device: no number is fetched from there."""
    config = RunConfig(optimizer=optimizer, learning_rate=0.1, weight_decay=0.5, l2=0.1)
    stepper = Stepper(network, config, CPU, "fp16")
    images, labels = batch()
    fetched = []
    item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, "item", lambda self: fetched.append(self) or item(self))
    stepper.step(F.cross_entropy(network(images), labels), 0.1)
    assert not fetched


def test_a_scaled_step_is_the_plain_one(network):
    config = RunConfig(optimizer="sgd", learning_rate=0.1, l2=0.1)
    plain = train(copy.deepcopy(network), config)
    assert_same(train(network, config, precision="fp16"), plain)


def test_the_state_goes_on(network):
    config = RunConfig(learning_rate=0.01, l2=0.01)
    images, labels = batch()
    stepper = Stepper(network, config, CPU, "fp32")
    stepper.step(F.cross_entropy(network(images), labels), 0.01)
    other = copy.deepcopy(network)
    taken = Stepper(other, config, CPU, "fp32")
    taken.load_state_dict(copy.deepcopy(stepper.state_dict()))
    for model, either in ((network, stepper), (other, taken)):
        either.step(F.cross_entropy(model(images), labels), 0.01)
    for left, right in zip(network.parameters(), other.parameters(), strict=True):
        assert torch.equal(left, right)
