"""The order of a spectrum: which frequency each index stands for, and a learned v at another size.

Every index of an axis of n coefficients has a coordinate in cycles a sample, or for the WHT its
sequency (the rank by number of sign changes) over n; a spectrum at another size is read by linear
interpolation between neighbours in that coordinate, so a constant stays exactly constant.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from ..transforms import hadamard
from ..transforms.ops import is_plain


@lru_cache(maxsize=128)
def sequency(n: int) -> np.ndarray:
    """For each row of `hadamard(n)` in natural order its rank by sign changes; int64 of length n.

    Rows of equal sequency (they occur in Paley's matrices) keep their natural order.

    >>> sequency(4).tolist()
    [0, 3, 1, 2]
    """
    rows = hadamard.matrix(n)
    changes = (rows[:, 1:] != rows[:, :-1]).sum(axis=1)
    ranks = np.empty(n, dtype=np.int64)
    ranks[np.argsort(changes, kind="stable")] = np.arange(n)
    return ranks


def coordinates(kind: str, n: int) -> np.ndarray:
    """The frequency of each of the n coefficients of an axis; float64 of length n.

    `kind` is a kind of `TransformFilter2d`, or "half" for the half-spectrum of n real samples,
    which has n // 2 + 1 coefficients. Kinds without a frequency (identity, random) count places.

    >>> coordinates("hartley", 4).tolist()
    [0.0, 0.25, 0.5, -0.25]
    """
    k = np.arange(n)
    if kind == "wht":
        return sequency(n) / n
    if kind == "dct":
        return k / (2 * n)
    if kind == "dst":
        return (k + 1) / (2 * n)
    if kind == "half":
        return np.arange(n // 2 + 1) / n
    if kind in ("hartley", "fft", "fft-realimag"):
        return np.where(2 * k <= n, k, k - n) / n
    return (k + 0.5) / n


@lru_cache(maxsize=128)
def _neighbours(kind: str, old: int, new: int) -> tuple[list[int], list[int], list[float]]:
    """For each new index the two old ones around it and how far it lies towards the second."""
    have, want = coordinates(kind, old), coordinates(kind, new)
    ordered = np.argsort(have, kind="stable")
    place = np.interp(want, have[ordered], np.arange(len(have)))
    low = np.minimum(place.astype(np.int64), len(have) - 1)
    high = np.minimum(low + 1, len(have) - 1)
    return ordered[low].tolist(), ordered[high].tolist(), (place - low).tolist()


@lru_cache(maxsize=128)
def _tensors(
    kind: str, old: int, new: int, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same on a device: copied there once, for every such copy makes the host wait."""
    low, high, share = _neighbours(kind, old, new)
    with torch.inference_mode(False):  # a cached tensor must serve calls of both modes
        return (
            torch.tensor(low, device=device),
            torch.tensor(high, device=device),
            torch.tensor(share, dtype=dtype, device=device),
        )


@torch.compiler.assume_constant_result
def _constants(kind: str, old: int, new: int) -> tuple[list[int], list[int], list[float]]:
    return _neighbours(kind, old, new)


def resample(v: torch.Tensor, axis: int, kind: str, old: int, new: int) -> torch.Tensor:
    """v with `axis`, the spectrum of `old` samples, read at that of `new` samples."""
    if is_plain(v):
        low, high, weight = _tensors(kind, old, new, v.dtype, v.device)
    else:  # constants of the graph
        lows, highs, shares = _constants(kind, old, new)
        low, high = torch.tensor(lows, device=v.device), torch.tensor(highs, device=v.device)
        weight = torch.tensor(shares, dtype=v.dtype, device=v.device)
    first, second = v.index_select(axis, low), v.index_select(axis, high)
    # lerp adds weight · (second - first), which is exactly 0 where v is constant.
    return torch.lerp(first, second, weight.view([-1] + [1] * (-axis - 1)))
