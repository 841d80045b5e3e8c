"""The one operator behind every transform: a node that torch.compile and torch.export can see.

A real linear transform is its own derivative up to transposition, so the backward of the operator
is the operator with `transpose` flipped, and derivatives of any order follow.

A call goes through torch's dispatcher where somebody listens there (a compiler, a functional
transform, a dispatch mode); else straight to the backend, which saves several µs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch._C import _len_torch_dispatch_stack  # pyright: ignore[reportAttributeAccessIssue]
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad

from . import cpu, gpu, reference
from .layout import is_dense

_library = torch.library.Library("orthowatt", "DEF")
_library.define(
    "transform(Tensor x, str kind, int[] dims, str norm, bool transpose) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def apply(
    x: torch.Tensor, kind: str, dims: tuple[int, ...], norm: str, transpose: bool = False
) -> torch.Tensor:
    """Call the operator; `dims` are negative, checked by the caller."""
    if not torch.compiler.is_compiling() and forward_ad._current_level >= 0:
        return _with_tangent(x, kind, dims, norm, transpose)
    if not is_plain(x):
        return torch.ops.orthowatt.transform(x, kind, dims, norm, transpose)
    if x.requires_grad and torch.is_grad_enabled():
        return _Transform.apply(x, kind, dims, norm, transpose)  # type: ignore[return-value]
    return compute(x, kind, dims, norm, transpose)


def apply_out(
    x: torch.Tensor, kind: str, dims: tuple[int, ...], norm: str, out: torch.Tensor
) -> torch.Tensor:
    """The same into `out`, which has the result's shape; no gradient is needed."""
    if is_plain(x) and is_plain(out):
        return compute(x, kind, dims, norm, False, out)
    return out.copy_(torch.ops.orthowatt.transform(x, kind, dims, norm, False))


