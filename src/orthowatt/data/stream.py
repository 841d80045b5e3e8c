"""Batches of images that are decoded while the steps before them run."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .augment import Draws, gather
from .decode import pool
from .files import Files, Pending
from .loader import Batches

#: Batches that are being decoded ahead of the one that is used.
AHEAD = 3


class StreamedBatches(Batches):
    """`Batches` of image files: the same images in the same order, cropped and flipped as drawn.

    Threads decode the next batches while a step runs; `labels` decide the device that the batches
    come to. Everything else is as in `Batches`, so a streamed run repeats a cached one.
    """

    def __init__(self, files: Files, labels: Tensor, **options: Any) -> None:
        none = torch.empty((0, *files.shape[1:]), dtype=torch.uint8, device=labels.device)
        super().__init__(none, labels, **options)
        self.files = files
        self._coming: Iterator[Tensor] = iter(())

    def epoch(
        self, number: int, start: int = 0, image_size: int | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of epoch `number` in order, from step `start` on."""
        order, _ = self._plan(number)
        rows = [self._rows(step, len(order)) for step in range(start, len(self))]
        self._coming = self._decoded([order[some].tolist() for some in rows])
        try:
            yield from super().epoch(number, start, image_size)
        finally:
            self._coming.close()  # type: ignore[attr-defined]  (a generator's)

    def _decoded(self, batches: list[list[int]]) -> Iterator[Tensor]:
        """The images of each batch, a few batches begun before they are asked for."""
        pin = self.labels.device.type == "cuda"
        begun: deque[Pending] = deque()
        with pool() as threads:
            for positions in batches:
                begun.append(self.files.start(positions, threads, pin))
                if len(begun) > AHEAD:
                    yield begun.popleft().wait()
            while begun:
                yield begun.popleft().wait()

    def _pixels(self, chosen: Tensor, draws: Draws) -> Tensor:
        device = self.labels.device
        # pinned memory is copied without a wait, and turned there, where the host has no work by it
        held = next(self._coming).to(device, non_blocking=True)
        held = held.permute(0, 2, 3, 1).contiguous()
        return gather(held, torch.arange(len(chosen), device=device), draws)


def batches(images: Tensor | Files, labels: Tensor, **options: Any) -> Batches:
    """The batches of a set that is held on the device, or of files that stay on disk."""
    if isinstance(images, Files):
        return StreamedBatches(images, labels, **options)
    return Batches(images, labels, **options)
