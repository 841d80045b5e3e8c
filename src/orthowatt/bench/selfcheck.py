"""The transforms checked on this machine against dense fp64 matrices, and one scan's spectra."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..transforms import bases, functional, hadamard

ORDERS = (28, 56, 112)


def transform_checks(orders: tuple[int, ...] = ORDERS) -> list[dict[str, Any]]:
    """Largest error of each fp32 transform of a random plane, relative to its largest value.

    The reference is the product with the dense matrix in fp64 (for Hartley the cas sum), built
    from the definition and not from the code under test. One entry a transform and order.

    >>> all(check["max_error"] < 1e-5 for check in transform_checks((28,)))
    True
    """
    return [_check(name, n) for n in orders for name in ("WHT", "DCT", "DST", "Hartley")]


def _check(name: str, n: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(4, n, n, generator=generator)
    wide = x.double()
    if name == "WHT":
        h = torch.tensor(hadamard.matrix(n), dtype=torch.float64)
        exact, actual = h @ wide @ h.T / n, functional.wht(x)
    elif name == "Hartley":
        exact, actual = _cas_sum(wide), functional.hartley(x)
    else:
        kind = f"{name.lower()}2"
        m = torch.tensor(bases.matrix(kind, n, "ortho"))
        exact, actual = m @ wide @ m.T, getattr(functional, name.lower())(x)
    error = (actual.double() - exact).abs().max() / exact.abs().max()
    return {
        "name": name,
        "order": n,
        "dtype": "float32",
        "max_error": float(error),
        "reference": "dense matrix in fp64",
    }


def _cas_sum(x: torch.Tensor) -> torch.Tensor:
    """cas(a + b) = cos a cas b + sin a cas(-b), as dense matrices."""
    n = x.shape[-1]
    angle = torch.tensor(np.outer(np.arange(n), np.arange(n)) % n * (2 * np.pi / n))
    cos, sin = angle.cos(), angle.sin()
    return (cos @ x @ (cos + sin) + sin @ x @ (cos - sin)) / n


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
