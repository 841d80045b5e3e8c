"""The data set that ships with the program: scikit-learn's scans of handwritten digits."""

from __future__ import annotations

import functools
import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .sources import Dataset, assemble

SIZE = 32


@functools.cache
def load_digits() -> Dataset:
    """1,438 train and 359 test scans of digits, grey, 32×32, in ten classes.

    The 8×8 scans with values 0 to 16 (UCI "Optical Recognition of Handwritten Digits", test
    part, as in `sklearn.datasets.load_digits`) are upsampled by bilinear interpolation
    (`align_corners=False`) and stored as round(255/16 · value). The split is fixed and
    stratified: of each class, in the file's order, every fifth scan from the third on is a test
    image. The same writers occur in both parts.

    >>> load_digits().test_images.shape
    torch.Size([359, 1, 32, 32])
    """
    table = _table()
    small = torch.as_tensor(table[:, :64], dtype=torch.float64).reshape(-1, 1, 8, 8)
    labels = torch.as_tensor(table[:, 64], dtype=torch.int64)
    large = F.interpolate(small, size=(SIZE, SIZE), mode="bilinear", align_corners=False)
    images = (large * (255 / 16)).round().to(torch.uint8)
    test = every_fifth(labels)
    return assemble(
        "digits",
        (images[~test], labels[~test]),
        (images[test], labels[test]),
        tuple(str(digit) for digit in range(10)),
        notes=("8×8 scans upsampled to 32×32 by bilinear interpolation",),
    )


def _table() -> np.ndarray:
    """Rows of 64 pixels and a label, (1797, 65).

    The file is read without importing scikit-learn, which takes seconds: as long as a whole run.
    """
    package = find_spec("sklearn")
    for location in (package and package.submodule_search_locations) or ():
        path = Path(location) / "datasets" / "data" / "digits.csv.gz"
        if path.exists():
            with gzip.open(path, "rt") as file:
                return np.loadtxt(file, delimiter=",", dtype=np.int64)
    from sklearn.datasets import load_digits as scans

    pixels, target = scans(return_X_y=True)
    return np.column_stack([np.asarray(pixels), np.asarray(target)]).astype(np.int64)


def every_fifth(labels: Tensor) -> Tensor:
    """True at positions 2, 7, 12 … among the members of each class.

    >>> every_fifth(torch.tensor([0, 0, 1, 0])).tolist()
    [False, False, False, True]
    """
    rank = torch.zeros_like(labels)
    for label in labels.unique():
        members = labels == label
        rank[members] = torch.arange(int(members.sum()))
    return rank % 5 == 2
