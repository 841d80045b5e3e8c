"""Insertion of layers into any model by name: in place, all or nothing, and undone on request."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from ..errors import InputError, InputTypeError, check_choice
from ..nn.layer import MapLayer, MapShape
from . import formats, place, site, trial

Layer = nn.Module | Callable[..., nn.Module]


@dataclass
class Site:
    """One inserted layer: `name` as asked for, `where`, and `path`, its name in the model now."""

    name: str
    where: str
    path: str
    layer: nn.Module
    holder: nn.Module = field(repr=False)
    replaced: nn.Module | None = field(default=None, repr=False)
    shape: MapShape | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: what, where, on maps of which size, orthogonal or why not (None: unknown)."""
        orthogonal, why = None, "not a layer of orthowatt"
        if isinstance(self.layer, MapLayer):
            orthogonal, why = self.layer.orthogonality(self.shape)
        return {
            "name": self.name,
            "where": self.where,
            "path": self.path,
            "layer": " ".join(repr(self.layer).split()),
            "type": type(self.layer).__name__,
            "channels": self.shape[0] if self.shape else None,
            "size": list(self.shape[1:]) if self.shape else None,
            "orthogonal": orthogonal,
            "reason": why,
        }


@dataclass
class Edits:
    """What one `insert` changed in a model, and the way back.

    >>> from orthowatt.nn import DCT2d
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    >>> edits = insert(model, {"1": DCT2d}, input_shape=(3, 16, 16))
    >>> [(entry.path, entry.shape) for entry in edits]
    [('1.orthowatt_after', (4, 14, 14))]
    >>> edits.undo()
    >>> list(model[1].children())
    []
    """

    model: nn.Module = field(repr=False)
    sites: list[Site] = field(default_factory=list)
    undone: bool = False

    def undo(self) -> None:
        """Take the layers out again; `InputError` (and no change) if one is no longer in place."""
        if self.undone:
            raise InputError("these edits were undone before; insert again for new ones")
        for entry in self.sites:
            key = entry.path.rpartition(".")[2]
            if entry.holder._modules.get(key) is not entry.layer:
                raise InputError(
                    f"{entry.path} no longer holds the inserted {type(entry.layer).__name__}, so "
                    "the edits cannot be undone; build the model anew"
                )
        if self.sites:
            self._take_out()
        self.undone = True

    def to_list(self) -> list[dict[str, Any]]:
        """Every site as a JSON-ready dictionary."""
        return [entry.to_dict() for entry in self.sites]

    def __iter__(self) -> Iterator[Site]:
        return iter(self.sites)

    def __len__(self) -> int:
        return len(self.sites)

    def _take_out(self) -> None:
        for entry in reversed(self.sites):
            key = entry.path.rpartition(".")[2]
            if entry.replaced is not None:
                entry.holder._modules[key] = entry.replaced
            else:
                site.detach(entry.holder, key)
        site.mark(self.model, -1)


def insert(
    model: nn.Module,
    layers: Mapping[str, Layer],
    where: str = "after",
    *,
    input_shape: Sequence[int] | None = None,
) -> Edits:
    """Put layers into `model` by module name, in place: all of them, or on any error none.

    `layers` maps a name of `model.named_modules()` (or Keras's, as conv2_block1, in a ResNet) to a
    layer, or to a function that makes one: of no argument, or (with `input_shape`) of the shape
    (C, H, W) of the maps there.
    `where` is "after" or "before" the module, "replace" (its own keys go with it), or "branch":
    inside a residual block of timm or torchvision, after the branch and before the addition.

    No existing key of the state_dict changes; keys of a layer with parameters are added under the
    module, as `layer1.0.orthowatt_after.v`. A layer runs whenever its module runs. With
    `input_shape` (C, H, W) of the model's input the map at every site is known: `repr` and the
    edits state orthogonality there, and a model that would no longer run is refused, as is,
    without it too, a layer whose channels the next one does not take.

    Raises `InputError` for unknown names (with the closest ones), modules that cannot take a
    layer, layers that are in the model already, and layers for maps (N, C, H, W) where tokens
    (N, L, D) or maps with the channels last pass, as in a ViT or a Swin transformer.

    >>> import torch
    >>> from orthowatt.nn import WHT2d
    >>> model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU())
    >>> edits = insert(model, {"0": WHT2d})
    >>> list(model.state_dict()), model(torch.rand(1, 3, 8, 8)).shape
    (['0.weight', '0.bias'], torch.Size([1, 4, 8, 8]))
    >>> edits.undo()
    """
    if not isinstance(model, nn.Module):
        raise InputTypeError(f"insert needs a torch.nn.Module, but got {type(model).__name__}")
    check_choice("where", where, ("after", "before", "replace", "branch"))
    if not isinstance(layers, Mapping):
        raise InputTypeError(
            f"layers is {type(layers).__name__}, but must map module names to layers, as "
            '{"layer1.0": orthowatt.nn.WHT2d()}'
        )
    places = [place.find(model, name, where) for name in layers]
    if not places:
        return Edits(model)
    made = {name: _make(name, layer, input_shape) for name, layer in layers.items()}
    shape = _run_shape(model, made.values(), input_shape)
    formats.check(model, places, made, shape)
    shapes = trial.map_shapes(model, places, shape) if shape else {}
    finished = _finish(model, made, shapes)
    edits = Edits(model)
    site.mark(model, +1)
    try:
        for spot, layer in zip(places, finished, strict=True):
            known = shapes.get(spot.name) if input_shape is not None else None
            edits.sites.append(_put(model, spot, layer, known))
        if shape:
            trial.check(model, edits.sites, shape, every_error=input_shape is not None)
    except BaseException:
        edits._take_out()
        raise
    return edits


