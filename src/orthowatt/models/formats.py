"""What passes at a place: maps (N, C, H, W), as the layers take them, or something else."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ..errors import InputError
from ..nn.layer import MapLayer
from .place import Place
from .trace import Call, guess_input_shape, trace

_CHANNELS_FIRST = (nn.Conv2d, nn.BatchNorm2d, nn.GroupNorm, nn.MaxPool2d, nn.AvgPool2d)


def check(
    model: nn.Module,
    places: Sequence[Place],
    layers: Mapping[str, Any],
    input_shape: Sequence[int] | None,
) -> None:
    """Raise `InputError` where a `MapLayer`, or a function of the map's shape, would get no maps.

    Tokens (N, L, D) and maps (N, H, W, C) look like maps and would be transformed along the wrong
    axes. Where no input is known or the model does not run on it, nothing is said here.
    """
    asked = [spot for spot in places if _takes_maps(layers[spot.name])]
    shape = (input_shape or guess_input_shape(model)) if asked else None
    if not shape:
        return
    calls: list[Call] = []
    with contextlib.suppress(Exception):  # a model that does not run is refused elsewhere
        calls = trace(model, shape)
    for spot in asked:
        call = next((call for call in calls if call.module is spot.module), None)
        passed = None if call is None else call.input if spot.how == "before" else call.output
        if passed is None:
            continue
        if len(passed) == 2 and not _along_one(layers[spot.name]):
            raise InputError(_tokens(spot, passed, layers[spot.name]))
        if len(passed) == 3 and channels_last(model, spot, passed, calls):
            raise InputError(_last(model, spot, passed, layers[spot.name]))


def channels_last(
    model: nn.Module, spot: Place, passed: tuple[int, ...], calls: Sequence[Call]
) -> bool:
    """Whether the maps at a place are (H, W, C): by the layers nearest to it, else as declared.

    The nearest layers are the last inside the module, or for a place before it the first, that
    took maps of just this shape: a convolution has its channels first, a norm over the last axis
    and a linear layer have them last. Where the channels equal the width the shape tells nothing.
    """
    if passed[0] != passed[2]:
        before = spot.how == "before"
        inside = f"{spot.path}." if spot.path else ""
        near = [c for c in calls if c.name == spot.path or c.name.startswith(inside)]
        for call in near if before else reversed(near):
            told = _told(call.module)
            if told is not None and (call.input if before else call.output) == passed:
                return told
    return declared(model)


def declared(model: nn.Module) -> bool:
    """Whether the model says that its maps are (N, H, W, C).

    timm says so by `output_fmt`; torchvision's Swin says nothing, but is known to be.
    """
    return _format(model) == "NHWC" or any(
        kind.__name__ == "SwinTransformer" for kind in type(model).__mro__
    )


def _format(model: nn.Module) -> str:
    given = getattr(model, "output_fmt", None)
    return str(getattr(given, "value", given))


def _told(module: nn.Module) -> bool | None:
    """Whether a module's maps have the channels last; None where it does not care."""
    if isinstance(module, nn.Linear):
        return True
    if isinstance(module, nn.LayerNorm):
        # timm's and torchvision's LayerNorm2d are subclasses that take the channels first
        plain = not type(module).__name__.startswith("LayerNorm2d")
        return True if plain and len(module.normalized_shape) == 1 else None
    return False if isinstance(module, _CHANNELS_FIRST) else None


def _takes_maps(layer: Any) -> bool:
    return isinstance(layer, MapLayer) or not isinstance(layer, nn.Module)


def _along_one(layer: Any) -> bool:
    """Whether a layer works on one axis beside the batch: of tokens the position or a feature."""
    return isinstance(layer, MapLayer) and layer.dims in ((-1,), (-2,))


def _called(layer: Any) -> str:
    return type(layer).__name__ if isinstance(layer, nn.Module) else "the layer"


def _tokens(spot: Place, passed: tuple[int, ...], layer: Any) -> str:
    shape = ", ".join(str(n) for n in passed)
    return (
        f"{spot.path or 'the model'} passes (N, {shape}), which are tokens and no maps "
        f"(N, C, H, W), as {_called(layer)} takes; insert into a CNN, or choose one axis: "
        "orthowatt.nn.WHT1d(-1) for the features, WHT1d(-2) for the tokens"
    )


def _last(model: nn.Module, spot: Place, passed: tuple[int, ...], layer: Any) -> str:
    shape = ", ".join(str(n) for n in passed)
    return (
        f"{spot.path or 'the model'} of {type(model).__name__} passes maps (N, {shape}) with the "
        f"channels last, but {_called(layer)} takes (N, C, H, W); insert into a CNN, or a module "
        "of your own that permutes to (N, C, H, W) and back"
    )
