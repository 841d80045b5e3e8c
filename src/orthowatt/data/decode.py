"""Image files to square uint8 tensors of one size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm",
)  # fmt: skip


def decode_all(paths: Sequence[Path], names: Sequence[str], size: int) -> Tensor:
    """The images at `paths` as uint8 (N, 3, size, size), in order.

    `names` says for each what an error should call it. Raises `DataError` naming the first file
    that is missing or damaged, or when they will not fit into memory.
    """
    needed = len(paths) * 3 * size * size
    free = _free_memory()
    if free is not None and needed > free:
        raise DataError(
            f"{len(paths)} images at {size}×{size} take {needed / 1e9:.1f} GB, but "
            f"{free / 1e9:.1f} GB of memory are free; choose a smaller image_size"
        )
    images = torch.empty(len(paths), 3, size, size, dtype=torch.uint8)

    def work(index: int) -> None:
        images[index] = decode(paths[index], names[index], size)

    # Pillow releases the interpreter's lock while it decodes, so threads share the work
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        try:
            for _ in pool.map(work, range(len(paths))):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return images


def decode(path: Path, name: str, size: int) -> Tensor:
    """The centre square of one image, uint8 RGB (3, size, size), upright as its EXIF tag says.

    Resized bilinearly with antialiasing. `name` is what a `DataError` calls the image.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file).convert("RGB")
    except FileNotFoundError as error:
        raise DataError(f"{name}: there is no file {path}") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{name}: {path} is no readable image ({error})") from error
    width, height = upright.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    square = upright.crop((left, top, left + side, top + side))
    resized = square.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1)


def _free_memory() -> int | None:
    """Bytes of memory that can be had without swapping, or None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None
