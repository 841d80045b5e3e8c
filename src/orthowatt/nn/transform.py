"""The bare transforms as layers: no parameters, no state, nothing in the checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import check_choice
from ..transforms import functional as F
from ..transforms.hadamard import is_order, padded_size
from . import spectrum
from .layer import MapLayer, MapShape

Dims = int | Sequence[int]
_PLANE = (-2, -1)


class WHT2d(MapLayer):
    """Walsh-Hadamard transform of feature maps; shape kept, but larger under `pad="keep"`.

    `order="exact"` uses every Hadamard order (28, 56, 112, 224 …), "pow2" powers of two only. A
    size without an order raises `InputError` unless `pad` is "keep" (zero-pad, keep the larger
    spectrum: an isometry) or "crop" (pad and crop back: not orthogonal, and `repr` says so).

    >>> WHT2d()(torch.ones(1, 1, 4, 4))[0, 0, 0]
    tensor([4., 0., 0., 0.])
    >>> WHT2d(order="pow2", pad="crop")(torch.ones(1, 3, 56, 56)).shape
    torch.Size([1, 3, 56, 56])
    """

    kind = "wht"
    separable = True

    def __init__(
        self,
        dims: Dims = _PLANE,
        *,
        norm: str | None = "ortho",
        order: str = "exact",
        pad: str | None = None,
    ):
        super().__init__(dims, norm=norm)
        check_choice(f"{type(self).__name__}: order", order, ("exact", "pow2"))
        check_choice(f"{type(self).__name__}: pad", pad, (None, "keep", "crop"))
        self.order, self.pad = order, pad

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        return F.wht(x, self.dims, norm=self.norm, order=self.order, pad=self.pad)

    def inverse(self, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The maps of (C, H, W) `shape` that `pad="keep"` turns into y."""
        sizes = [shape[dim] for dim in self.dims]
        return F.iwht(y, self.dims, norm=self.norm, order=self.order, size=sizes)

    @property
    def may_change_channels(self) -> bool:
        return self.pad == "keep" and -3 in self.dims

    def padded(self, shape: Sequence[int]) -> list[int]:
        """The orders to which the transformed axes are padded, in the order of `dims`."""
        return [padded_size(shape[dim], self.order) for dim in self.dims]

    def spectrum_shape(self, shape: Sequence[int]) -> MapShape:
        sizes = list(shape)
        if self.pad == "keep":
            for dim, size in zip(self.dims, self.padded(shape), strict=True):
                sizes[dim] = size
        return sizes[0], sizes[1], sizes[2]

    def orthogonality(self, shape: Sequence[int] | None = None) -> tuple[bool | None, str]:
        if self.norm is None:
            return False, "unscaled"
        if self.pad is None:
            return True, ""
        if shape is None:
            if self.pad == "keep":
                return True, "pads to the next order"
            return None, "not orthogonal where a size has no order (padded, then cropped)"
        if all(is_order(shape[dim], self.order) for dim in self.dims):
            return True, ""
        orders = "×".join(str(size) for size in self.padded(shape))
        if self.pad == "keep":
            return True, f"padded to {orders}"
        return False, f"cropped from {orders}"

    def options(self) -> list[str]:
        return [f"norm={self.norm!r}", f"order={self.order!r}", f"pad={self.pad!r}"]


class WHT1d(WHT2d):
    """Walsh-Hadamard transform over the channels (or the axis `dim`) of feature maps.

    >>> WHT1d()(torch.ones(1, 4, 1, 1)).flatten()
    tensor([2., 0., 0., 0.])
    """

    def __init__(
        self,
        dim: int = -3,
        *,
        norm: str | None = "ortho",
        order: str = "exact",
        pad: str | None = None,
    ):
        super().__init__((dim,), norm=norm, order=order, pad=pad)


class _Trigonometric(MapLayer):
    """DCT or DST of one type; orthogonal at every size."""

    def __init__(self, dims: Dims = _PLANE, *, type: int = 2, norm: str | None = "ortho"):
        super().__init__(dims, norm=norm)
        check_choice(f"{self.__class__.__name__}: type", type, (1, 2, 3, 4))
        self.type_ = type

    def options(self) -> list[str]:
        return [f"type={self.type_}", f"norm={self.norm!r}"]


