"""A model run on shapes alone: which module is called in what order, on maps of which size.

The run takes place on the meta device, where tensors have a shape and no data: parameters and
buffers are exchanged for the call only, so the model and its statistics stay as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

#: Sizes to try, in this order, where nothing tells the size of a model's input.
_SIZES = (224, 32, 28, 64, 96, 128, 256, 299, 384)


@dataclass(frozen=True)
class Call:
    """One call of a module: the shape of its first tensor and of its result, batch left out."""

    name: str
    module: nn.Module
    input: tuple[int, ...] | None
    output: tuple[int, ...] | None


def run_on_shapes(model: nn.Module, input_shape: Sequence[int], batch: int = 2) -> Any:
    """The model's result on a meta tensor of `batch` inputs of `input_shape` (C, H, W).

    A batch of two, for batch norm refuses single values in training.
    """
    tensors: dict[str, torch.Tensor] = dict(model.named_parameters())
    tensors.update(model.named_buffers())
    floats = [t.dtype for t in tensors.values() if t.is_floating_point()]
    dtype = floats[0] if floats else torch.float32
    x = torch.empty((batch, *input_shape), dtype=dtype, device="meta")
    meta = {name: tensor.detach().to("meta") for name, tensor in tensors.items()}
    with torch.no_grad():
        return torch.func.functional_call(model, meta, (x,))


def trace(model: nn.Module, input_shape: Sequence[int]) -> list[Call]:
    """Every call of every module in the order in which the calls end."""
    calls: list[Call] = []

    def record(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        calls.append(Call(name, module, _shape(inputs), _shape(output)))

    with hooks(model, record):
        run_on_shapes(model, input_shape)
    return calls


@contextlib.contextmanager
def hooks(
    model: nn.Module,
    after: Callable[[str, nn.Module, Any, Any], None],
    before: Callable[[str, nn.Module, Any], None] | None = None,
) -> Iterator[None]:
    """`before(name, module, inputs)` and `after(name, module, inputs, output)` at each call."""
    handles = []
    try:
        for name, module in model.named_modules():
            if before is not None:
                handles.append(module.register_forward_pre_hook(_pre_hook(name, before)))
            handles.append(module.register_forward_hook(_hook(name, after)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _pre_hook(name: str, before: Callable[[str, nn.Module, Any], None]) -> Callable[..., None]:
    return lambda module, inputs: before(name, module, inputs)


def _hook(name: str, after: Callable[[str, nn.Module, Any, Any], None]) -> Callable[..., None]:
    return lambda module, inputs, output: after(name, module, inputs, output)


def guess_input_shape(model: nn.Module) -> tuple[int, int, int] | None:
    """An input (C, H, W) that the model accepts: its own statement, else by trial; or None."""
    config = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {}
    channels = _first_channels(model)
    stated = config.get("input_size") if hasattr(config, "get") else None
    tries = [(int(channels or stated[0]), *(int(n) for n in stated[1:]))] if stated else []
    tries += [(channels, size, size) for size in _SIZES] if channels else []
    for shape in tries:
        with contextlib.suppress(Exception):  # any complaint means: not this size
            run_on_shapes(model, shape)
            return shape[0], shape[1], shape[2]
    return None


def _first_channels(model: nn.Module) -> int | None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return module.in_channels
    return None


def _shape(value: Any) -> tuple[int, ...] | None:
    """The shape of the first tensor in a call's inputs or output without its batch dimension."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape[1:])
    if isinstance(value, (tuple, list)):
        return next((s for s in map(_shape, value) if s is not None), None)
    return None
