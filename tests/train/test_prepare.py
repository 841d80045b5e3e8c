"""The model of a run: shared backbones, shifts of the logits, normalisation."""

import pytest
import torch

from orthowatt.data import loader, sources
from orthowatt.errors import InputError
from orthowatt.train import prepare
from orthowatt.train.ranks import Ranks
from orthowatt.train.runtime import own_randomness, own_threads, useful_threads

CPU = torch.device("cpu")


@pytest.fixture
def build(small):
    """Prepares a configuration on digits."""
    digits = sources.load("digits")
    indices = (*loader.validation_split(digits, 0.1), torch.arange(len(digits.test_labels)))

    def make(**changes):
        config = small(image_size=32, **changes)
        _, mean, std = prepare.normalisation(config, digits)
        parts = prepare.batches(config, digits, indices, mean, std)
        with own_randomness(CPU), own_threads():
            return prepare.prepare(config, digits, parts.probe, CPU)

    return make


@pytest.mark.parametrize(
    ("transform", "layer"),
    [
        *((name, "bare") for name in ("wht", "fft", "random", "identity")),
        *((name, "filter") for name in ("wht", "random")),
    ],
)
def test_one_seed_has_one_backbone_whatever_is_inserted(build, transform, layer):
    plain = build(seed=3).model.state_dict()
    with own_randomness(CPU):
        torch.manual_seed(99)  # the caller's generator has no part in it
        changed = build(seed=3, transform=transform, layer=layer).model.state_dict()
    assert set(plain) <= set(changed)
    assert all(torch.equal(plain[key], changed[key]) for key in plain)
    other = build(seed=4).model.state_dict()
    assert not torch.equal(plain["conv1.0.weight"], other["conv1.0.weight"])


@pytest.mark.parametrize(
    ("changes", "low", "high"),
    [
        ({"transform": "none"}, 0, 0),
        ({"transform": "identity"}, 0, 0),
        ({"transform": "wht", "layer": "filter"}, 0, 1e-5),
        ({"transform": "wht"}, 0.05, 10),
        ({"transform": "fft"}, 0.05, 10),
        ({"transform": "wht", "dropout": 0.5, "layer": "filter"}, 0, 1e-5),
    ],
)
def test_the_logits_shift_as_the_layer_does(build, changes, low, high):
    assert low <= build(**changes).metrics["logit_shift"] <= high


@pytest.mark.parametrize(
    ("ranks", "at_once", "images"),
    [(Ranks(), None, 128), (Ranks(), 16, 16), (Ranks(1, 2), None, 64), (Ranks(1, 2), 8, 8)],
)
def test_images_are_scored_as_many_at_once_as_a_step_may_hold(small, ranks, at_once, images):
    digits = sources.load("digits")
    indices = (*loader.validation_split(digits, 0.1), torch.arange(len(digits.test_labels)))
    given = (small(), digits, indices, digits.mean, digits.std, ranks, at_once)
    parts = prepare.batches(*given)
    for part in (parts.validation, parts.test):
        assert max(len(labels) for _, labels in part) == images
    assert len(next(iter(parts.train))[1]) == 128 // ranks.size
    assert len(parts.probe) == 32


def test_images_in_parts_have_the_logits_of_all(build):
    model = build().model
    images = torch.rand(10, 1, 32, 32)
    torch.testing.assert_close(prepare.logits(model, images, 4), prepare.logits(model, images, 10))


def test_the_layers_and_their_cost_are_told(build):
    found = build(transform="wht")
    assert [layer["size"] for layer in found.layers] == [[16, 16], [4, 4]]
    plain = build().metrics
    assert found.metrics["macs"] == plain["macs"] > 4e6
    # two products of every map with a dense matrix: 16 of 16×16 and 64 of 4×4
    assert found.metrics["added_macs_dense"] == 16 * 2 * 16**3 + 64 * 2 * 4**3
    # log2 of the points additions each
    assert found.metrics["added_adds_fast"] == 16 * 256 * 8 + 64 * 16 * 4
    # and along each axis one scaling of every point
    assert found.metrics["added_mults_fast"] == 2 * (16 * 256 + 64 * 16)
    assert plain["added_mults_fast"] == plain["added_adds_fast"] == 0
    assert "added_macs" not in plain  # it left the transforms out, so bare ones seemed free
    assert plain["added_macs_dense"] == plain["added_parameters"] == 0
    assert build(transform="wht", layer="filter").metrics["added_parameters"] > 0


def test_pretrained_networks_see_imagenets_colours(small):
    digits = sources.load("digits")
    assert prepare.normalisation(small(), digits)[0] == "the training images"
    assert prepare.normalisation(small(weights="file"), digits)[1] == digits.mean
    colours = torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 1, 0, 1])
    photos = sources.assemble("photos", colours, colours, ("a", "b"))
    assert prepare.normalisation(small(weights="file"), photos) == ("ImageNet", *prepare.IMAGENET)
    assert prepare.normalisation(small(), photos)[1] == photos.mean


def test_frozen_parts_are_frozen(build):
    model = build(freeze=("layer1",), transform="wht", layer="filter").model
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert frozen
    assert all(name.startswith("layer1.") and "orthowatt" not in name for name in frozen)
    with pytest.raises(InputError, match="freeze"):
        build(freeze=("layer9",))


def test_threads_follow_the_work():
    before = torch.get_num_threads()
    assert useful_threads(1e6, 64) == 1
    assert useful_threads(1e15, 64) == 64
    assert useful_threads(0, 4) == 1
    assert torch.get_num_threads() == before
