"""Singular values that a layer's structure gives, where a dense matrix would be too large."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from . import spectrum
from .layer import MapLayer
from .transform import FFTMagnitude2d, FFTRealImag2d, Hartley2d


def singular_values(layer: nn.Module, x: torch.Tensor) -> np.ndarray | None:
    """Those of a layer of the Fourier family on its transformed axes, descending; else None.

    Hartley H and the real and imaginary parts A of a real map's DFT satisfy HᵀH = AᵀA = N · I
    unscaled, I orthonormal: all values are equal. That is put to the test on the maps x
    (N, C, H, W), and None returned where it fails. The magnitude is linearised at the first plane.

    >>> singular_values(Hartley2d(norm=None), torch.rand(1, 1, 2, 2, dtype=torch.float64))
    array([2., 2., 2., 2.])
    """
    if not isinstance(layer, MapLayer):
        return None
    count = spectrum.elements(x, layer.dims)
    gain = 1.0 if layer.norm else math.sqrt(count)
    if isinstance(layer, FFTMagnitude2d):
        return _magnitude(layer, x, gain)
    if isinstance(layer, (Hartley2d, FFTRealImag2d)) and _is_isometry(layer, x, gain):
        return np.full(count, gain)
    return None


def _is_isometry(layer: nn.Module, x: torch.Tensor, gain: float) -> bool:
    """Whether AᵀA x = gain² · x for the layer's matrix A, Aᵀ by a backward pass."""
    with torch.enable_grad():
        leaf = x.detach().clone().requires_grad_()
        y = layer(leaf)
        (back,) = torch.autograd.grad(y, leaf, y.detach())
    wanted = gain**2 * x
    return bool((back - wanted).norm() <= 1e-9 * wanted.norm())


def _magnitude(layer: FFTMagnitude2d, x: torch.Tensor, gain: float) -> np.ndarray:
    """Of the Jacobian of |F x|, or log(1 + |F x|), at one plane x.

    In the orthonormal pair (√2 Re F(k), √2 Im F(k)) of k and -k the Jacobian keeps the direction
    along F(k), twice with weight 1/√2, and drops the one across it, the phase. So every pair has
    the values 1 and 0 and every k = -k has 1, times the slope 1 / (1 + |F(k)|) of the logarithm.
    A coefficient of 0 has no slope: 0, as automatic differentiation says.
    """
    plane = x[:1]
    for dim in (-3, -2, -1):
        if dim not in layer.dims:
            plane = plane.narrow(dim, 0, 1)
    y = layer(plane).detach()
    size = y.expm1() if layer.log else y
    slopes = gain / (1 + size) if layer.log else torch.full_like(size, gain)
    slopes = torch.where(size > 0, slopes, torch.zeros_like(slopes))
    kept = slopes[spectrum.half(plane, layer.dims).expand_as(slopes)].numpy()
    lost = np.zeros(slopes.numel() - kept.size)
    return np.concatenate([np.sort(kept)[::-1], lost])
