"""Which inserted layers lose a part of each map for good, or its phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from ..errors import InputError
from ..nn import TransformFilter2d
from ..nn.diagnose import diagnose
from ..nn.layer import MapLayer
from .site import map_layers

#: A filter's weight below this part of its largest counts as 0.
ZERO = 1e-6


@dataclass(frozen=True)
class Loss:
    """What one layer loses: `kind` is "phase", "part" (of the map) or "weight" (of a filter)."""

    kind: str
    text: str


def losses(model: nn.Module) -> Iterator[Loss]:
    """The losses of every inserted layer, each measured on the axes that it transforms.

    A layer whose matrix is too large to be examined is passed over.

    >>> from orthowatt.models import build, insert_transform
    >>> model = build("orthowatt_resnet8", num_classes=10, in_chans=1)
    >>> _ = insert_transform(model, "fft", "early", image_size=32, in_chans=1)
    >>> [loss.kind for loss in losses(model)]
    ['phase']
    """
    for name, layer in map_layers(model):
        place = f"{name} ({type(layer).__name__})"
        if isinstance(layer, TransformFilter2d):
            weights = layer.v.detach().abs()
            if float(weights.min()) <= ZERO * float(weights.max()):
                text = f"{place} is not invertible: its filter has become 0 for some coefficients"
                yield Loss("weight", text)
        elif layer.map_shape is not None and not layer.orthogonality(layer.map_shape)[0]:
            yield from _of_layer(place, layer)


def _of_layer(place: str, layer: MapLayer) -> Iterator[Loss]:
    # the axes that are not transformed only repeat what happens on the others
    channels, height, width = (
        size if dim in layer.dims else 1
        for dim, size in zip((-3, -2, -1), layer.map_shape or (1, 1, 1), strict=True)
    )
    try:
        found = diagnose(layer, (channels, height, width))
    except InputError:
        return
    if found.phase_lost:
        yield Loss("phase", f"{place} loses phase: a map and its shifted copy give one result")
    elif found.invertible is False:
        text = (
            f"{place} is not invertible: the smallest of its singular values is "
            f"{found.smallest:.2g}, the largest {found.largest:.2g}"
        )
        yield Loss("part", text)
