"""Batched work on uint8 images where they lie: gather with crop and flip, normalise, resize."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Draws:
    """The random choices of one epoch, one a position in its order.

    `down` and `right` are the shifts of the crop in pixels, int64 (N,); `flip` is bool (N,).
    A member that is None is not applied.
    """

    down: Tensor | None = None
    right: Tensor | None = None
    flip: Tensor | None = None

    def __getitem__(self, rows: slice) -> Draws:
        parts = (self.down, self.right, self.flip)
        return Draws(*(None if part is None else part[rows] for part in parts))

    def to(self, device: torch.device) -> Draws:
        """The same choices on `device`."""
        parts = (self.down, self.right, self.flip)
        return Draws(*(None if part is None else part.to(device) for part in parts))


def draw(count: int, padding: int, flip: bool, generator: torch.Generator) -> Draws:
    """Choices for `count` images: shifts in [-padding, padding], flips with probability ½.

    >>> draws = draw(4, 2, True, torch.Generator().manual_seed(0))
    >>> int(draws.down.abs().max()) <= 2, draws.flip.dtype
    (True, torch.bool)
    """
    down = right = flips = None
    if padding:
        down = torch.randint(-padding, padding + 1, (count,), generator=generator)
        right = torch.randint(-padding, padding + 1, (count,), generator=generator)
    if flip:
        flips = torch.randint(0, 2, (count,), generator=generator).bool()
    return Draws(down, right, flips)


def gather(images: Tensor, indices: Tensor, draws: Draws) -> Tensor:
    """The images (N, H, W, C) at `indices`, cropped and flipped: uint8 (B, H, W, C).

    A crop out of the image padded by reflection, a horizontal flip and the selection are one
    indexed read: row i of the crop is row reflect(i + down) of the image.
    """
    if draws.down is None and draws.flip is None:
        return images[indices]
    height, width = images.shape[1:3]
    rows = torch.arange(height, device=images.device)[None, :]
    columns = torch.arange(width, device=images.device)[None, :]
    if draws.flip is not None:
        columns = torch.where(draws.flip[:, None], width - 1 - columns, columns)
    if draws.down is not None and draws.right is not None:
        rows = reflect(rows + draws.down[:, None], height)
        columns = reflect(columns + draws.right[:, None], width)
    pixels = (indices[:, None, None] * height + rows[:, :, None]) * width + columns[:, None, :]
    chosen = images.view(-1, images.shape[3]).index_select(0, pixels.flatten())
    return chosen.view(len(indices), height, width, images.shape[3])


def reflect(index: Tensor, size: int) -> Tensor:
    """Fold indices just outside 0 … size−1 back, without repeating the edge.

    >>> reflect(torch.tensor([-2, -1, 0, 3, 4, 5]), 4).tolist()
    [2, 1, 0, 3, 2, 1]
    """
    last = size - 1
    return last - (last - index.abs()).abs()


def prepare(images: Tensor, scale: Tensor, shift: Tensor, size: int) -> Tensor:
    """uint8 (B, H, W, C) to float32 (B, C, size, size): x · scale + shift, then bilinear resize.

    The result is channels-last in memory. Resizing comes second: it is linear, so the order does
    not matter, and the small image is the cheaper one to normalise. Shrinking is antialiased.

    >>> x = torch.full((1, 4, 4, 1), 255, dtype=torch.uint8)
    >>> prepare(x, torch.tensor([2 / 255]), torch.tensor([-1.0]), 8).unique()
    tensor([1.])
    """
    values = images.float().mul_(scale).add_(shift).permute(0, 3, 1, 2)
    if values.shape[-2:] == (size, size):
        return values
    shrinks = size < max(values.shape[-2:])
    return F.interpolate(
        values, size=(size, size), mode="bilinear", align_corners=False, antialias=shrinks
    )


def affine(
    mean: Sequence[float], std: Sequence[float], device: torch.device
) -> tuple[Tensor, Tensor]:
    """(scale, shift), float32 (C,), so that x · scale + shift is (x / 255 − mean) / std."""
    centre = torch.tensor(mean, dtype=torch.float64)
    spread = torch.tensor(std, dtype=torch.float64)
    scale, shift = 1 / (255 * spread), -centre / spread
    return scale.float().to(device), shift.float().to(device)
