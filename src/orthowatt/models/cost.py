"""What one forward pass of a model costs, counted on shapes: no data, no time, no energy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from ..errors import InputError
from ..nn.layer import MapLayer
from .arithmetic import Operations, operations
from .site import map_layers
from .trace import hooks, run_on_shapes

_BATCH = 2


@dataclass(frozen=True)
class LayerCost:
    """One module without children, or one orthowatt layer: its share of the cost, per image."""

    name: str
    type: str
    macs: int
    parameters: int
    output: tuple[int, ...] | None
    transform: Operations | None = None


@dataclass(frozen=True)
class Cost:
    """Of one forward pass of one image.

    `macs`: multiply-accumulates of convolutions, linear layers and attention, transforms left out.
    `additions`: element-wise sums of maps (shortcuts), transforms left out. The transforms are
    counted twice over: `transform_macs_dense` as products with dense matrices, and
    `transform_adds_fast` with `transform_mults_fast` by fast algorithms.

    >>> from orthowatt.nn import WHT2d
    >>> cost = count(WHT2d(), (3, 8, 8))
    >>> cost.macs, cost.transform_macs_dense, cost.transform_adds_fast
    (0, 3072, 1152)
    """

    macs: int
    additions: int
    parameters: int
    transform_macs_dense: int
    transform_adds_fast: int
    transform_mults_fast: int
    layers: tuple[LayerCost, ...]


def count(model: nn.Module, input_shape: Sequence[int]) -> Cost:
    """Count a forward pass on inputs of `input_shape` (C, H, W), per image.

    The model runs on the meta device, so nothing is computed and nothing in it changes. Raises
    `InputError` where it does not run on that shape.

    >>> count(nn.Conv2d(3, 8, 3, bias=False), (3, 10, 10)).macs
    13824
    """
    counter = _Counter()
    layers: list[LayerCost] = []
    transforms = {layer for _, layer in map_layers(model)}
    inside = {part for layer in transforms for part in layer.modules()} - transforms

    def before(name: str, module: nn.Module, inputs: Any) -> None:
        counter.stack.append(0)

    def after(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        macs = counter.stack.pop()
        own = [key for key in module._modules if not key.startswith("orthowatt_")]
        if module in inside or (own and module not in transforms):
            return
        taken = None
        if isinstance(module, MapLayer):
            taken = operations(module, tuple(inputs[0].shape[-3:]))
        shape = tuple(output.shape[1:]) if isinstance(output, torch.Tensor) else None
        parameters = sum(p.numel() for p in module.parameters())
        layers.append(
            LayerCost(name, type(module).__name__, macs // _BATCH, parameters, shape, taken)
        )

    try:
        with hooks(model, after, before), counter:
            run_on_shapes(model, input_shape, _BATCH)
    except Exception as error:
        raise InputError(
            f"the model does not run on inputs of shape {tuple(input_shape)}: {error}"
        ) from error
    total = sum((layer.transform for layer in layers if layer.transform), Operations())
    return Cost(
        macs=counter.macs // _BATCH,
        additions=counter.additions // _BATCH,
        parameters=sum(p.numel() for p in model.parameters()),
        transform_macs_dense=total.macs_dense,
        transform_adds_fast=total.adds_fast,
        transform_mults_fast=total.mults_fast,
        layers=tuple(layers),
    )


class _Counter(TorchDispatchMode):
    """Adds up the products and sums that pass by; `stack` holds those of the module that runs."""

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0
        self.additions = 0
        self.stack: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        packet = getattr(func, "_overloadpacket", None)
        if packet in flop_registry:
            macs = flop_registry[packet](*args, **(kwargs or {}), out_val=result) // 2
            self.macs += macs
            if self.stack:
                self.stack[-1] += macs
        elif packet is torch.ops.aten.add or packet is torch.ops.aten.add_:
            sides = [a for a in args[:2] if isinstance(a, torch.Tensor) and a.is_floating_point()]
            if len(sides) == 2 and result.ndim > 1:
                self.additions += result.numel()
        return result
