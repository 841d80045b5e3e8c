"""The single measurements behind `diagnose`, each in fp64 on maps given to it."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from ..errors import InputError
from . import structure
from .layer import MapLayer, MapShape

#: Dense matrices up to this many inputs or outputs: an SVD of it takes some seconds.
DENSE_LIMIT = 2500
#: The share of coefficients whose energy `compaction` states.
LARGEST = 0.1
_TOLERANCE = 1e-9


def singular_values(layer: nn.Module, shape: MapShape, x: torch.Tensor, linear: bool) -> np.ndarray:
    """Those of the layer on its transformed axes, descending; one for each input, lost ones 0.

    A layer that is not linear is represented by its Jacobian at x (1, C, H, W).
    """
    if isinstance(layer, MapLayer) and layer.separable:
        values = np.ones(1)
        for dim in layer.dims:
            axis = copy.copy(layer)
            axis.dims = (dim,)
            values = np.outer(values, _dense_values(_matrix(axis, _only(shape, (dim,))))).ravel()
        return np.sort(values)[::-1]
    if (known := structure.singular_values(layer, x)) is not None:
        return known
    if isinstance(layer, MapLayer) and not list(layer.parameters()):
        shape = _only(shape, layer.dims)  # one copy of the layer serves the other axes
        x = x[:, : shape[0], : shape[1], : shape[2]]
    if max(math.prod(shape), layer(x).numel()) > DENSE_LIMIT:
        raise InputError(
            f"the singular values of {type(layer).__name__} on maps of {'×'.join(map(str, shape))} "
            f"need a dense matrix of more than {DENSE_LIMIT} elements a side; give a smaller size"
        )
    return _dense_values(_matrix(layer, shape) if linear else _jacobian(layer, x))


def _only(shape: MapShape, dims: Sequence[int]) -> MapShape:
    """`shape` with every axis outside `dims` shrunk to 1."""
    channels, height, width = (shape[dim] if dim in dims else 1 for dim in (-3, -2, -1))
    return channels, height, width


def _matrix(layer: nn.Module, shape: MapShape) -> np.ndarray:
    """The matrix of a linear layer, one column an input element."""
    n = math.prod(shape)
    units = torch.eye(n, dtype=torch.float64).view(n, *shape)
    return layer(units).reshape(n, -1).T.numpy()


def _jacobian(layer: nn.Module, x: torch.Tensor) -> np.ndarray:
    """The Jacobian at x: one row an output element, all rows in one backward pass of a batch."""
    outputs = layer(x).numel()
    with torch.enable_grad():
        copies = x.expand(outputs, *x.shape[1:]).clone().requires_grad_()
        y = layer(copies).reshape(outputs, -1)
        (rows,) = torch.autograd.grad(y.diagonal().sum(), copies)
    return rows.reshape(outputs, -1).numpy()


def _dense_values(matrix: np.ndarray) -> np.ndarray:
    outputs, inputs = matrix.shape
    values = np.linalg.svd(matrix, compute_uv=False)
    return np.concatenate([values, np.zeros(max(inputs - outputs, 0))])


def is_linear(layer: nn.Module, x: torch.Tensor) -> bool:
    """Whether layer(a·x + b·y) = a·layer(x) + b·layer(y), y being x's maps mirrored."""
    other = x.flip(-1, -2)
    whole = layer(2.0 * x - 0.5 * other)
    return _near(whole, 2.0 * layer(x) - 0.5 * layer(other))


def loses_phase(layer: nn.Module, x: torch.Tensor) -> bool:
    """Whether maps shifted by one place, circularly, along the transformed axes give one result."""
    dims = layer.dims if isinstance(layer, MapLayer) else (-2, -1)
    shifted = torch.roll(x, [1] * len(dims), dims)
    return not _near(shifted, x) and _near(layer(shifted), layer(x))


def collides(layer: nn.Module, x: torch.Tensor) -> bool:
    """Whether x gives one result with -x or with its positive part: so the layer has no inverse."""
    y = layer(x)
    return any(not _near(other, x) and _near(layer(other), y) for other in (-x, x.relu()))


def _near(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).norm() <= _TOLERANCE * torch.maximum(a.norm(), b.norm()))


def compaction(x: torch.Tensor) -> float | None:
    """The share of the energy of each map that its largest tenth of elements holds, on average.

    Maps that are all 0 are left out; None where no other is.
    """
    energies = x.flatten(2).flatten(0, 1).square().sort(dim=1, descending=True).values
    total = energies.sum(dim=1)
    energies, total = energies[total > 0], total[total > 0]
    if not len(total):
        return None
    count = max(1, round(LARGEST * energies.shape[1]))
    return float((energies[:, :count].sum(dim=1) / total).mean())


def channel_correlation(x: torch.Tensor) -> float | None:
    """The mean |correlation| between two channels; None with one channel or a constant one."""
    channels = x.movedim(1, 0).flatten(1).numpy()
    deviations = channels - channels.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(deviations, axis=1)
    if len(channels) < 2 or not (lengths > 0).all():
        return None
    matrix = np.abs((deviations / lengths[:, None]) @ (deviations / lengths[:, None]).T)
    count = len(channels) * (len(channels) - 1)
    return float((matrix.sum() - np.trace(matrix)) / count)


def markov_maps(shape: MapShape, seed: int, count: int = 16) -> torch.Tensor:
    """Normal maps (count, C, H, W): correlation 0.95 a step along H and W, 0.8 between channels.

    Source: the first-order Markov model of images, for which the DCT is nearly optimal (Ahmed,
    Natarajan and Rao 1974).
    """
    channels, height, width = shape
    noise = np.random.default_rng(seed).standard_normal((count, *shape))
    between = np.linalg.cholesky(0.2 * np.eye(channels) + 0.8)
    rows, columns = _markov_root(height), _markov_root(width)
    maps = np.einsum("cd,hi,wj,ndij->nchw", between, rows, columns, noise, optimize=True)
    return torch.from_numpy(maps)


def _markov_root(n: int) -> np.ndarray:
    steps = np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])
    return np.linalg.cholesky(0.95**steps)
