"""A learned filter in a transform's domain, which begins as the identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from ..errors import InputError, check_choice
from ..transforms.hadamard import padded_size
from . import order as spectra
from . import spectrum
from .control import Identity2d, RandomOrthogonal2d
from .layer import MapLayer, MapShape
from .transform import DCT2d, DST2d, FFTRealImag2d, Hartley2d, WHT2d

KINDS = ("identity", "random", "wht", "dct", "dst", "hartley", "fft", "fft-realimag")


class TransformFilter2d(MapLayer):
    """T⁻¹(v ⊙ T x) on feature maps: v is learned and 1 at the start, so it begins as the identity.

    T is the orthonormal transform `kind` over `dims`; the WHT pads to the next order (`order`
    "exact" or "pow2") and T⁻¹ crops, so that v = 1 is the identity at every size. "fft" scales the
    Fourier coefficients by a real v and keeps their phase; "fft-realimag" scales real and
    imaginary parts apart; "random" and "identity" are the controls.

    `channels` and `size` (H and W, one number for both) are those of the maps: v has one entry for
    each channel and coefficient, shared along axes that are not transformed. At another size v
    is resampled in sequency (WHT) or frequency order. `size=None` learns one v a channel.

    >>> layer = TransformFilter2d("wht", channels=3, size=14)
    >>> layer.v.shape
    torch.Size([3, 16, 16])
    >>> x = torch.rand(2, 3, 14, 14)
    >>> bool(torch.allclose(layer(x), x, atol=1e-6))
    True
    """

    kind = "filter"

    def __init__(
        self,
        kind: str,
        channels: int,
        size: int | Sequence[int] | None,
        *,
        dims: int | Sequence[int] = (-2, -1),
        order: str = "exact",
        seed: int = 0,
    ):
        super().__init__(dims)
        check_choice("TransformFilter2d: kind", kind, KINDS)
        self.filters, self.channels, self.size = kind, _channels(channels), _plane(size)
        self.transform = _transform(kind, self.dims, order, seed)
        self.v = nn.Parameter(torch.ones(self._v_shape()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        if x.shape[-3] != self.channels:
            raise InputError(
                f"TransformFilter2d was made for {self.channels} channels, but the map has "
                f"{x.shape[-3]} (shape {tuple(x.shape)}); give channels={x.shape[-3]}"
            )
        shape = (x.shape[-3], x.shape[-2], x.shape[-1])
        wide = x if x.dtype == torch.float64 else x.float()
        v = self.v_at(shape).to(wide.dtype)
        return self.transform.inverse(self.transform(wide) * v, shape).to(x.dtype)

    def v_at(self, shape: Sequence[int]) -> torch.Tensor:
        """v for maps of (C, H, W) `shape`: broadcastable to their spectrum, resampled if needed."""
        v = self.v
        for dim in self._varying():
            old, new = self._samples(dim, self._nominal()), self._samples(dim, shape)
            if old != new:
                v = spectra.resample(v, dim, self._axis(dim), old, new)
        if self.filters != "fft":
            return v
        half = self.dims[-1] in self._varying()
        return _hermitian(v, self.dims, shape[self.dims[-1]] if half else None)

    def orthogonality(self, shape: Sequence[int] | None = None) -> tuple[bool | None, str]:
        return True, "the identity as long as v is 1"

    def options(self) -> list[str]:
        size = "None (one v a channel)" if self.size is None else "×".join(map(str, self.size))
        return [f"kind={self.filters!r}", f"channels={self.channels}", f"size={size}"]

    def _nominal(self) -> MapShape:
        height, width = self.size or (1, 1)
        return self.channels, height, width

    def _varying(self) -> list[int]:
        """The axes along which the coefficients have entries of v of their own."""
        return [dim for dim in self.dims if dim == -3 or self.size is not None]

    def _axis(self, dim: int) -> str:
        """The kind of order that the coefficients have along a transformed axis."""
        return "half" if self.filters == "fft" and dim == self.dims[-1] else self.filters

    def _samples(self, dim: int, shape: Sequence[int]) -> int:
        """The size of an axis after padding."""
        if isinstance(self.transform, WHT2d):
            return padded_size(shape[dim], self.transform.order)
        return shape[dim]

    def _v_shape(self) -> MapShape:
        lengths = [self.channels, 1, 1]
        for dim in self._varying():
            samples = self._samples(dim, self._nominal())
            lengths[dim] = samples // 2 + 1 if self._axis(dim) == "half" else samples
        return lengths[0], lengths[1], lengths[2]


def _hermitian(v: torch.Tensor, dims: Sequence[int], samples: int | None) -> torch.Tensor:
    """v on the whole spectrum, v(-k) = v(k), as a real multiplier of a real map's DFT has to be.

    `samples` is the size of the last of `dims`, of which v holds the half; None where v is shared
    along it.
    """
    if samples is not None:
        rest = v.narrow(dims[-1], 1, (samples - 1) // 2).flip(dims[-1])
        v = torch.cat([v, spectrum.mirror(rest, dims[:-1])], dim=dims[-1])
    return (v + spectrum.mirror(v, dims)) * 0.5


def _transform(kind: str, dims: tuple[int, ...], order: str, seed: int) -> Any:
    """The orthonormal layer T with its `inverse`."""
    if kind == "wht":
        return WHT2d(dims, order=order, pad="keep")
    if kind == "random":
        return RandomOrthogonal2d(dims, seed=seed)
    layers = {
        "identity": Identity2d,
        "dct": DCT2d,
        "dst": DST2d,
        "hartley": Hartley2d,
        "fft": Hartley2d,  # with v(-k) = v(k) the same product as on the complex spectrum
        "fft-realimag": FFTRealImag2d,
    }
    return layers[kind](dims)


def _channels(channels: object) -> int:
    if isinstance(channels, bool) or not isinstance(channels, int) or channels < 1:
        raise InputError(
            f"TransformFilter2d: channels is {channels!r}, but must be a whole number of at least "
            "1: that of the maps"
        )
    return channels


def _plane(size: Any) -> tuple[int, int] | None:
    """`size` as (H, W), or None."""
    if size is None:
        return None
    sizes = (size, size) if isinstance(size, int) else size
    whole = isinstance(sizes, Sequence) and len(sizes) == 2
    if whole and all(isinstance(s, int) and not isinstance(s, bool) and s > 0 for s in sizes):
        return sizes[0], sizes[1]
    raise InputError(
        f"TransformFilter2d: size is {size!r}, but must be one whole number, (H, W), or None for "
        "one v a channel"
    )
