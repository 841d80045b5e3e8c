"""Real layouts of the spectrum of a real map, made from its Hartley transform h = Re F - Im F.

With h' the mirrored h, h'(k) = h(-k): Re F = (h + h') / 2 and Im F = (h' - h) / 2. No complex
tensor appears, so compilers and exporters see only additions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

_HALF = math.sqrt(0.5)


def elements(x: torch.Tensor, dims: Sequence[int]) -> int:
    """The number of elements that one transform over `dims` joins."""
    return math.prod(x.shape[dim] for dim in dims)


def mirror(h: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """h(-k) with every index of `dims` taken modulo its size; same shape."""
    if not dims:  # torch.roll refuses an empty list
        return h
    return torch.roll(torch.flip(h, tuple(dims)), [1] * len(dims), tuple(dims))


def real_imag(h: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """Re F, then Im F, joined along the channels: (…, C, H, W) to (…, 2·C, H, W)."""
    mirrored = mirror(h, dims)
    return torch.cat([(h + mirrored) * 0.5, (mirrored - h) * 0.5], dim=-3)


def pack(h: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """√2·Re F(k) at k and √2·Im F(k) at -k for one k of each pair, F(k) itself where k = -k."""
    side = _side(h, dims)
    # At -k, where side is -1: √2·Im F(k) = (h(-k) - h(k)) / √2, that is (h - h') / √2 there.
    return torch.where(side == 0, h, (h + side * mirror(h, dims)) * _HALF)


def unpack(y: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """The Hartley transform from `pack`'s result: its transpose, for it is orthogonal."""
    side = _side(y, dims)
    return torch.where(side == 0, y, (y - side * mirror(y, dims)) * _HALF)


def half(h: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """Whether an index is the one kept of its pair {k, -k}, or is its own; broadcasts to h."""
    return _side(h, dims) >= 0


def _side(h: torch.Tensor, dims: Sequence[int]) -> torch.Tensor:
    """+1 on one half of the spectrum, -1 on its mirror image, 0 where k = -k; broadcasts to h.

    The last of `dims` decides; where it is its own mirror image, the one before does.
    """
    side = torch.zeros((), dtype=h.dtype, device=h.device)
    for dim in dims:
        n = h.shape[dim]
        k = torch.arange(n, device=h.device)
        own = ((2 * k < n).to(h.dtype) - (2 * k > n).to(h.dtype)) * (k > 0).to(h.dtype)
        own = own.view([n] + [1] * (-dim - 1))
        side = torch.where(own == 0, side, own)
    return side