def _make(name: str, given: Layer, input_shape: Sequence[int] | None) -> Layer:
    """The layer, or the function of the map's shape that will make it when that is known."""
    if isinstance(given, nn.Module):
        return given
    if not callable(given):
        raise InputTypeError(
            f"{given!r} is neither a layer nor a function that makes one; give such as "
            "orthowatt.nn.WHT2d()"
        )
    needed = _arguments(given)
    if len(needed) > 1:
        raise InputError(
            f"{getattr(given, '__name__', given)} needs {', '.join(needed)}; give a finished "
            "layer, or a function of the maps' shape (C, H, W)"
        )
    if needed and input_shape is None:
        raise InputError(
            f"the layer for {name!r} is made for the maps there, whose size hangs on the model's "
            "input; give input_shape=(C, H, W)"
        )
    return given if needed else given()


def _arguments(factory: Callable[..., nn.Module]) -> list[str]:
    """The names of the arguments that a function cannot do without."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = inspect.signature(factory).parameters.values()
    return [p.name for p in given if p.default is p.empty and p.kind in positional]


def _run_shape(
    model: nn.Module, layers: Iterable[Layer], input_shape: Sequence[int] | None
) -> tuple[int, ...] | None:
    """The input to try the model on: the one given, or a guess where channels may change."""
    if input_shape is not None:
        shape = tuple(input_shape)
        if not shape or any(not isinstance(n, int) or n < 1 for n in shape):
            raise InputError(
                f"input_shape is {input_shape!r}, but must be (C, H, W) of one input, such as "
                "(3, 224, 224)"
            )
        return shape
    changing = [
        type(layer).__name__
        for layer in layers
        if isinstance(layer, MapLayer) and layer.may_change_channels
    ]
    if not changing:
        return None
    shape = trial.guess_input_shape(model)
    if shape is None:
        raise InputError(
            f"{changing[0]} may change the number of channels, and no input was found to try the "
            "model on; give input_shape=(C, H, W)"
        )
    return shape


def _finish(
    model: nn.Module, made: Mapping[str, Layer], shapes: Mapping[str, MapShape]
) -> list[nn.Module]:
    """The finished layers, all different and none of them in the model yet."""
    finished: list[nn.Module] = []
    present = set(model.modules())
    for name, given in made.items():
        layer = given
        if not isinstance(layer, nn.Module) and callable(layer):
            if name not in shapes:
                raise InputError(f"{name!r} passes no map (C, H, W), so no layer fits there")
            layer = layer(shapes[name])
        if not isinstance(layer, nn.Module):
            raise InputTypeError(
                f"the function for {name!r} made {type(layer).__name__}, not a torch.nn.Module"
            )
        if present & set(layer.modules()):
            raise InputError(
                f"the {type(layer).__name__} for {name!r} is in the model already, or given for "
                "two places; give each place its own, as with {name: orthowatt.nn.WHT2d}"
            )
        present.update(layer.modules())
        finished.append(layer)
    return finished


def _put(model: nn.Module, spot: place.Place, layer: nn.Module, shape: MapShape | None) -> Site:
    """Attach one layer on the model's device and in its mode."""
    like = next(model.parameters(), None)
    if like is not None:
        layer.to(like.device)
    layer.train(spot.module.training)
    if isinstance(layer, MapLayer):
        layer.map_shape = shape
    if spot.how == "replace":
        parent, _, key = spot.path.rpartition(".")
        holder = model.get_submodule(parent)
        holder._modules[key] = layer
        return Site(spot.name, spot.where, spot.path, layer, holder, spot.module, shape)
    child = site.attach(spot.module, layer, spot.how)
    path = f"{spot.path}.{child}" if spot.path else child
    return Site(spot.name, spot.where, path, layer, spot.module, None, shape)
