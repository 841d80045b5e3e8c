"""Trial runs on shapes around an insertion: which maps reach a place, does the model still run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from ..errors import InputError
from ..nn.layer import MapShape
from .place import Place
from .trace import Call, guess_input_shape, hooks, run_on_shapes, trace

__all__ = ["check", "guess_input_shape", "map_shapes"]


def map_shapes(
    model: nn.Module, places: Sequence[Place], input_shape: Sequence[int]
) -> Mapping[str, MapShape]:
    """The (C, H, W) of the maps that a layer at each place gets, by the place's name."""
    try:
        calls = trace(model, input_shape)
    except Exception as error:
        raise InputError(
            f"the model does not run on inputs of shape {tuple(input_shape)}: {_first_line(error)}"
        ) from error
    first: dict[nn.Module, Call] = {}
    for call in calls:
        first.setdefault(call.module, call)
    shapes = {}
    for spot in places:
        call = first.get(spot.module)
        if call is None:
            raise InputError(
                f"{spot.path} does not run when the model is called, so a layer there would not "
                "run either; name the module around it"
            )
        shape = call.output if spot.how == "after" else call.input
        if shape is not None and len(shape) == 3:
            shapes[spot.name] = (shape[0], shape[1], shape[2])
    return shapes


def check(
    model: nn.Module, sites: Sequence[Any], input_shape: Sequence[int], every_error: bool
) -> None:
    """Run the edited model; `InputError` where a layer's channels do not fit the next layer.

    With `every_error` any failure is one; without (a guessed input) only that of channels.
    """
    layers = {entry.layer: entry for entry in sites}
    changed: list[str] = []

    def refuse(name: str, taken: int | None, given: int | None) -> None:
        if changed and taken is not None and given is not None and taken != given:
            raise InputError(
                f"{changed[-1]}, but the next layer, {name}, takes {taken}; "
                "choose a layer that keeps the channels (packed=True, pad='crop')"
            )

    def before(name: str, module: nn.Module, inputs: Any) -> None:
        refuse(name, _channels_taken(module), _channels(inputs))

    def after(name: str, module: nn.Module, inputs: Any, output: Any) -> None:
        entry = layers.get(module)
        given, made = _channels(inputs), _channels(output)
        if entry is not None and given != made:
            changed.append(f"{_phrase(entry)} makes {made} channels of {given}")
            if entry.where == "before":  # its module runs inside, where no hook looks
                refuse(entry.name, _channels_taken(entry.holder), made)

    try:
        with hooks(model, after, before):
            run_on_shapes(model, input_shape)
    except Exception as error:
        if isinstance(error, InputError) and changed and str(error).startswith(changed[-1]):
            raise
        if changed:
            raise InputError(f"{changed[-1]}, which does not fit: {_first_line(error)}") from error
        if every_error:
            names = ", ".join(_phrase(entry) for entry in sites)
            raise InputError(
                f"with {names} the model does not run on inputs of shape "
                f"{tuple(input_shape)}: {_first_line(error)}"
            ) from error


def _channels(value: Any) -> int | None:
    if isinstance(value, (tuple, list)):
        value = value[0] if value else None
    shape = getattr(value, "shape", None)
    return int(shape[1]) if shape is not None and len(shape) >= 2 else None


def _channels_taken(module: nn.Module) -> int | None:
    """The number of channels that a convolution or norm was made for."""
    for name in ("in_channels", "num_features", "num_channels"):
        value = getattr(module, name, None)
        if isinstance(value, int) and all(key.startswith("orthowatt_") for key in module._modules):
            return value
    return None


def _phrase(entry: Any) -> str:
    """A site as WHT2d after layer1.0."""
    where = {"replace": "in place of", "branch": "in the branch of"}.get(entry.where, entry.where)
    return f"{type(entry.layer).__name__} {where} {entry.name or 'the model'}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
