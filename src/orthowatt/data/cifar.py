"""CIFAR-10 and CIFAR-100 from their official pickles: checksum first, then a restricted read."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from .sources import Dataset, assemble


@dataclass(frozen=True)
class Archive:
    """One official set: its files with their MD5 sums, where it is had, and its keys."""

    name: str
    folder: str
    train: Mapping[str, str]
    test: Mapping[str, str]
    meta: tuple[str, str]
    labels_key: str
    classes_key: str
    url: str
    md5: str

    @property
    def files(self) -> dict[str, str]:
        """Every file's official MD5 sum by its name."""
        return {**self.train, **self.test, self.meta[0]: self.meta[1]}


#: Sums as published with the data and kept in torchvision.datasets.CIFAR10 and CIFAR100.
ARCHIVES = {
    "cifar10": Archive(
        name="cifar10",
        folder="cifar-10-batches-py",
        train={
            "data_batch_1": "c99cafc152244af753f735de768cd75f",
            "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
            "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
            "data_batch_4": "634d18415352ddfa80567beed471001a",
            "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        },
        test={"test_batch": "40351d587109b95175f43aff81a1287e"},
        meta=("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
        labels_key="labels",
        classes_key="label_names",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
    ),
    "cifar100": Archive(
        name="cifar100",
        folder="cifar-100-python",
        train={"train": "16019d7e3df5f24257cddd939b257f8d"},
        test={"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
        meta=("meta", "7973b15100ade9c7d40fb424638fde48"),
        labels_key="fine_labels",
        classes_key="fine_label_names",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
    ),
}


def load_cifar(kind: str, root: Path) -> Dataset:
    """CIFAR-10 or CIFAR-100 (fine labels): 50,000 train and 10,000 test images, RGB, 32×32.

    The files are looked for in `root/<official folder>` and in `root` itself, and downloaded to
    `root` where they are absent. Source: A. Krizhevsky, "Learning Multiple Layers of Features
    from Tiny Images", 2009. Raises `DataError` when they cannot be had or differ from the
    official ones.
    """
    return read_archive(ARCHIVES[kind], root)


def read_archive(archive: Archive, root: Path) -> Dataset:
    """The set that `archive` describes, downloaded to `root` if it is not there."""
    folder = find_folder(archive, root)
    if folder is None:
        download(archive, root)
        folder = root / archive.folder
    names = read_verified(folder / archive.meta[0], archive.meta[1]).get(archive.classes_key, [])
    train, test = (
        _join([read_verified(folder / file, md5) for file, md5 in files.items()], archive)
        for files in (archive.train, archive.test)
    )
    return assemble(archive.name, train, test, tuple(str(name) for name in names))


def find_folder(archive: Archive, root: Path) -> Path | None:
    """The folder that holds every file of the set, or None; its sums are not looked at."""
    for folder in (root / archive.folder, root):
        if all((folder / file).is_file() for file in archive.files):
            return folder
    return None


def download(archive: Archive, root: Path) -> None:
    """Fetch and unpack the official archive by torchvision's means; `DataError` tells the ways."""
    from torchvision.datasets.utils import download_and_extract_archive

    try:
        root.mkdir(parents=True, exist_ok=True)
        download_and_extract_archive(archive.url, str(root), md5=archive.md5, remove_finished=True)
    except (OSError, RuntimeError, EOFError) as error:  # URLError is an OSError
        raise DataError(
            f"{archive.name} is not in {root} and could not be downloaded ({error}); fetch "
            f"{archive.url} on a machine with a network, unpack it so that "
            f"{root / archive.folder} exists, or name the folder that holds {archive.folder} "
            "with --data-root; `--data digits` needs no download"
        ) from error
    if find_folder(archive, root) is None:
        raise DataError(f"{archive.url} did not contain {archive.folder}; unpack it by hand")


def read_verified(path: Path, md5: str) -> dict[str, Any]:
    """The dictionary in a pickle whose MD5 sum is the official one; any other file stays unread.

    Raises `DataError` for a file that is missing or differs. Even a verified file is read by an
    unpickler that builds numpy arrays and plain values only.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror})") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise DataError(
            f"{path} is not the official file (MD5 {found}, not {md5}), so it was not opened; "
            "delete it and run again to download it, or copy the official one there"
        )
    values = _ArrayUnpickler.loads(content)
    if not isinstance(values, dict):
        raise DataError(f"{path} holds {type(values).__name__}, not a dictionary")
    return values


class _ArrayUnpickler(pickle.Unpickler):
    """Reads numbers, strings, containers and numpy arrays; refuses every other global."""

    allowed = {
        (module, "_reconstruct"): np._core.multiarray._reconstruct  # type: ignore[attr-defined]
        for module in ("numpy.core.multiarray", "numpy._core.multiarray")
    } | {("numpy", "ndarray"): np.ndarray, ("numpy", "dtype"): np.dtype}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self.allowed[module, name]
        except KeyError:
            raise DataError(
                f"the pickle asks for {module}.{name}; only numpy arrays and plain values are read"
            ) from None

    @classmethod
    def loads(cls, content: bytes) -> Any:
        # the official files are Python 2 pickles: latin1 maps their strings byte by byte
        return cls(io.BytesIO(content), encoding="latin1").load()


def _join(batches: list[dict[str, Any]], archive: Archive) -> tuple[Tensor, Tensor]:
    images = np.concatenate([batch["data"] for batch in batches])
    labels = np.concatenate([batch[archive.labels_key] for batch in batches])
    return (
        torch.from_numpy(images).reshape(-1, 3, 32, 32),
        torch.as_tensor(labels, dtype=torch.int64),
    )
