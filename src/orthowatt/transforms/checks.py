"""What the public functions check of their arguments, and the sentences that they answer with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps
from typing import Any, NamedTuple, TypeVar

import torch

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


_Function = TypeVar("_Function", bound=Callable[..., Any])


def _remembered(function: _Function) -> _Function:
    """Remember answers, for the same sizes are checked at every step; not while compiling."""
    # typed: 1, 1.0 and True are one key otherwise, and only the first of them is allowed
    memory = lru_cache(maxsize=4096, typed=True)(function)

    @wraps(function)
    def call(*arguments: Any) -> Any:
        if torch.compiler.is_compiling():
            return function(*arguments)
        try:
            return memory(*arguments)
        except TypeError:  # a list cannot be remembered; the function says what is wrong with it
            return function(*arguments)

    return call  # type: ignore[return-value]


@_remembered
def check_dims(name: str, shape: torch.Size, norm: str | None, *dims: int) -> tuple[int, ...]:
    """`dims` counted from the end, distinct, in range and not of size 0; and a known norm."""
    check_choice(f"{name}: norm", norm, ("ortho", None))
    if not dims:
        raise InputError(f"{name}: dims is empty, but must name at least one dimension")
    result = []
    for dim in dims:
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise InputTypeError(f"{name}: dims is {dims!r}, but must hold whole numbers")
        if not len(shape):
            raise InputError(f"{name}: the tensor has no dimensions; give one of at least one")
        if not -len(shape) <= dim < len(shape):
            raise InputError(
                f"{name}: dim {dim} is out of range for a tensor of shape {tuple(shape)}; "
                f"allowed are {-len(shape)} … {len(shape) - 1}"
            )
        result.append(dim - len(shape) if dim >= 0 else dim)
    if len(set(result)) != len(result):
        raise InputError(f"{name}: dims {dims} names a dimension twice; name each once")
    for dim in result:
        if shape[dim] == 0:
            raise InputError(
                f"{name}: dim {dim} of shape {tuple(shape)} has size 0, but a transformed "
                "dimension must have at least one element"
            )
    return tuple(result)


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


class Padding(NamedTuple):
    """How a Walsh-Hadamard transform reaches its sizes: `full` is what each dim is padded to."""

    dims: tuple[int, ...]
    full: tuple[int, ...]
    shape: tuple[int, ...]  # of the result


@_remembered
def check_orders(
    name: str, shape: torch.Size, norm: str | None, order: str, pad: str | None, *dims: int
) -> Padding:
    """The padding to buildable sizes; without a pad, `InputError` for a size that has none."""
    where = check_dims(name, shape, norm, *dims)
    check_choice(f"{name}: order", order, ("exact", "pow2"))
    check_choice(f"{name}: pad", pad, (None, "keep", "crop"))
    full: list[int] = []
    result = list(shape)
    for dim in where:
        size = shape[dim]
        full.append(size)
        if hadamard.is_order(size, order):
            continue
        above = hadamard.padded_size(size, order)
        if pad is None:
            raise InputError(
                f"{name}: size {size} of dim {dim} has no {_order_name(order)}; "
                f"{hadamard.nearest(size, order)}; pad='keep' zero-pads to {above} and keeps "
                "the larger spectrum, pad='crop' crops it back (then it is not orthogonal)"
            )
        full[-1] = above
        if pad == "keep":
            result[dim] = above
    return Padding(where, tuple(full), tuple(result))


def check_sizes(
    name: str, x: torch.Tensor, dims: Sequence[int], size: int | Sequence[int] | None
) -> tuple[int, ...]:
    """`size` as one number a dim, each between 1 and the dim's own size."""
    own = tuple(x.shape[dim] for dim in dims)
    if size is None:
        return own
    many = isinstance(size, (tuple, list))
    sizes: tuple[Any, ...] = tuple(size) if many else (size,) * len(dims)  # type: ignore[arg-type]
    whole = all(isinstance(s, int) and not isinstance(s, bool) for s in sizes)
    fits = whole and len(sizes) == len(dims)
    if not fits or not all(1 <= s <= n for s, n in zip(sizes, own, strict=True)):
        raise InputError(
            f"{name}: size is {size!r}, but must be one number, or one a dim, from 1 up to the "
            f"spectrum's own size {own}"
        )
    return sizes


def _order_name(order: str) -> str:
    return "power of two (order='pow2')" if order == "pow2" else "Hadamard matrix"
