"""What the public functions check of their arguments, and the sentences that they answer with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F

from ..errors import InputError, InputTypeError, check_choice
from . import hadamard

DTYPES = (torch.bfloat16, torch.float16, torch.float32, torch.float64)


def check_tensor(name: str, x: Any) -> torch.Tensor:
    """`x` as a tensor of an allowed dtype, or `InputTypeError` with the conversion to use."""
    if not isinstance(x, torch.Tensor):
        raise InputTypeError(
            f"{name} needs a torch.Tensor, but got {type(x).__name__}; "
            "convert it with torch.as_tensor(x)"
        )
    if x.dtype not in DTYPES:
        mend = "split it into x.real and x.imag" if x.is_complex() else "convert it with x.float()"
        raise InputTypeError(
            f"{name} needs bfloat16, float16, float32 or float64, but got {x.dtype}; {mend}"
        )
    return x


def check_dims(name: str, x: torch.Tensor, dims: int | Sequence[int]) -> tuple[int, ...]:
    """`dims` counted from the end, distinct, in range and not of size 0."""
    given = (dims,) if isinstance(dims, int) else tuple(dims)
    if not given:
        raise InputError(f"{name}: dims is empty, but must name at least one dimension")
    result = []
    for dim in given:
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise InputTypeError(f"{name}: dims is {dims!r}, but must hold whole numbers")
        if not -x.ndim <= dim < x.ndim:
            raise InputError(
                f"{name}: dim {dim} is out of range for a tensor of shape {tuple(x.shape)}; "
                f"allowed are {-x.ndim} … {x.ndim - 1}"
            )
        result.append(dim - x.ndim if dim >= 0 else dim)
    if len(set(result)) != len(result):
        raise InputError(f"{name}: dims {given} names a dimension twice; name each once")
    for dim in result:
        if x.shape[dim] == 0:
            raise InputError(
                f"{name}: dim {dim} of shape {tuple(x.shape)} has size 0, but a transformed "
                "dimension must have at least one element"
            )
    return tuple(result)


def check_norm(name: str, norm: str | None) -> None:
    """`norm` is "ortho" or None."""
    check_choice(f"{name}: norm", norm, ("ortho", None))


def check_out(name: str, x: torch.Tensor, out: torch.Tensor | None, shape: Sequence[int]) -> None:
    """`out` has the result's shape, dtype and device, and nothing here needs a gradient."""
    if out is None:
        return
    if torch.is_grad_enabled() and (x.requires_grad or out.requires_grad):
        raise InputError(
            f"{name}: out= cannot take part in a gradient; leave it out, or call under "
            "torch.no_grad()"
        )
    if tuple(out.shape) != tuple(shape) or out.dtype != x.dtype or out.device != x.device:
        raise InputError(
            f"{name}: out is {tuple(out.shape)} {out.dtype} on {out.device}, but the result is "
            f"{tuple(shape)} {x.dtype} on {x.device}; allocate it so"
        )


def pad_to_orders(
    name: str, x: torch.Tensor, dims: Sequence[int], order: str, pad: str | None
) -> torch.Tensor:
    """`x` zero-padded to buildable sizes; without a pad, `InputError` for a size that has none."""
    check_choice(f"{name}: order", order, ("exact", "pow2"))
    check_choice(f"{name}: pad", pad, (None, "keep", "crop"))
    widths = [0] * (2 * max(-dim for dim in dims))
    for dim in dims:
        size = x.shape[dim]
        if hadamard.is_order(size, order):
            continue
        above = hadamard.padded_size(size, order)
        if pad is None:
            raise InputError(
                f"{name}: size {size} of dim {dim} has no {_order_name(order)}; "
                f"{hadamard.nearest(size, order)}; pad='keep' zero-pads to {above} and keeps "
                "the larger spectrum, pad='crop' crops it back (then it is not orthogonal)"
            )
        widths[2 * (-dim - 1) + 1] = above - size
    return F.pad(x, widths) if any(widths) else x


def crop(x: torch.Tensor, dims: Sequence[int], sizes: Sequence[int]) -> torch.Tensor:
    """The first `sizes` entries along `dims`."""
    for dim, size in zip(dims, sizes, strict=True):
        if x.shape[dim] != size:
            x = x.narrow(dim, 0, size)
    return x


def check_sizes(
    name: str, x: torch.Tensor, dims: Sequence[int], size: int | Sequence[int] | None
) -> tuple[int, ...]:
    """`size` as one number a dim, each between 1 and the dim's own size."""
    own = tuple(x.shape[dim] for dim in dims)
    if size is None:
        return own
    sizes = (size,) * len(dims) if isinstance(size, int) else tuple(size)
    if len(sizes) != len(dims) or any(
        not isinstance(s, int) or not 1 <= s <= n for s, n in zip(sizes, own, strict=False)
    ):
        raise InputError(
            f"{name}: size is {size!r}, but must be one number, or one a dim, from 1 up to the "
            f"spectrum's own size {own}"
        )
    return sizes


def _order_name(order: str) -> str:
    return "power of two (order='pow2')" if order == "pow2" else "Hadamard matrix"
