"""The public transforms: functions of a tensor, differentiable to any order.

All take bf16, fp16, fp32 and fp64 tensors of any strides on any device; 16-bit inputs are computed
in fp32 and rounded once. `norm="ortho"` is the orthonormal transform, `norm=None` the unscaled
one, whose inverse divides. `out=` receives the result of a call that needs no gradient; it may be
`x` itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..errors import InputError, InputTypeError, check_choice
from . import bases, checks, hadamard, ops

Dims = int | Sequence[int]
_PLANE = (-2, -1)


def wht(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    norm: str | None = "ortho",
    order: str = "exact",
    pad: str | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Walsh-Hadamard transform over `dims`, natural order, at every size with a Hadamard matrix.

    Each size n is multiplied by `hadamard(n)`; orthonormal, the transform is its own inverse.
    Sizes without a matrix (7, 14, 10 …) raise `InputError`, or with `pad="keep"` are zero-padded
    to the next order, whose larger spectrum is kept (an isometry), or with `pad="crop"` are
    padded and cropped back (not orthogonal: the singular values fall below 1).
    `order="pow2"` admits powers of two only. Returns x's shape (larger under "keep") and dtype.

    >>> x = torch.arange(28.0 * 28).reshape(28, 28)
    >>> bool(torch.allclose(wht(wht(x)), x, atol=1e-3))
    True
    """
    x = checks.check_tensor("wht", x)
    where, full, shape = checks.check_orders("wht", x.shape, norm, order, pad, *_many(dims))
    checks.check_out("wht", x, out, shape)
    sizes = tuple(x.shape[dim] for dim in where)
    if full == sizes:
        return _call(x, "wht", where, norm or "none", out)
    result = tuple(shape[dim] for dim in where)
    return ops.apply_resized(x, "wht", where, norm or "none", full, result, out)


