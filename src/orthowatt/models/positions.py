"""A transform by name at a position by name: what a run's configuration says, put into a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from ..errors import InputError, check_choice
from ..nn import (
    DCT2d,
    DST2d,
    FFTMagnitude2d,
    FFTRealImag2d,
    Hartley2d,
    Identity2d,
    RandomOrthogonal2d,
    TransformFilter2d,
    WHT2d,
)
from ..nn.dense import DenseWHT2d
from ..nn.filter import KINDS
from ..nn.layer import MapShape
from . import blocks
from .place import resolve
from .surgery import Edits, insert
from .trace import trace

TRANSFORMS = ("none", *KINDS)
POSITIONS = ("input", "early", "late", "early+late", "final")
LAYERS = ("bare", "filter")


def insert_transform(
    model: nn.Module,
    transform: str,
    position: str,
    layer: str = "bare",
    *,
    dims: Sequence[int] = (-2, -1),
    order: str = "exact",
    pad: str | None = "crop",
    norm: str | None = "ortho",
    fft_log: bool = False,
    wht_by: str = "fast",
    image_size: int,
    in_chans: int = 3,
    seed: int = 0,
) -> Edits:
    """Insert one transform into a CNN where `RunConfig` says, in place; "none" inserts nothing.

    `position`: "input" before the stem, "early" after the first block of the first stage, "late"
    after the last block of the last but one, "early+late", "final" after the last stage, or names
    of modules parted by +, after which it goes ("layer2.1", "blocks.1.0+blocks.4.2"). `layer`:
    "bare", or "filter" for T⁻¹(v ⊙ T x), which is orthonormal and pads by itself, whatever `norm`
    and `pad` are. `seed` is the random control's. The images are (`in_chans`, `image_size`,
    `image_size`). Raises `InputError` as `insert` does, and where no stages are known.

    >>> from orthowatt.models.zoo import build
    >>> model = build("orthowatt_resnet8", num_classes=10, in_chans=1)
    >>> edits = insert_transform(model, "wht", "early+late", image_size=32, in_chans=1)
    >>> [(site.path, site.shape) for site in edits]
    [('layer1.0.orthowatt_after', (16, 16, 16)), ('layer3.0.orthowatt_after', (64, 4, 4))]
    """
    check_choice("transform", transform, TRANSFORMS)
    check_choice("layer", layer, LAYERS)
    if transform == "none":
        return Edits(model)
    input_shape = (in_chans, image_size, image_size)

    def maker(place: int) -> Callable[[MapShape], nn.Module]:
        random = seed * 16 + place  # a matrix of its own for every place
        return lambda shape: _layer(
            transform, layer, shape, tuple(dims), order, pad, norm, fft_log, wht_by, random
        )

    where = "before" if position == "input" else "after"
    names = site_names(model, position, input_shape)
    makers = {name: maker(i) for i, name in enumerate(names)}
    return insert(model, makers, where, input_shape=input_shape)


def site_names(model: nn.Module, position: str, input_shape: Sequence[int]) -> list[str]:
    """The modules at a position: before the one for "input", after them for the others.

    >>> from timm.models import create_model
    >>> site_names(create_model("resnet50"), "early+late", (3, 224, 224))
    ['layer1.0', 'layer3.5']
    """
    if position == "input":
        return [_first_called(model, input_shape)]
    if position not in POSITIONS:
        return _named(model, position)
    stages = blocks.stages(model)
    if len(stages) < 2:
        raise InputError(
            f"the stages of {type(model).__name__} are not known, so there is no {position!r}; "
            "name the modules yourself with orthowatt.insert(model, {name: layer})"
        )
    early, late, final = stages[0][0], stages[-2][1], stages[-1][1]
    found = {"early": [early], "late": [late], "early+late": [early, late], "final": [final]}
    return found[position]


def _named(model: nn.Module, position: str) -> list[str]:
    """The modules that a position names, each known to the model and named once."""
    names = position.split("+")
    try:
        paths = [resolve(model, name) for name in names]
    except InputError as error:
        raise InputError(f"position is {position!r}: {error} ({', '.join(POSITIONS)})") from error
    if len(set(paths)) != len(paths):
        raise InputError(f"position is {position!r}, which names one module twice")
    return names


def _first_called(model: nn.Module, input_shape: Sequence[int]) -> str:
    """The first module without children that the images reach."""
    for call in trace(model, input_shape):
        if call.input == tuple(input_shape) and not list(call.module.children()):
            return call.name
    return ""


def _layer(
    transform: str,
    layer: str,
    shape: MapShape,
    dims: tuple[int, ...],
    order: str,
    pad: str | None,
    norm: str | None,
    fft_log: bool,
    wht_by: str,
    seed: int,
) -> nn.Module:
    if layer == "filter":
        return TransformFilter2d(transform, shape[0], shape[1:], dims=dims, order=order, seed=seed)
    makers: dict[str, Callable[[], nn.Module]] = {
        "identity": lambda: Identity2d(dims),
        "random": lambda: RandomOrthogonal2d(dims, seed=seed),
        "wht": lambda: (DenseWHT2d if wht_by == "dense" else WHT2d)(
            dims, norm=norm, order=order, pad=pad
        ),
        "dct": lambda: DCT2d(dims, norm=norm),
        "dst": lambda: DST2d(dims, norm=norm),
        "hartley": lambda: Hartley2d(dims, norm=norm),
        "fft": lambda: FFTMagnitude2d(dims, norm=norm, log=fft_log),
        "fft-realimag": lambda: FFTRealImag2d(dims, norm=norm),
    }
    return makers[transform]()
