"""The base of every layer: which axes of a map it works on, and whether it is orthogonal there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import nn

from ..errors import InputError, InputTypeError, check_choice

AXES = {-3: "C", -2: "H", -1: "W"}
MapShape = tuple[int, int, int]


class MapLayer(nn.Module):
    """A layer over axes of feature maps (N, C, H, W) or (C, H, W).

    `dims` are those axes, counted from the end: (-2, -1) is (H, W), (-1, -3) is (W, C), (-3,) the
    channels; 1, 2, 3 of (N, C, H, W) are accepted and kept in that form. `map_shape` is the
    (C, H, W) of the maps that reach the layer, None until it is known; `insert` fills it in.

    A layer of one's own states its `kind`, its `forward`, and what it keeps:

    >>> class Negative2d(MapLayer):
    ...     kind = "negative"
    ...
    ...     def forward(self, x):
    ...         self.check_map(x)
    ...         return -x
    >>> layer = Negative2d(dims=(2, 3))
    >>> layer, layer.orthogonality((3, 8, 8))
    (Negative2d(dims=(-2, -1) [H, W], norm='ortho', orthogonal), (True, ''))
    """

    kind: ClassVar[str] = ""
    #: Whether the layer is the product of one matrix for each axis of `dims`.
    separable: ClassVar[bool] = False

    def __init__(self, dims: int | Sequence[int] = (-2, -1), *, norm: str | None = "ortho"):
        super().__init__()
        self.dims = map_dims(type(self).__name__, dims)
        check_choice(f"{type(self).__name__}: norm", norm, ("ortho", None))
        self.norm = norm
        self.map_shape: MapShape | None = None

    @property
    def may_change_channels(self) -> bool:
        """Whether the output may have another number of channels than the input."""
        return False

    def orthogonality(self, shape: Sequence[int] | None = None) -> tuple[bool | None, str]:
        """(orthogonal?, why) on maps of `shape` (C, H, W): None where it hangs on a size unknown.

        Orthogonal means that lengths are kept: ‖layer(x)‖ = ‖x‖ for every x.
        """
        if self.norm is None:
            return False, "unscaled"
        return True, ""

    def spectrum_shape(self, shape: Sequence[int]) -> MapShape:
        """The (C, H, W) of the transform's coefficients for maps of `shape` (C, H, W)."""
        channels, height, width = shape
        return channels, height, width

    def check_map(self, x: torch.Tensor) -> None:
        """Raise `InputError` or `InputTypeError` unless x is a map."""
        check_map(type(self).__name__, x)

    def options(self) -> list[str]:
        """What `repr` says between the axes and the orthogonality."""
        return [f"norm={self.norm!r}"]

    def extra_repr(self) -> str:
        axes = ", ".join(AXES[dim] for dim in self.dims)
        return ", ".join([f"dims={self.dims} [{axes}]", *self.options(), self.verdict()])

    def verdict(self) -> str:
        """The orthogonality at `map_shape` in words."""
        orthogonal, why = self.orthogonality(self.map_shape)
        at = f" at {self.sizes(self.map_shape)}" if self.map_shape else ""
        if orthogonal is None:
            return why
        word = "orthogonal" if orthogonal else "not orthogonal"
        return f"{word}{at}" + (f" ({why})" if why else "")

    def sizes(self, shape: Sequence[int]) -> str:
        """The sizes of the transformed axes, as 56×56."""
        return "×".join(str(shape[dim]) for dim in self.dims)


def map_dims(name: str, dims: int | Sequence[int]) -> tuple[int, ...]:
    """`dims` as distinct numbers from -3 to -1, or `InputError`; `name` is the layer's."""
    given = (dims,) if isinstance(dims, int) else tuple(dims)
    allowed = "-3, -2, -1 (C, H, W counted from the end) or 1, 2, 3 of (N, C, H, W)"
    for dim in given:
        if isinstance(dim, bool) or not isinstance(dim, int):
            raise InputTypeError(
                f"{name}: dims is {dims!r}, but must hold whole numbers: {allowed}"
            )
        if dim not in (-3, -2, -1, 1, 2, 3):
            raise InputError(f"{name}: dims is {dims!r}, but must be one to three of {allowed}")
    result = tuple(dim - 4 if dim > 0 else dim for dim in given)
    if not result or len(set(result)) != len(result):
        raise InputError(f"{name}: dims is {dims!r}, but must name one to three axes, each once")
    return result


def check_map(name: str, x: object) -> None:
    """Raise unless x is a tensor with at least the axes C, H, W."""
    if not isinstance(x, torch.Tensor):
        raise InputTypeError(
            f"{name} needs a feature map as torch.Tensor, but got {type(x).__name__}; place it "
            "where the model passes one tensor"
        )
    if x.ndim < 3:
        raise InputError(
            f"{name} needs maps of shape (N, C, H, W) or (C, H, W), but got {tuple(x.shape)}"
        )
