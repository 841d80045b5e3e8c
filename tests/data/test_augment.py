"""Batched crops, flips, normalisation and resizing against image-by-image references."""

import pytest
import torch
from torch.nn import functional as F

from orthowatt.data.augment import Draws, affine, draw, gather, prepare


@pytest.fixture
def images(generator):
    return torch.randint(0, 256, (7, 10, 12, 3), dtype=torch.uint8, generator=generator)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def reference(image, down, right, flip, padding):
    """Pad by reflection, cut the window out, mirror it: one image (H, W, C), step by step."""
    height, width, _ = image.shape
    planes = image.permute(2, 0, 1)[None].float()
    padded = F.pad(planes, (padding,) * 4, mode="reflect")
    top, left = padding + down, padding + right
    window = padded[0, :, top : top + height, left : left + width]
    return (window.flip(-1) if flip else window).permute(1, 2, 0).to(torch.uint8)


@pytest.mark.parametrize("padding", [0, 1, 5])
@pytest.mark.parametrize("flip", [False, True])
def test_gather_is_pad_crop_and_flip(images, generator, padding, flip):
    indices = torch.tensor([3, 3, 0, 6, 5, 1])
    draws = draw(len(indices), padding, flip, generator)
    found = gather(images, indices, draws)
    for place, index in enumerate(indices):
        down = 0 if draws.down is None else int(draws.down[place])
        right = 0 if draws.right is None else int(draws.right[place])
        mirrored = draws.flip is not None and bool(draws.flip[place])
        expected = reference(images[index], down, right, mirrored, padding)
        assert torch.equal(found[place], expected)


def test_nothing_drawn_gathers_the_images_themselves(images):
    assert torch.equal(gather(images, torch.tensor([2, 0]), Draws()), images[[2, 0]])


def test_draws_cover_their_range(generator):
    draws = draw(4000, 2, True, generator)
    for shifts in (draws.down, draws.right):
        counts = torch.bincount(shifts + 2, minlength=5)
        assert counts.min() > 650  # 800 expected, 6 standard deviations are 152
    assert 0.44 < draws.flip.float().mean() < 0.56


def test_prepare_normalises(images):
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    found = prepare(images[:, :10, :10], *affine(mean, std, torch.device("cpu")), 10)
    planes = images[:, :10, :10].permute(0, 3, 1, 2).double() / 255
    shape = (1, 3, 1, 1)
    expected = (planes - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("size", [5, 16, 224])
def test_prepare_resizes_what_is_not_yet_square(images, size):
    scale, shift = affine((0.0,) * 3, (1.0,) * 3, torch.device("cpu"))
    found = prepare(images, scale, shift, size)
    planes = images.permute(0, 3, 1, 2).double() / 255
    expected = F.interpolate(planes, (size, size), mode="bilinear", antialias=size < 12)
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-5)
