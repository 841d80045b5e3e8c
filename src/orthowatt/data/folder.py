"""Image files on disk as a data set: a folder a class, or a table of paths and labels."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import DataError, closest
from .decode import SUFFIXES
from .files import Files, digest, streams
from .seeds import shuffled
from .sources import Dataset, assemble, statistics

#: The part of one undivided folder or table that becomes the test set, of each class.
TEST_SHARE = 0.2

_PARTS = {
    "train": "train", "training": "train", "0": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "1": "validation",
    "test": "test", "testing": "test", "2": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Item:
    """One image: its file, its class, the part it belongs to, and its name in errors."""

    path: Path
    label: str
    part: str | None
    name: str
    key: str


@dataclass(frozen=True)
class Listing:
    """What a folder or table holds, before any image is read."""

    name: str
    train: tuple[Item, ...]
    test: tuple[Item, ...]
    classes: tuple[str, ...]


def load(listing: Listing, size: int, cache: str, device: torch.device) -> Dataset:
    """The images of a listing at `size`×`size`, in memory or streamed as `cache` says."""
    train, test = (_files(items, size) for items in (listing.train, listing.test))
    labels = tuple(_labels(items, listing.classes) for items in (listing.train, listing.test))
    named = [index for index, item in enumerate(listing.train) if item.part == "validation"]
    validation = torch.tensor(named) if named else None
    note = f"centre squares of the files, resized to {size}×{size}"
    rows = [
        (item.path, item.name, f"{item.part} {item.label} {item.key}")
        for item in (*listing.train, *listing.test)
    ]
    checksum = digest(rows)
    if not streams(cache, train.nbytes + test.nbytes, device):
        pairs = (train.read(), labels[0]), (test.read(), labels[1])
        return assemble(
            listing.name, *pairs, listing.classes, validation=validation, notes=(note,),
            checksum_of_files=checksum,
        )  # fmt: skip
    seen = train.sample()
    mean, std = statistics(seen)
    notes = (note, f"streamed; mean and deviation are those of {len(seen)} training images")
    return Dataset(
        listing.name, train, labels[0], test, labels[1], listing.classes, mean, std, checksum,
        validation, notes,
    )  # fmt: skip


def list_folder(path: Path) -> Listing:
    """The images under `path`, one sub-folder a class.

    `path` holds `train` and `test` and/or `val` (`valid`, `validation`), or the class folders
    themselves; then a fifth of each class, chosen by a fixed seed and the file's name, is the
    test set. Where there is a `val` but no `test`, `val` is the test set. Images are cropped to
    their centre square. Raises `DataError` naming what is missing or unreadable.
    """
    if not path.is_dir():
        raise DataError(f"imagefolder:{path} is no folder; give one that holds class folders")
    parts = {child.name: _PARTS[child.name] for child in _folders(path) if child.name in _PARTS}
    items: list[Item] = []
    for name, part in sorted(parts.items()) if "train" in parts.values() else [("", None)]:
        items.extend(_class_items(path / name, part))
    return _listing(f"imagefolder:{path.name}", items, path)


def list_table(path: Path) -> Listing:
    """The images listed in a CSV file with columns `path`, `label` and optionally `split`.

    Paths are relative to the file's own folder. `split` holds train, val or test (or CelebA's
    0, 1, 2); without it a fifth of each label, chosen by a fixed seed and the path, is the test
    set. Raises `DataError` naming the row that is wrong.
    """
    if not path.is_file():
        raise DataError(f"table:{path} is no file; give a CSV file with the columns path,label")
    return _listing(f"table:{path.name}", list(_rows(path)), path)


def _rows(path: Path) -> Iterable[Item]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        for needed in ("path", "label"):
            if needed not in columns:
                found = ", ".join(repr(column) for column in columns) or "nothing"
                raise DataError(f"{path} needs a column {needed!r}, but its first row has {found}")
        for number, row in enumerate(reader, start=2):
            where = f"row {number} of {path}"
            if not row["path"] or not row["label"]:
                raise DataError(f"{where} lacks a path or a label")
            given = (row.get("split") or "").strip().lower()
            if "split" in columns and given not in _PARTS:
                raise DataError(
                    f"{where} has split {given!r}; {closest(given, ('train', 'val', 'test'))}"
                )
            part = _PARTS.get(given)
            yield Item(path.parent / row["path"], row["label"].strip(), part, where, row["path"])


def _class_items(root: Path, part: str | None) -> Iterable[Item]:
    folders = list(_folders(root))
    if not folders:
        raise DataError(f"{root} holds no class folders; put the images of each class into one")
    for folder in folders:
        files = sorted(
            file
            for file in folder.rglob("*")
            if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
        )
        if not files:
            raise DataError(f"the class folder {folder} holds no image ({', '.join(SUFFIXES)})")
        for file in files:
            key = file.relative_to(root).as_posix()
            yield Item(file, folder.name, part, f"class {folder.name!r}", key)


def _folders(path: Path) -> Iterable[Path]:
    return sorted(
        child for child in path.iterdir() if child.is_dir() and not child.name.startswith(".")
    )


def _listing(name: str, items: list[Item], path: Path) -> Listing:
    if not items:
        raise DataError(f"{path} lists no images")
    items = _with_parts(items)
    training = tuple(item for item in items if item.part != "test")
    testing = tuple(item for item in items if item.part == "test")
    for what, group in (("train", training), ("test", testing)):
        if not group:
            raise DataError(f"{path} has no {what} images; mark or add some")
    classes = tuple(sorted({item.label for item in training}, key=_class_order))
    for item in testing:
        if item.label not in classes:
            raise DataError(f"{item.name}: the test class {item.label!r} has no train images")
    return Listing(name, training, testing, classes)


def _files(items: tuple[Item, ...], size: int) -> Files:
    return Files(tuple(item.path for item in items), tuple(item.name for item in items), size)


def _labels(items: tuple[Item, ...], classes: tuple[str, ...]) -> torch.Tensor:
    index = {label: number for number, label in enumerate(classes)}
    return torch.tensor([index[item.label] for item in items])


def _with_parts(items: list[Item]) -> list[Item]:
    """Every item with a part, named or by hash; a `val` without `test` becomes the test set."""
    if any(item.part is None for item in items):
        return _divided(items)
    if any(item.part == "test" for item in items):
        return items
    return [_moved(item, "test") if item.part == "validation" else item for item in items]


def _divided(items: list[Item]) -> list[Item]:
    by_label: dict[str, list[Item]] = {}
    for item in items:
        by_label.setdefault(item.label, []).append(item)
    divided = []
    for label in sorted(by_label):
        group = by_label[label]
        order = shuffled(0, [item.key for item in group])
        tested = set(order[: round(TEST_SHARE * len(group))])
        for number, item in enumerate(group):
            divided.append(_moved(item, "test" if number in tested else "train"))
    return divided


def _moved(item: Item, part: str) -> Item:
    return Item(item.path, item.label, part, item.name, item.key)


def _class_order(label: str) -> tuple[int, int, str]:
    """Whole numbers by value, then names by letter."""
    return (0, int(label), label) if label.isdecimal() else (1, 0, label)
