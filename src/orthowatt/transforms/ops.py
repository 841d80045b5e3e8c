"""The one operator behind every transform: a node that torch.compile and torch.export can see.

A real linear transform is its own derivative up to transposition, so the backward of the operator
is the operator with `transpose` flipped, and derivatives of any order follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from . import reference

_library = torch.library.Library("orthowatt", "DEF")
_library.define(
    "transform(Tensor x, str kind, int[] dims, str norm, bool transpose) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def apply(
    x: torch.Tensor, kind: str, dims: Sequence[int], norm: str, transpose: bool = False
) -> torch.Tensor:
    """Call the operator; `dims` are negative, checked by the caller."""
    return torch.ops.orthowatt.transform(x, kind, list(dims), norm, transpose)


def _forward(
    x: torch.Tensor, kind: str, dims: Sequence[int], norm: str, transpose: bool
) -> torch.Tensor:
    return reference.transform(x, kind, dims, norm, transpose)


def _fake(
    x: torch.Tensor, kind: str, dims: Sequence[int], norm: str, transpose: bool
) -> torch.Tensor:
    return torch.empty_like(x)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, ctx.kind, ctx.dims, ctx.norm, ctx.transpose = inputs


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    return apply(grad, ctx.kind, ctx.dims, ctx.norm, not ctx.transpose), None, None, None, None


def _vmap(
    info: Any, in_dims: tuple[Any, ...], x: torch.Tensor, kind: str, dims: list[int], norm: str,
    transpose: bool,
) -> tuple[torch.Tensor, int]:  # fmt: skip
    # Dims are counted from the end, so a batch dimension in front changes none of them.
    return apply(x.movedim(in_dims[0], 0), kind, dims, norm, transpose), 0


_library.impl("transform", _forward, "CompositeExplicitAutograd")
torch.library.register_fake("orthowatt::transform", _fake, lib=_library)
torch.library.register_autograd(
    "orthowatt::transform", _backward, setup_context=_setup_context, lib=_library
)
torch.library.register_vmap("orthowatt::transform", _vmap, lib=_library)
