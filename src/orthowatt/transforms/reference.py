"""The transforms in plain torch: the oracle of every kernel and the fallback on every device.

16-bit inputs are computed in fp32, fp32 in fp32, fp64 in fp64; the result is rounded once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch

from . import bases, hadamard

#: Up to this size an axis is one product with a dense matrix: exact bases, one rounding pattern.
DENSE_LIMIT = 512


def transform(
    x: torch.Tensor, kind: str, dims: Sequence[int], norm: str, transpose: bool
) -> torch.Tensor:
    """The linear transform `kind` over `dims`; same shape, dtype and (where dense) strides as x.

    `kind` is "wht", "hartley" or a key of `bases.BASES`; `norm` one of `bases.NORMS`; `transpose`
    applies the transposed matrix, which is the derivative's direction.
    """
    result = torch.empty_like(x)
    if x.numel() == 0:
        return result
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    with full_precision(x.device):
        y = x.to(wide)
        if kind == "hartley":
            y = _hartley(y, dims, norm)
        else:
            for dim in dims:
                y = _axis(y, kind, dim, norm, transpose)
    return result.copy_(y)


@contextlib.contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """No autocast and no TF32 or bf16 inside fp32 products, whatever the caller has set."""
    precision = torch.get_float32_matmul_precision()
    try:
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
        with torch.autocast(device.type, enabled=False):
            yield
    finally:
        if precision != "highest":
            torch.set_float32_matmul_precision(precision)


def _axis(x: torch.Tensor, kind: str, dim: int, norm: str, transpose: bool) -> torch.Tensor:
    n = x.shape[dim]
    last = x.movedim(dim, -1)
    if kind == "wht":
        y = _wht_last(last, norm)
    elif n <= DENSE_LIMIT:
        basis = _tensor(kind, n, norm, x.dtype, x.device)
        y = last @ (basis if transpose else basis.T)
    else:
        y = _trigonometric_last(last, kind, norm, transpose)
    return y.movedim(-1, dim)


def _wht_last(x: torch.Tensor, norm: str) -> torch.Tensor:
    """H(n) = Sylvester(2^k) ⊗ H(m) over the last dimension, factor by factor when n is large."""
    n = x.shape[-1]
    scale = {"ortho": n**-0.5, "none": 1.0, "inverse": 1.0 / n}[norm]
    sizes = [n] if n <= DENSE_LIMIT else _split(n)
    y = x.reshape(-1, n)
    for i, size in enumerate(sizes):
        before, after = _product(sizes[:i]), _product(sizes[i + 1 :])
        h = _tensor("wht", size, "none", x.dtype, x.device)
        y = torch.einsum("bpsq,st->bptq", y.view(-1, before, size, after), h)
        y = y.reshape(-1, n)
    return (y * scale if norm != "none" else y).reshape(x.shape)


def _split(n: int) -> list[int]:
    """n as factors 64, …, rest of the Sylvester part, then m: their Kronecker product is H(n)."""
    sylvester, m = hadamard.factors(n)
    sizes = []
    while sylvester > 1:
        sizes.append(min(sylvester, 64))
        sylvester //= sizes[-1]
    return [*sizes, m] if m > 1 or not sizes else sizes


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def _trigonometric_last(x: torch.Tensor, kind: str, norm: str, transpose: bool) -> torch.Tensor:
    """Any type over a long last dimension, by one complex FFT of length 2·D.

    With trig = Re or Im of e^{iθ}, θ = π (k + a)(n + b) / D, the sum is
    w_k · Re/Im[ e^{iπ(k+a)b/D} · Σ_n (u_n x_n e^{iπan/D}) e^{iπkn/D} ], and the inner sum is an
    unscaled inverse FFT of length 2·D. The transposed matrix swaps a with b and w with u.
    """
    n, basis = x.shape[-1], bases.BASES[kind]
    wide = torch.complex128 if x.dtype == torch.float64 else torch.complex64
    u, w = _factors(kind, n, norm, transpose, wide, x.device)
    inner = torch.fft.ifft(x * u, n=2 * basis.period(n), norm="forward")[..., :n] * w
    return inner.imag if basis.sine else inner.real


@lru_cache(maxsize=32)
def _factors(
    kind: str, n: int, norm: str, transpose: bool, dtype: torch.dtype, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the inputs and the outputs of the inner sum are multiplied by."""
    basis = bases.BASES[kind]
    row, column = bases.weights(kind, n, norm)
    a, b = basis.a, basis.b
    if transpose:
        row, column, a, b = column, row, b, a
    before, after = _twiddles(n, basis.period(n), a, b)
    with torch.inference_mode(False):  # a cached tensor must serve calls of both modes
        made = (torch.tensor(one, dtype=dtype) for one in (column * before, row * after))
        u, w = (one.to(device) for one in made)
    return u, w


def _twiddles(n: int, period: int, a: float, b: float) -> tuple[np.ndarray, np.ndarray]:
    index = np.arange(n)
    # Exact integer reduction before the trigonometry, as in bases.matrix.
    before = (round(2 * a) * 2 * index) % (8 * period)
    after = ((2 * index + round(2 * a)) * round(2 * b)) % (8 * period)
    unit = 1j * np.pi / (4 * period)
    return np.exp(before * unit), np.exp(after * unit)


def _hartley(x: torch.Tensor, dims: Sequence[int], norm: str) -> torch.Tensor:
    """Re F - Im F of the DFT over all of `dims` at once; symmetric, so it is its own transpose."""
    scaling = {"ortho": "ortho", "none": "backward", "inverse": "forward"}[norm]
    spectrum = torch.fft.fftn(x, dim=tuple(dims), norm=scaling)
    return spectrum.real - spectrum.imag


@lru_cache(maxsize=64)
def _tensor(kind: str, n: int, norm: str, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    matrix = hadamard.matrix(n) if kind == "wht" else bases.matrix(kind, n, norm)
    with torch.inference_mode(False):  # a cached tensor must serve calls of both modes
        return torch.tensor(matrix, dtype=dtype, device=device)
