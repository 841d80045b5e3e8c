"""The transforms checked on this machine against dense fp64 matrices, and one scan's spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft
import torch

from ..errors import OrthowattError
from ..transforms import functional, hadamard

ORDERS = (28, 56, 112)


def transform_checks(orders: tuple[int, ...] = ORDERS) -> list[dict[str, Any]]:
    """Largest error of each fp32 transform of a random plane, relative to its largest value.

    The references are independent of the code under test: scipy for DCT and DST, the cas sum for
    Hartley, and for WHT a matrix whose defining property is checked here. One entry a transform
    and order; `OrthowattError` if a matrix is not what it must be.

    >>> all(check["max_error"] < 1e-5 for check in transform_checks((28,)))
    True
    """
    return [_check(name, n) for n in orders for name in ("WHT", "DCT", "DST", "Hartley")]


def _check(name: str, n: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(4, n, n, generator=generator)
    exact = torch.as_tensor(_REFERENCES[name](x.double().numpy()))
    error = (getattr(functional, name.lower())(x).double() - exact).abs().max() / exact.abs().max()
    return {
        "name": name,
        "order": n,
        "dtype": "float32",
        "max_error": float(error),
        "reference": _WORDS.get(name, "scipy in fp64"),
    }


def _wht(x: np.ndarray) -> np.ndarray:
    """H x H / n with a matrix that is shown to be a Hadamard matrix before it is used.

    Any symmetric ±1 matrix with H·H = n·I is one; which of them an order has is frozen by a test.
    """
    n = x.shape[-1]
    h = hadamard.matrix(n).astype(np.float64)
    if set(np.unique(h)) != {-1.0, 1.0} or (h != h.T).any() or (h @ h != n * np.eye(n)).any():
        raise OrthowattError(f"the matrix of order {n} is no symmetric Hadamard matrix")
    return h @ x @ h / n


def _hartley(x: np.ndarray) -> np.ndarray:
    """cas(a + b) = cos a cas b + sin a cas(-b), as dense matrices."""
    n = x.shape[-1]
    angle = np.outer(np.arange(n), np.arange(n)) % n * (2 * np.pi / n)
    cos, sin = np.cos(angle), np.sin(angle)
    return (cos @ x @ (cos + sin) + sin @ x @ (cos - sin)) / n


def _dct(x: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.fft.dctn(x, axes=(-2, -1), norm="ortho"))


def _dst(x: np.ndarray) -> np.ndarray:
    return np.asarray(scipy.fft.dstn(x, axes=(-2, -1), norm="ortho"))


_REFERENCES = {"WHT": _wht, "DCT": _dct, "DST": _dst, "Hartley": _hartley}
_WORDS = {
    "WHT": "a dense matrix in fp64, shown to be Hadamard",
    "Hartley": "a dense matrix in fp64",
}


def scan_spectra(scan: torch.Tensor, title: str) -> dict[str, Any]:
    """One grey image (H, W), its orthonormal WHT, DCT and FFT magnitude as lists, for pictures."""
    plane = scan.double()
    plane = plane - plane.mean()  # the mean would outshine every other coefficient
    images = [
        ("scan", scan.double()),
        ("WHT", functional.wht(plane)),
        ("DCT", functional.dct(plane)),
        ("FFT magnitude", torch.fft.fftshift(functional.fft_magnitude(plane))),
    ]
    return {
        "title": title,
        "images": [{"name": name, "values": _rounded(values)} for name, values in images],
    }


def _rounded(values: torch.Tensor) -> list[list[float]]:
    return [[float(f"{value:.5g}") for value in row] for row in values.tolist()]
