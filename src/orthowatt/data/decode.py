"""Image files to square uint8 tensors of one size."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import DataError

SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip
#: Those that torchvision decodes; Pillow reads the others, and what torchvision cannot.
_FAST = (".jpg", ".jpeg", ".jfif", ".png", ".webp")


def workers() -> int:
    """Threads that decode: as many as this process may use cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(32, cores or 1))


@contextlib.contextmanager
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that decode, for torchvision and Pillow release the interpreter's lock meanwhile.

    What was not begun is dropped when the block is left by an error or early.
    """
    threads = ThreadPoolExecutor(workers(), thread_name_prefix="orthowatt-decode")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def each(work: Callable[[int], None], numbers: Iterable[int]) -> None:
    """Call `work` for every number, in threads; the first error is raised."""
    with pool() as threads:
        for _ in threads.map(work, numbers):
            pass


def decode(path: Path, name: str, size: int) -> Tensor:
    """The centre square of one image, uint8 RGB (3, size, size), upright as its EXIF tag says.

    JPEG, PNG and WebP are decoded by torchvision, everything else by Pillow. Resized bilinearly
    with antialiasing. `name` is what a `DataError` calls the image.
    """
    image = _fast(path) if path.suffix.lower() in _FAST else None
    if image is None:
        image = _pillow(path, name)
    height, width = image.shape[1:]
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = image[:, top : top + side, left : left + side]
    if side == size:
        return square
    return F.interpolate(
        square[None], size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )[0]


def _fast(path: Path) -> Tensor | None:
    """The image by torchvision's decoder, uint8 (3, H, W); None where it cannot, or is not there.

    The operator is called without its Python wrapper, which warns since torchvision 0.29 that the
    decoders will go; Pillow then reads everything.
    """
    from torchvision.io import ImageReadMode

    try:
        content = torch.from_numpy(np.fromfile(path, dtype=np.uint8))
        image = torch.ops.image.decode_image(content, ImageReadMode.RGB.value, True)
    except (OSError, RuntimeError, ValueError, AttributeError):
        return None
    return image if image.dtype == torch.uint8 and image.ndim == 3 else None


def _pillow(path: Path, name: str) -> Tensor:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file).convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"{name}: there is no file {path}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: {path} is no readable image ({error})") from error
    return torch.from_numpy(np.array(upright)).permute(2, 0, 1)