def iwht(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    norm: str | None = "ortho",
    order: str = "exact",
    size: int | Sequence[int] | None = None,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Inverse of `wht`; `size` crops the result, which undoes `pad="keep"`.

    Raises `InputError` where x's size has no Hadamard matrix or `size` exceeds it.

    >>> x = torch.rand(14, 14)
    >>> bool(torch.allclose(iwht(wht(x, pad="keep"), size=14), x, atol=1e-5))
    True
    """
    x = checks.check_tensor("iwht", x)
    where = checks.check_orders("iwht", x.shape, norm, order, None, *_many(dims)).dims
    sizes = checks.check_sizes("iwht", x, where, size)
    shape = list(x.shape)
    for dim, kept in zip(where, sizes, strict=True):
        shape[dim] = kept
    checks.check_out("iwht", x, out, shape)
    if shape == list(x.shape):
        return _call(x, "wht", where, norm or "inverse", out)
    full = tuple(x.shape[dim] for dim in where)
    return ops.apply_resized(x, "wht", where, norm or "inverse", full, sizes, out)


def dct(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    type: int = 2,
    norm: str | None = "ortho",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Discrete cosine transform of type 1, 2, 3 or 4 over `dims`, with scipy.fft.dctn's values.

    Same shape and dtype as x. Type 1 needs sizes of at least 2.

    >>> dct(torch.ones(4), dims=-1)
    tensor([2., 0., 0., 0.])
    """
    return _trigonometric("dct", x, dims, type, norm, out, inverse=False)


def idct(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    type: int = 2,
    norm: str | None = "ortho",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Inverse of `dct` of the same type and norm, with scipy.fft.idctn's values.

    >>> x = torch.rand(5, 7)
    >>> bool(torch.allclose(idct(dct(x, norm=None), norm=None), x, atol=1e-5))
    True
    """
    return _trigonometric("dct", x, dims, type, norm, out, inverse=True)


def dst(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    type: int = 2,
    norm: str | None = "ortho",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Discrete sine transform of type 1, 2, 3 or 4 over `dims`, with scipy.fft.dstn's values.

    >>> dst(torch.ones(1), dims=-1)
    tensor([1.])
    """
    return _trigonometric("dst", x, dims, type, norm, out, inverse=False)


def idst(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    type: int = 2,
    norm: str | None = "ortho",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Inverse of `dst` of the same type and norm, with scipy.fft.idstn's values.

    >>> x = torch.rand(5, 7)
    >>> bool(torch.allclose(idst(dst(x)), x, atol=1e-5))
    True
    """
    return _trigonometric("dst", x, dims, type, norm, out, inverse=True)


def hartley(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    norm: str | None = "ortho",
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """Hartley transform, Re F - Im F of the DFT F over all `dims` together: real, phase kept.

    Orthonormal, it is its own inverse; with `norm=None` applying it twice multiplies by the number
    of transformed elements. Over two dims it is not the product of two 1-D Hartley transforms.
    Source: Bracewell (1983), "Discrete Hartley transform".

    >>> x = torch.rand(7, 14)
    >>> bool(torch.allclose(hartley(hartley(x)), x, atol=1e-5))
    True
    """
    x = checks.check_tensor("hartley", x)
    where = checks.check_dims("hartley", x.shape, norm, *_many(dims))
    checks.check_out("hartley", x, out, x.shape)
    return _call(x, "hartley", where, norm or "none", out)


def fft_magnitude(
    x: torch.Tensor,
    dims: Dims = _PLANE,
    *,
    norm: str | None = "ortho",
    log: bool = False,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """|F| of the DFT over `dims`, or log(1 + |F|): the paper's FFT layer, which discards phase.

    The magnitude has no inverse: a map and its circular shifts give the same result. Its gradient
    is taken as 0 where the magnitude is 0.

    >>> fft_magnitude(torch.tensor([1.0, -1.0]), dims=-1, norm=None)
    tensor([0., 2.])
    """
    x = checks.check_tensor("fft_magnitude", x)
    where = checks.check_dims("fft_magnitude", x.shape, norm, *_many(dims))
    checks.check_out("fft_magnitude", x, out, x.shape)
    wide = x if x.dtype == torch.float64 else x.float()
    h = ops.apply(wide, "hartley", where, norm or "none")
    # Re² + Im² = (H(k)² + H(-k)²) / 2, so the magnitude needs no complex numbers. The larger of
    # the two is taken out first: squares of big or small values would overflow or vanish.
    mirrored = torch.roll(torch.flip(h, where), [1] * len(where), where)
    largest = torch.maximum(h.abs(), mirrored.abs()).detach()
    safe = torch.where(largest > 0, largest, torch.ones_like(largest))
    squares = ((h / safe) ** 2 + (mirrored / safe) ** 2) / 2
    zero = squares == 0
    root = torch.where(zero, torch.ones_like(squares), squares).sqrt()
    y = torch.where(zero, torch.zeros_like(root), root * safe)
    y = (torch.log1p(y) if log else y).to(x.dtype)
    return y if out is None else out.copy_(y)


@dataclass(frozen=True)
class BackendInfo:
    """Which path a call takes, `"cpu"` (C++ kernels) or `"torch"` (plain), and why."""

    path: str
    reason: str


def backend_info(x: torch.Tensor, kind: str = "wht", dims: Dims = _PLANE) -> BackendInfo:
    """Which path a transform of x takes, and why; `kind` as in "wht", "dct2", "dst3", "hartley".

    >>> backend_info(torch.zeros(4, 11), "dct1", dims=-1).path
    'torch'
    """
    x = checks.check_tensor("backend_info", x)
    check_choice("backend_info: kind", kind, ("wht", "hartley", *bases.BASES))
    where = checks.check_dims("backend_info", x.shape, "ortho", *_many(dims))
    if kind == "wht":  # the sizes that a pad leads to; without one the call raises
        sizes = list(x.shape)
        for dim in where:
            sizes[dim] = hadamard.padded_size(sizes[dim])
        x = x if sizes == list(x.shape) else x.new_empty(sizes)
    return BackendInfo(*ops.backend(x, kind, where))


def _trigonometric(
    family: str,
    x: torch.Tensor,
    dims: Dims,
    type: int,
    norm: str | None,
    out: torch.Tensor | None,
    inverse: bool,
) -> torch.Tensor:
    name = ("i" if inverse else "") + family
    x = checks.check_tensor(name, x)
    where = checks.check_dims(name, x.shape, norm, *_many(dims))
    if type not in (1, 2, 3, 4) or not isinstance(type, int) or isinstance(type, bool):
        raise InputError(f"{name}: type is {type!r}, but must be one of 1, 2, 3, 4")
    kind = f"{family}{type}"
    if kind == "dct1" and any(x.shape[dim] < 2 for dim in where):
        raise InputError(
            f"{name}: type 1 needs sizes of at least 2, but the shape is {tuple(x.shape)} and the "
            f"dims are {where}; use type 2"
        )
    checks.check_out(name, x, out, x.shape)
    if inverse:
        kind = bases.INVERSE[kind]
    return _call(x, kind, where, norm or ("inverse" if inverse else "none"), out)


def _many(dims: Dims) -> Sequence[int]:
    if isinstance(dims, int):
        return (dims,)
    if isinstance(dims, (tuple, list)):
        return dims
    raise InputTypeError(f"dims is {dims!r}, but must be a whole number or a tuple of them")


def _call(
    x: torch.Tensor, kind: str, dims: tuple[int, ...], norm: str, out: torch.Tensor | None
) -> torch.Tensor:
    return (
        ops.apply(x, kind, dims, norm) if out is None else ops.apply_out(x, kind, dims, norm, out)
    )