class DCT2d(_Trigonometric):
    """Discrete cosine transform (type 1 to 4) of feature maps, with scipy's values.

    >>> DCT2d()(torch.ones(1, 1, 4, 4))[0, 0, 0]
    tensor([4., 0., 0., 0.])
    """

    kind = "dct"
    separable = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        return F.dct(x, self.dims, type=self.type_, norm=self.norm)

    def inverse(self, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The maps whose transform is y; `shape` (C, H, W) equals y's."""
        return F.idct(y, self.dims, type=self.type_, norm=self.norm)


class DCT1d(DCT2d):
    """Discrete cosine transform over the channels (or the axis `dim`) of feature maps.

    >>> DCT1d()(torch.ones(1, 4, 1, 1)).flatten()
    tensor([2., 0., 0., 0.])
    """

    def __init__(self, dim: int = -3, *, type: int = 2, norm: str | None = "ortho"):
        super().__init__((dim,), type=type, norm=norm)


class DST2d(_Trigonometric):
    """Discrete sine transform (type 1 to 4) of feature maps, with scipy's values.

    >>> DST2d()(torch.ones(1, 2, 7, 7)).shape
    torch.Size([1, 2, 7, 7])
    """

    kind = "dst"
    separable = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        return F.dst(x, self.dims, type=self.type_, norm=self.norm)

    def inverse(self, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The maps whose transform is y; `shape` (C, H, W) equals y's."""
        return F.idst(y, self.dims, type=self.type_, norm=self.norm)


class Hartley2d(MapLayer):
    """Hartley transform Re F - Im F of feature maps: real, keeps phase, its own inverse.

    >>> x = torch.rand(1, 2, 7, 14)
    >>> bool(torch.allclose(Hartley2d()(Hartley2d()(x)), x, atol=1e-5))
    True
    """

    kind = "hartley"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        return F.hartley(x, self.dims, norm=self.norm)

    def inverse(self, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The maps whose transform is y; `shape` (C, H, W) equals y's."""
        x = F.hartley(y, self.dims, norm=self.norm)
        return x if self.norm else x / spectrum.elements(y, self.dims)


class FFTMagnitude2d(MapLayer):
    """Magnitude of the DFT of feature maps, or log(1 + magnitude): the paper's FFT layer.

    The phase is discarded, so it has no inverse: a map and its circular shifts give one result.
    Source: arXiv 2506.16418 (`tf.signal.fft2d`, magnitude only).

    >>> FFTMagnitude2d()(torch.ones(1, 1, 2, 2)).round().flatten()
    tensor([2., 0., 0., 0.])
    """

    kind = "fft"

    def __init__(self, dims: Dims = _PLANE, *, norm: str | None = "ortho", log: bool = False):
        super().__init__(dims, norm=norm)
        self.log = bool(log)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        return F.fft_magnitude(x, self.dims, norm=self.norm, log=self.log)

    def orthogonality(self, shape: Sequence[int] | None = None) -> tuple[bool | None, str]:
        return False, "phase discarded"

    def options(self) -> list[str]:
        return [f"norm={self.norm!r}", f"log={self.log}"]


class FFTRealImag2d(MapLayer):
    """The whole complex DFT of feature maps as real maps: nothing is lost.

    `packed=True` lays the Hermitian half-spectrum into the input's shape: √2·Re F(k) at k and
    √2·Im F(k) at -k, and the real F(k) where k = -k; with norm="ortho" an isometry at even and odd
    sizes. `packed=False` puts Im after Re along the channels, which doubles them.

    >>> x = torch.rand(1, 3, 7, 14)
    >>> bool(torch.allclose(FFTRealImag2d()(x).norm(), x.norm()))
    True
    >>> FFTRealImag2d(packed=False)(x).shape
    torch.Size([1, 6, 7, 14])
    """

    kind = "fft-realimag"

    def __init__(self, dims: Dims = _PLANE, *, norm: str | None = "ortho", packed: bool = True):
        super().__init__(dims, norm=norm)
        self.packed = bool(packed)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        wide = x if x.dtype == torch.float64 else x.float()
        h = F.hartley(wide, self.dims, norm=self.norm)
        y = spectrum.pack(h, self.dims) if self.packed else spectrum.real_imag(h, self.dims)
        return y.to(x.dtype)

    def inverse(self, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The maps whose packed spectrum is y; `shape` (C, H, W) equals y's."""
        h = spectrum.unpack(y, self.dims)
        x = F.hartley(h, self.dims, norm=self.norm)
        return x if self.norm else x / spectrum.elements(y, self.dims)

    @property
    def may_change_channels(self) -> bool:
        return not self.packed

    def spectrum_shape(self, shape: Sequence[int]) -> MapShape:
        channels, height, width = shape
        return channels * (1 if self.packed else 2), height, width

    def options(self) -> list[str]:
        return [f"norm={self.norm!r}", f"packed={self.packed}"]
