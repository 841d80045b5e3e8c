"""What a layer does to maps, measured: the directions it keeps and loses, the energy it orders."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from ..errors import InputError, InputTypeError
from . import properties
from .layer import MapLayer, MapShape


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` measured, in fp64, of one layer on maps of `shape` (C, H, W).

    `singular_values` (descending) are those of the layer on its transformed axes, or of its
    Jacobian at a sample where it is not linear; all 1 means orthogonal. `phase_lost`: a map and
    its circular shift give one result. `invertible` of a layer that is not linear is False where
    two maps were found to give one result, and else None: not known. On sample maps:
    `energy_kept` is ‖y‖² / ‖x‖², `compaction` the share of the energy in the largest tenth of the
    coefficients, `channel_correlation` the mean |correlation| between channels (None with one
    channel); the fields ending in `_before` state the same of the input.

    >>> from orthowatt.nn import FFTMagnitude2d
    >>> found = diagnose(FFTMagnitude2d(), 56)
    >>> found.linear, found.phase_lost, found.invertible, round(found.energy_kept, 6)
    (False, True, False, 1.0)
    """

    layer: str
    shape: MapShape
    linear: bool
    orthogonal: bool
    invertible: bool | None
    phase_lost: bool
    smallest: float
    largest: float
    energy_kept: float
    compaction: float | None
    compaction_before: float | None
    channel_correlation: float | None
    channel_correlation_before: float | None
    singular_values: np.ndarray = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values, the singular values as their extremes."""
        values = {key: value for key, value in vars(self).items() if key != "singular_values"}
        return {**values, "shape": list(self.shape)}

    def __str__(self) -> str:
        def share(value: float | None) -> str:
            return "–" if value is None else f"{value:.3f}"

        yes = {True: "yes", False: "no", None: "not known"}
        shape = "×".join(str(size) for size in self.shape)
        return "\n".join(
            [
                f"{self.layer} on {shape} maps",
                f"  linear {yes[self.linear]}, orthogonal {yes[self.orthogonal]}, invertible "
                f"{yes[self.invertible]}, phase lost {yes[self.phase_lost]}",
                f"  singular values {self.smallest:.4g} … {self.largest:.4g}",
                f"  energy kept {self.energy_kept:.4g}",
                f"  energy in the largest tenth {share(self.compaction_before)} before, "
                f"{share(self.compaction)} after",
                f"  channel correlation {share(self.channel_correlation_before)} before, "
                f"{share(self.channel_correlation)} after",
            ]
        )


@torch.no_grad()
def diagnose(
    layer: nn.Module,
    size: int | Sequence[int],
    *,
    x: torch.Tensor | None = None,
    seed: int = 0,
) -> Diagnosis:
    """Measure what `layer` does to maps of `size`: n, (H, W) or (C, H, W).

    `x` (N, C, H, W) are maps to measure on; without it, samples of a first-order Markov field
    (correlation 0.95 between neighbours, 0.8 between channels: the usual model of photographs) are
    drawn from `seed`. The layer must treat the maps of a batch apart; it is copied, converted to
    fp64 and set to evaluation. Raises `InputError` where a layer that is no product of one matrix
    an axis meets a size whose matrix is too large.

    >>> from orthowatt.nn import WHT2d
    >>> diagnose(WHT2d(pad="crop"), 56).orthogonal
    True
    >>> diagnose(WHT2d(pad="crop"), 14).orthogonal
    False
    """
    shape = _shape(layer, size)
    layer = copy.deepcopy(layer).double().eval()
    if isinstance(layer, MapLayer):
        layer.map_shape = shape
    if x is None:
        x = properties.markov_maps(shape, seed)
    elif x.ndim != 4 or tuple(x.shape[1:]) != shape:
        allowed = ", ".join(str(n) for n in shape)
        raise InputError(f"x has shape {tuple(x.shape)}, but must be (N, {allowed}) as size says")
    x = x.double()
    y = layer(x)
    linear = properties.is_linear(layer, x)
    values = properties.singular_values(layer, shape, x[:1], linear)
    smallest, largest = float(values[-1]), float(values[0])
    lost = properties.loses_phase(layer, x)
    invertible: bool | None = smallest > 1e-9 * largest
    if not linear:  # a Jacobian at one sample proves neither
        invertible = False if lost or properties.collides(layer, x) else None
    return Diagnosis(
        layer=repr(layer).splitlines()[0].rstrip("("),
        shape=shape,
        linear=linear,
        orthogonal=linear and bool(np.abs(values - 1).max() < 1e-9),
        invertible=invertible,
        phase_lost=lost,
        smallest=smallest,
        largest=largest,
        energy_kept=float(y.square().sum() / x.square().sum()),
        compaction=properties.compaction(y),
        compaction_before=properties.compaction(x),
        channel_correlation=properties.channel_correlation(y),
        channel_correlation_before=properties.channel_correlation(x),
        singular_values=values,
    )


def _shape(layer: nn.Module, size: int | Sequence[int]) -> MapShape:
    """`size` as (C, H, W); the channels come from the layer where `size` leaves them out."""
    if not isinstance(layer, nn.Module):
        raise InputTypeError(
            f"diagnose needs a layer, but got {type(layer).__name__}; give one such as "
            "orthowatt.nn.WHT2d()"
        )
    sizes = (size, size) if isinstance(size, int) else tuple(size)
    if len(sizes) not in (2, 3) or any(not isinstance(n, int) or n < 1 for n in sizes):
        raise InputError(f"size is {size!r}, but must be n, (H, W) or (C, H, W), each at least 1")
    if len(sizes) == 3:
        return sizes[0], sizes[1], sizes[2]
    if isinstance(layer, MapLayer) and -3 in layer.dims and not hasattr(layer, "channels"):
        raise InputError(
            f"{type(layer).__name__} transforms the channels, so size has to be (C, H, W), but is "
            f"{size!r}"
        )
    return int(getattr(layer, "channels", 3)), sizes[0], sizes[1]
