"""The set held on the device: a fixed validation split and seeded batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

import torch
from torch import Tensor

from ..errors import InputError
from .augment import Draws, affine, draw, gather, prepare
from .seeds import derive, shuffled
from .sources import Dataset


def split(labels: Tensor, fraction: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Positions (train, validation), int64 and ascending, of a fixed stratified split.

    Of each class the images that come first in an order hashed from `seed` and position are for
    validation: `fraction` of them, rounded down, and one more for the classes with the largest
    remainders until the whole is round(fraction · N). A class keeps at least one train image.
    The result depends on the arguments alone, on no library's generator.

    >>> train, validation = split(torch.tensor([0, 1] * 10), 0.2)
    >>> len(train), len(validation)
    (16, 4)
    """
    labels = labels.cpu()
    if not 0 <= fraction < 1:
        raise InputError(f"validation is {fraction}, but must be a fraction in [0, 1)")
    order = torch.tensor(shuffled(seed, range(len(labels))), dtype=torch.int64)
    by_class = order[labels[order].argsort(stable=True)]
    sizes = labels.unique(return_counts=True)[1].tolist()
    chosen = [
        group[:count]
        for group, count in zip(by_class.split(sizes), _quotas(sizes, fraction), strict=True)
    ]
    return _divide(len(labels), torch.cat(chosen))


def validation_split(dataset: Dataset, fraction: float, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Positions (train, validation) in the training set of `dataset`.

    Where the source itself names validation images, those are it and `fraction` matters only in
    that 0 trains on them too.
    """
    if dataset.validation is None or fraction == 0:
        return split(dataset.train_labels, fraction, seed)
    return _divide(len(dataset.train_labels), dataset.validation)


def some(indices: Tensor, most: int | None) -> Tensor:
    """At most `most` of the positions `indices`, drawn by their hash; ascending as they were.

    >>> some(torch.arange(100), 3).tolist() == some(torch.arange(100), 3).tolist()
    True
    """
    if most is None or most >= len(indices):
        return indices
    return indices[sorted(shuffled(0, indices.tolist())[:most])]


def _divide(count: int, chosen: Tensor) -> tuple[Tensor, Tensor]:
    mask = torch.zeros(count, dtype=torch.bool)
    mask[chosen] = True
    return (~mask).nonzero().flatten(), mask.nonzero().flatten()


def _quotas(sizes: Sequence[int], fraction: float) -> list[int]:
    share = Fraction(str(fraction))  # exact: 0.1 of 30 is 3, not 3.0000000000000004
    exact = [share * size for size in sizes]
    counts = [int(value) for value in exact]
    missing = round(share * sum(sizes)) - sum(counts)
    by_remainder = sorted(range(len(sizes)), key=lambda i: (counts[i] - exact[i], i))
    for index in by_remainder:
        if missing > 0 and counts[index] + 1 < sizes[index]:
            counts[index] += 1
            missing -= 1
    return [min(count, max(0, size - 1)) for count, size in zip(counts, sizes, strict=True)]


def channel_bytes_together(images: Tensor) -> Tensor:
    """The images (N, C, H, W) with each pixel's channels side by side in memory.

    That is what a gather reads and what channels_last wants. Copies unless it is so already, so
    parts of one set that are given the result share it.
    """
    return images.contiguous(memory_format=torch.channels_last)


class Batches:
    """Batches of one part of a set, prepared where the images lie.

    Images are uint8 (N, C, H, W), labels int64 (N,), both on one device; `indices` picks the
    part (default: all). A batch is float32 (B, C, image_size, image_size), in memory
    channels-last unless `channels_last=False`, and int64 (B,). With `train=True` the order is
    shuffled, crops (`crop_padding` is a fraction of the stored size, padded by reflection) and
    flips are drawn, and the last incomplete batch is left out unless it is the only one: each
    epoch then leaves out other images and every step has one size. `alternate_flip` mirrors a
    fixed random half of the images in odd epochs and the other half in even ones, instead of
    drawing anew (the idea: Jordan, arXiv 2404.00498).

    `share` = (rank, size) takes this process's part of each training batch, whose size counts the
    images of all processes, or of the images themselves where they are not for training.

    Order, crops and flips of epoch e are drawn on the CPU from a generator seeded by (seed, e)
    alone, so they are the same on every device, and any epoch can be begun at any step.

    >>> images = torch.zeros(10, 1, 8, 8, dtype=torch.uint8)
    >>> batches = Batches(images, torch.arange(10), batch_size=4, image_size=8, train=True)
    >>> [x.shape[0] for x, _ in batches.epoch(1)]
    [4, 4]
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        *,
        batch_size: int,
        image_size: int,
        mean: Sequence[float] = (0.0,),
        std: Sequence[float] = (1.0,),
        indices: Tensor | None = None,
        train: bool = False,
        crop_padding: float = 0.0,
        flip: bool = False,
        alternate_flip: bool = False,
        seed: int = 0,
        channels_last: bool = True,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        device = images.device
        self.images = channel_bytes_together(images).permute(0, 2, 3, 1)
        self.labels = labels
        self.indices = torch.arange(len(labels)) if indices is None else indices.cpu()
        self.batch_size, self.image_size = batch_size, image_size
        self.train, self.flip, self.seed = train, flip, seed
        self.alternate_flip = alternate_flip
        self.rank, self.ranks = share
        if not train:
            self.indices = self.indices[self.rank :: self.ranks]
        self.padding = round(crop_padding * images.shape[-1]) if train else 0
        self.channels_last = channels_last
        self.scale, self.shift = affine(mean, std, device)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.indices), self.batch_size)
        return whole + bool(rest) if not self.train or whole == 0 else whole

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return self.epoch(0)

    def epoch(
        self, number: int, start: int = 0, image_size: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of epoch `number` in order, from step `start` on.

        `image_size` is another one than usual.
        """
        device = self.images.device
        order, draws = self._plan(number)
        order, draws = order.to(device), draws.to(device)
        size = image_size or self.image_size
        for step in range(start, len(self)):
            rows = self._rows(step, len(order))
            chosen = order[rows]
            pixels = self._pixels(chosen, draws[rows])
            ready = prepare(pixels, self.scale, self.shift, size)
            yield ready if self.channels_last else ready.contiguous(), self.labels[chosen]

    def _rows(self, step: int, count: int) -> slice:
        """The places in the epoch's order that make this process's part of a step."""
        first = step * self.batch_size
        if not self.train or self.ranks == 1:
            return slice(first, first + self.batch_size)
        part = min(self.batch_size, count - first) // self.ranks
        return slice(first + self.rank * part, first + (self.rank + 1) * part)

    def _pixels(self, chosen: Tensor, draws: Draws) -> Tensor:
        """The images at positions `chosen`, cropped and flipped as drawn: uint8 (B, H, W, C)."""
        return gather(self.images, chosen, draws)

    def _plan(self, number: int) -> tuple[Tensor, Draws]:
        if not self.train:
            return self.indices, Draws()
        generator = torch.Generator().manual_seed(derive(self.seed, "batches", number))
        order = self.indices[torch.randperm(len(self.indices), generator=generator)]
        draws = draw(len(order), self.padding, self.flip, generator)
        if not self.alternate_flip:
            return order, draws
        generator.manual_seed(derive(self.seed, "mirrored"))
        first = torch.randint(0, 2, (len(self.labels),), generator=generator).bool()
        return order, replace(draws, flip=first[order] ^ (number % 2 == 1))