def apply_resized(
    x: torch.Tensor,
    kind: str,
    dims: tuple[int, ...],
    norm: str,
    full: tuple[int, ...],
    result: tuple[int, ...],
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The operator on x zero-padded along `dims` to `full`, its result cropped to `result`.

    One pass over a CUDA tensor where a kernel holds the tile, else pad, operator and crop. With
    `out`, which has the result's shape, no gradient is needed.
    """
    if x.device.type == "cuda" and is_plain(x) and (out is None or is_plain(out)):
        if x.requires_grad and torch.is_grad_enabled():
            return _Resized.apply(x, kind, dims, norm, False, full, result)  # type: ignore[return-value]
        return _resized(x, kind, dims, norm, False, full, result, out)
    y = _crop(apply(_pad(x, dims, full), kind, dims, norm), dims, result)
    return y if out is None else out.copy_(y)


def _resized(
    x: torch.Tensor, kind: str, dims: tuple[int, ...], norm: str, transpose: bool,
    full: tuple[int, ...], result: tuple[int, ...], out: torch.Tensor | None = None,
) -> torch.Tensor:  # fmt: skip
    y = gpu.resized(x, kind, dims, norm, transpose, full, result, out)
    if y is not None:
        return y
    y = _crop(compute(_pad(x, dims, full), kind, dims, norm, transpose), dims, result)
    return y if out is None else out.copy_(y)


def _pad(x: torch.Tensor, dims: tuple[int, ...], full: tuple[int, ...]) -> torch.Tensor:
    widths = [0] * (2 * max(-dim for dim in dims))
    for dim, n in zip(dims, full, strict=True):
        widths[2 * (-dim - 1) + 1] = n - x.shape[dim]
    return torch.nn.functional.pad(x, widths) if any(widths) else x


def _crop(x: torch.Tensor, dims: tuple[int, ...], result: tuple[int, ...]) -> torch.Tensor:
    for dim, n in zip(dims, result, strict=True):
        if x.shape[dim] != n:
            x = x.narrow(dim, 0, n)
    return x


def is_plain(x: torch.Tensor) -> bool:
    """Nobody but autograd has to be told of a call on x: no compiler, vmap or dispatch mode."""
    return (
        not torch.compiler.is_compiling()
        and type(x) in _PLAIN
        and not x.is_meta
        and not x.is_neg()  # a view that the dispatcher has to resolve
        and not _len_torch_dispatch_stack()
        and peek_interpreter_stack() is None
        and forward_ad._current_level < 0
    )


def _with_tangent(x: torch.Tensor, *request: Any) -> torch.Tensor:
    """Forward-mode derivative, which an operator of this kind has no hook for: T is linear."""
    primal, tangent = forward_ad.unpack_dual(x)
    y = torch.ops.orthowatt.transform(primal, *request)
    if tangent is None:
        return y
    return forward_ad.make_dual(y, torch.ops.orthowatt.transform(tangent, *request))


class _Transform(torch.autograd.Function):
    """The operator's gradient without the dispatcher: half the cost of a small call."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *request: Any) -> torch.Tensor:
        ctx.request = request
        return compute(x, *request)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        kind, dims, norm, transpose = ctx.request
        return apply(grad, kind, dims, norm, not transpose), None, None, None, None


class _Resized(torch.autograd.Function):
    """Pad, transform, crop: its transpose pads what was cropped and crops what was padded."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, *request: Any) -> torch.Tensor:
        kind, dims, norm, transpose, full, _ = request
        ctx.request = (kind, dims, norm, not transpose, full, tuple(x.shape[dim] for dim in dims))
        return _resized(x, *request)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
        if is_plain(grad):
            return _Resized.apply(grad, *ctx.request), *[None] * 6  # type: ignore[return-value]
        kind, dims, norm, transpose, full, result = ctx.request
        y = apply(_pad(grad, dims, full), kind, dims, norm, transpose)
        return _crop(y, dims, result), *[None] * 6


def compute(
    x: torch.Tensor,
    kind: str,
    dims: tuple[int, ...],
    norm: str,
    transpose: bool,
    out: torch.Tensor | None = None,
) -> torch.Tensor:
    """The transform of a real tensor by the best path that covers it."""
    if out is not None and out.is_neg():  # kernels write what lies in memory
        return out.copy_(compute(x, kind, dims, norm, transpose))
    x = x.resolve_neg()
    if x.device.type == "cpu" and x.numel():
        calls, dense = _cpu_steps(x, kind, dims, norm, transpose)
        if calls is not None:
            return _on_cpu(calls, x if dense else torch.empty_like(x).copy_(x), out)
    elif x.device.type == "cuda":
        y = gpu.transform(x, kind, dims, norm, transpose, out)
        if y is not None:
            return y
    y = reference.transform(x, kind, dims, norm, transpose)
    return y if out is None else out.copy_(y)


def backend(x: torch.Tensor, kind: str, dims: tuple[int, ...]) -> tuple[str, str]:
    """("cpu", "gpu" or "torch", why) for a transform of x."""
    if x.device.type != "cpu":
        return gpu.backend(x, kind, dims)
    if cpu.library() is None:
        return "torch", cpu.reason()
    if not x.numel():
        return "torch", "the tensor is empty"
    uncovered = [x.shape[dim] for dim in dims if not cpu.covers(kind, x.shape[dim])]
    if uncovered:
        return "torch", f"no kernel covers {kind} of size {uncovered[0]}"
    calls, dense = _cpu_steps(x, kind, dims, "ortho", False)
    if calls is None:
        return "torch", "these dims of a tensor of this layout and dtype need more than one pass"
    passes = "one pass" if len(calls) == 1 else f"{len(calls)} passes"
    copied = "" if dense else ", over a dense copy, for the tensor has gaps"
    return "cpu", f"{cpu.reason()}, {passes}{copied}"


def _cpu_steps(
    x: torch.Tensor, kind: str, dims: tuple[int, ...], norm: str, transpose: bool
) -> tuple[tuple[cpu.Step, ...] | None, bool]:
    """The kernel calls for x, and whether x is dense; for gaps, the calls for its dense copy."""
    narrow = x.dtype in (torch.bfloat16, torch.float16)
    shape, strides = tuple(x.shape), x.stride()
    calls = cpu.steps(shape, strides, narrow, kind, dims, norm, transpose)
    if calls is not None or x.is_contiguous() or is_dense(shape, strides):
        return calls, True
    strides = torch.empty_like(x, device="meta").stride()
    return cpu.steps(shape, strides, narrow, kind, dims, norm, transpose), False


def _on_cpu(calls: tuple[cpu.Step, ...], x: torch.Tensor, out: torch.Tensor | None) -> torch.Tensor:
    if out is None:
        out = torch.empty_like(x)
    elif out.stride() != x.stride() or (out.data_ptr() != x.data_ptr() and _share(x, out)):
        y = torch.empty_like(x)
        cpu.run(calls, x, y)
        return out.copy_(y)
    cpu.run(calls, x, out)
    return out


def _share(x: torch.Tensor, out: torch.Tensor) -> bool:
    return x.untyped_storage().data_ptr() == out.untyped_storage().data_ptr()


def _forward(
    x: torch.Tensor, kind: str, dims: Sequence[int], norm: str, transpose: bool
) -> torch.Tensor:
    return compute(x, kind, tuple(dims), norm, transpose)


def _fake(
    x: torch.Tensor, kind: str, dims: Sequence[int], norm: str, transpose: bool
) -> torch.Tensor:
    return torch.empty_like(x)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, ctx.kind, dims, ctx.norm, ctx.transpose = inputs
    ctx.dims = tuple(dims)


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    return apply(grad, ctx.kind, ctx.dims, ctx.norm, not ctx.transpose), None, None, None, None


def _vmap(
    info: Any, in_dims: tuple[Any, ...], x: torch.Tensor, kind: str, dims: list[int], norm: str,
    transpose: bool,
) -> tuple[torch.Tensor, int]:  # fmt: skip
    # Dims are counted from the end, so a batch dimension in front changes none of them.
    return apply(x.movedim(in_dims[0], 0), kind, tuple(dims), norm, transpose), 0


_library.impl("transform", _forward, "CompositeExplicitAutograd")
torch.library.register_fake("orthowatt::transform", _fake, lib=_library)
torch.library.register_autograd(
    "orthowatt::transform", _backward, setup_context=_setup_context, lib=_library
)
torch.library.register_vmap("orthowatt::transform", _vmap, lib=_library)
