"""What a data set holds, without reading its images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, closest
from .names import DATA_SETS


@dataclass(frozen=True)
class Survey:
    """Sizes of a set: classes, channels, images of each part, pixels a side as it is stored."""

    classes: int
    channels: int
    train: int
    test: int
    side: int

    @property
    def image_bytes(self) -> int:
        """Bytes of one stored image."""
        return self.channels * self.side**2

    @property
    def nbytes(self) -> int:
        """Bytes of all images, stored."""
        return (self.train + self.test) * self.image_bytes


_KNOWN = {
    "digits": Survey(classes=10, channels=1, train=1438, test=359, side=32),
    "cifar10": Survey(classes=10, channels=3, train=50_000, test=10_000, side=32),
    "cifar100": Survey(classes=100, channels=3, train=50_000, test=10_000, side=32),
}


def survey(name: str, image_size: int) -> Survey:
    """The sizes of the set that `orthowatt.data.sources.load` gives for `name`.

    An image folder or table is listed, which raises `DataError` where something is missing;
    `InputError` for an unknown name.

    >>> survey("cifar100", 224).nbytes
    184320000
    """
    kind, _, place = name.partition(":")
    if name in _KNOWN:
        return _KNOWN[name]
    if kind in ("imagefolder", "table") and place:
        from . import folder

        listed = folder.list_folder if kind == "imagefolder" else folder.list_table
        found = listed(Path(place).expanduser())
        return Survey(len(found.classes), 3, len(found.train), len(found.test), image_size)
    raise InputError(f"there is no data set {name!r}; {closest(name, DATA_SETS)}")
