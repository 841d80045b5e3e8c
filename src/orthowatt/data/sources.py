"""Data sets by name, held whole as uint8: one `Dataset`, one `load`."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, InputError, closest
from .files import Files
from .names import DATA_SETS


@dataclass(frozen=True)
class Dataset:
    """A train and a test set, their images in memory or, as `Files`, still on disk.

    Images are uint8 (N, C, H, W), labels int64 (N,) with values below `len(classes)`. `mean` and
    `std` are those of the training images in [0, 1], one a channel. `checksum` is the SHA-256 of
    all images and labels, of an image folder or table that of the files. `validation` holds the
    positions in the training set that the source itself names as validation images, or None when
    it names none. `notes` are sentences for the record: what was done to the images.
    """

    name: str
    train_images: Tensor | Files
    train_labels: Tensor
    test_images: Tensor | Files
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    checksum: str
    validation: Tensor | None = None
    notes: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Channels of an image."""
        return self.train_images.shape[1]

    @property
    def held_bytes(self) -> int:
        """Bytes of the images that are in memory: 0 for those that stay on disk."""
        both = (self.train_images, self.test_images)
        return sum(images.nbytes for images in both if isinstance(images, Tensor))

    def channels_together(self) -> Dataset:
        """The same set with each pixel's channels side by side, which is what a batch reads."""
        names = ("train_images", "test_images")
        parts = {name: getattr(self, name) for name in names}
        return replace(
            self,
            **{
                name: images.contiguous(memory_format=torch.channels_last)
                for name, images in parts.items()
                if isinstance(images, Tensor)
            },
        )

    def to(self, device: torch.device | str) -> Dataset:
        """The same set with its labels, and its images unless they stay on disk, on `device`.

        Raises `DataError` when the device has too little free memory for them.
        """
        device = torch.device(device)
        if device.type == "cuda":
            needed = self.held_bytes
            free, _ = torch.cuda.mem_get_info(device)
            if needed > free:
                raise DataError(
                    f"{self.name} takes {needed / 1e9:.1f} GB as uint8, but {device} has "
                    f"{free / 1e9:.1f} GB free; choose a smaller image_size, or cache=stream for "
                    "images that are files"
                )
        names = ("train_images", "train_labels", "test_images", "test_labels")
        parts = {name: getattr(self, name) for name in names}
        moved = {n: part.to(device) for n, part in parts.items() if isinstance(part, Tensor)}
        return replace(self, **moved)


def load(
    name: str,
    *,
    root: str | Path | None = None,
    image_size: int | None = None,
    cache: str = "auto",
    device: torch.device | str = "cpu",
) -> Dataset:
    """The data set called `name`, read whole into memory or, from files, streamed.

    `digits`, `cifar10`, `cifar100`, `imagefolder:PATH` or `table:FILE.csv`. `root` is where the
    CIFAR files lie or are downloaded to (default: a per-user cache folder). `image_size` is the
    size at which files of a folder or table are stored (default 224); digits and CIFAR keep their
    32×32 and are resized batch by batch. Files that take more than half of the memory that is free
    on `device` stay on disk and are decoded while the training runs; `cache` "device" or "stream"
    decides it beforehand. Raises `InputError` for an unknown name and `DataError`
    for missing or damaged files.

    >>> digits = load("digits")
    >>> tuple(digits.train_images.shape), len(digits.classes)
    ((1438, 1, 32, 32), 10)
    """
    kind, _, place = str(name).partition(":")
    if kind == "digits" and not place:
        from .digits import load_digits

        return load_digits()
    if kind in ("cifar10", "cifar100") and not place:
        from .cifar import load_cifar

        return load_cifar(kind, Path(root) if root is not None else cache_folder())
    if kind in ("imagefolder", "table") and place:
        from . import folder

        listed = folder.list_folder if kind == "imagefolder" else folder.list_table
        listing = listed(Path(place).expanduser())
        return folder.load(listing, image_size or 224, cache, torch.device(device))
    if kind in ("imagefolder", "table"):
        raise InputError(f"data is {name!r}, but must name a place: {kind}:PATH")
    raise InputError(f"there is no data set {name!r}; {closest(str(name), DATA_SETS)}")


def cache_folder() -> Path:
    """Where downloaded data sets lie: the platform's per-user cache folder."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "orthowatt"


def assemble(
    name: str,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    classes: tuple[str, ...],
    *,
    validation: Tensor | None = None,
    notes: tuple[str, ...] = (),
    checksum_of_files: str = "",
) -> Dataset:
    """A `Dataset` of (images, labels) pairs, with its statistics and checksum worked out."""
    for which, (images, labels) in (("train", train), ("test", test)):
        if not len(images):
            raise DataError(f"{name} has no {which} images")
        if labels.min() < 0 or labels.max() >= len(classes):
            raise DataError(f"{name} has {which} labels outside 0 to {len(classes) - 1}")
    mean, std = statistics(train[0])
    content = checksum_of_files or checksum(*train, *test)
    return Dataset(name, *train, *test, classes, mean, std, content, validation, notes)


def checksum(*tensors: Tensor) -> str:
    """SHA-256 over the dtype, shape and bytes of each tensor, in order.

    >>> checksum(torch.zeros(2))[:8]
    '2b6922d7'
    """
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().numpy().data.cast("B"))
    return digest.hexdigest()


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images (N, C, H, W), in [0, 1].

    The sums are whole numbers held exactly, so the result does not depend on their order. A
    channel that is constant gets the deviation 1: there is nothing to scale.

    >>> statistics(torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1))
    ((0.5,), (0.5,))
    """
    pixels = images.numpy()
    first = np.zeros(images.shape[1])
    second = np.zeros(images.shape[1])
    # chunks that fit the cache; every partial sum is below 2^53, so float64 holds it exactly
    step = max(1, 200_000 // max(1, pixels[:1].size))
    for start in range(0, len(pixels), step):
        values = pixels[start : start + step].astype(np.float64)
        first += values.sum((0, 2, 3))
        second += np.einsum("nchw,nchw->c", values, values)
    count = images.numel() // images.shape[1]
    mean = first / count / 255
    variance = np.maximum(second / count / 255**2 - mean**2, 0)
    std = np.where(variance > 0, np.sqrt(variance), 1.0)
    return tuple(mean.tolist()), tuple(std.tolist())
