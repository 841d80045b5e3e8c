"""A set of image files: decoded whole into memory, or a few at a time where that does not fit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DataError
from .decode import decode, each
from .host import free_bytes
from .seeds import shuffled

#: Images from which mean and deviation are worked out where the whole set is not decoded.
SAMPLE = 1000
#: The part of what is free on a device that images may take before they are streamed.
CACHE_SHARE = 0.5


@dataclass(frozen=True)
class Files:
    """Images that stay on disk and are decoded when they are asked for: uint8 (N, 3, size, size).

    `names` says for each what an error should call it.
    """

    paths: tuple[Path, ...]
    names: tuple[str, ...]
    size: int

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape of all of them, decoded."""
        return len(self), 3, self.size, self.size

    @property
    def nbytes(self) -> int:
        """Bytes of all of them, decoded."""
        return len(self) * 3 * self.size * self.size

    def read(self) -> Tensor:
        """All images, decoded in threads.

        Raises `DataError` naming the first file that is missing or damaged, or when they will not
        fit into memory.
        """
        free = free_bytes()
        if free is not None and self.nbytes > free:
            raise DataError(
                f"{len(self)} images at {self.size}×{self.size} take {self.nbytes / 1e9:.1f} GB, "
                f"but {free / 1e9:.1f} GB of memory are free; choose cache=stream, or a smaller "
                "image_size"
            )
        images = _empty(self.shape)

        def work(index: int) -> None:
            images[index] = decode(self.paths[index], self.names[index], self.size)

        each(work, range(len(self)))
        return images

    def sample(self, count: int = SAMPLE) -> Tensor:
        """`count` of the images in a fixed random order, or all of them where there are fewer."""
        chosen = sorted(shuffled(0, [str(n) for n in range(len(self))])[:count])
        paths, names = zip(*((self.paths[i], self.names[i]) for i in chosen), strict=True)
        return Files(paths, names, self.size).read()

    def start(self, positions: Sequence[int], threads: Executor, pin: bool) -> Pending:
        """Begin to decode the images at `positions`, into pinned memory if a GPU will fetch it."""
        images = _empty((len(positions), *self.shape[1:]), pin)

        def work(place: int, index: int) -> None:
            images[place] = decode(self.paths[index], self.names[index], self.size)

        jobs = [threads.submit(work, place, index) for place, index in enumerate(positions)]
        return Pending(images, tuple(jobs))


def _empty(shape: tuple[int, ...], pin: bool = False) -> Tensor:
    """Room for images, which threads may fill: they know nothing of the caller's inference mode."""
    with torch.inference_mode(False):
        return torch.empty(shape, dtype=torch.uint8, pin_memory=pin)


@dataclass(frozen=True)
class Pending:
    """Images that threads are decoding."""

    images: Tensor
    jobs: tuple[Future[None], ...]

    def wait(self) -> Tensor:
        """The images, uint8 (B, 3, size, size); raises what their decoding raised."""
        for job in self.jobs:
            job.result()
        return self.images


def digest(rows: Sequence[tuple[Path, str, str]]) -> str:
    """SHA-256 over the content of every file with what is said of it: (path, name, text) rows.

    The order counts; where the files lie does not. Raises `DataError` for one that is missing.
    """
    sums = [""] * len(rows)

    def work(index: int) -> None:
        path, name, text = rows[index]
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            what = f"there is no file {path}" if missing else f"{path}: {error.strerror}"
            raise DataError(f"{name}: {what}") from error
        sums[index] = f"{content} {text}\n"

    each(work, range(len(rows)))
    return hashlib.sha256("".join(sums).encode()).hexdigest()


def streams(cache: str, needed: int, device: torch.device) -> bool:
    """Whether `needed` bytes of images are streamed: as `cache` says, or where they are too many.

    "auto" holds them where they take at most half of what is free on the device, and fit into this
    machine's memory, through which they come.
    """
    if cache != "auto":
        return cache == "stream"
    host = free_bytes()
    if host is not None and needed > CACHE_SHARE * host:
        return True
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return needed > CACHE_SHARE * free
