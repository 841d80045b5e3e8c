"""Which kernels a call takes, in which order, with which constants: worked out once a layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import torch

from ..hadamard import factors
from ..layout import memory_order, runs
from . import tuning
from .axis import FIRST, LARGEST_PART, MOST_PARTS, Axes, Axis, JointPlane, SmallPlane, axis

#: A small plane of at most so many entries is one matrix.
SMALL_PLANE = 64
#: Both axes in one kernel only while 32-bit offsets reach all of one plane or map.
OFFSETS = 2**31


@dataclass(frozen=True)
class Step:
    """One launch: `axes` are in memory order, `outer` and `inner` count the elements around."""

    kernel: str  # "planes", "maps", "rows", "lanes" or "mirror"
    axes: Axes
    outer: int
    inner: int
    share: tuning.Share
    source: torch.dtype
    target: torch.dtype
    x_pieces: int
    matrix_pieces: int
    between_pieces: int
    joint: bool

    @property
    def scale(self) -> float:
        """What the results are multiplied by."""
        return prod(axis.scale for axis in self.axes)

    @property
    def packed(self) -> bool:
        """Whether the lanes are those of several outer entries."""
        if self.kernel != "lanes":
            return False
        return tuning.packed(self.axes[0], self.inner, self.source.itemsize)  # type: ignore

    @property
    def elements(self) -> int:
        """How many entries are read."""
        return self.outer * self.inner * prod(axis.inside * axis.parts for axis in self.axes)

    @property
    def blocks(self) -> int:
        """How many blocks of work there are."""
        plane = self.axes[0]
        if isinstance(plane, JointPlane):
            if self.inner == 1:
                return self.outer * -(-plane.pairs // self.share.block)
            return self.outer * plane.pairs * -(-self.inner // self.share.block)
        if self.inner == 1:
            return -(-self.outer // self.share.block)
        if self.packed:
            return -(-self.outer * self.inner // self.share.block)
        return self.outer * -(-self.inner // self.share.block)


@lru_cache(maxsize=4096)
def steps(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, kind: str,
    dims: tuple[int, ...], norm: str, transpose: bool,
) -> tuple[Step, ...] | str:  # fmt: skip
    """The launches for a dense tensor, or the reason why the plain path has to serve."""
    if dtype == torch.float64:
        return "fp64 is computed by the reference"
    if norm == "ortho" or kind in ("wht", "hartley"):  # an axis of size 1 is then left as it is
        dims = tuple(dim for dim in dims if shape[dim] > 1) or dims[:1]
    found = runs(shape, strides, dims)
    if found is None:
        return "the tensor has gaps"
    if kind == "hartley" and len(found) > 1:
        return "the joint Hartley transform needs its dims next to each other in memory"
    request = Request(kind, norm, transpose, dtype)
    made: list[Piece] = []
    for outer, run, inner in found:
        pieces = request.run([shape[dim] for dim in run], outer, inner)
        if isinstance(pieces, str):
            return pieces
        made += pieces
    last = len(made) - 1
    return tuple(request.step(*one, k == 0, k == last) for k, one in enumerate(made))


@lru_cache(maxsize=1024)
def resized(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, kind: str,
    dims: tuple[int, ...], norm: str, transpose: bool, full: tuple[int, ...],
    result: tuple[int, ...],
) -> Step | None:  # fmt: skip
    """One launch that pads `dims` with zeros to `full`, transforms and crops to `result`.

    None where it takes more than one, or the tensor has gaps.
    """
    found = runs(shape, strides, dims)
    if found is None or len(found) > 1 or dtype == torch.float64 or kind == "hartley":
        return None
    ((outer, run, inner),) = found
    request = Request(kind, norm, transpose, dtype)
    sizes = {dim: (n, shape[dim], out) for dim, n, out in zip(dims, full, result, strict=True)}
    axes = [one for dim in run if (one := request.resized_axis(*sizes[dim])) is not None]
    if len(axes) < len(run) or prod(full) * inner >= OFFSETS:
        return None
    if len(axes) == 1:
        return request.step((axes[0],), outer, inner, True, True)
    rows, cols = axes
    if prod(full) <= SMALL_PLANE:
        return request.step((SmallPlane(rows, cols),), outer, inner, True, True)
    lanes = 1 if inner == 1 else 16 // dtype.itemsize
    if tuning.entries(rows, cols) * lanes > tuning.LARGEST_TILE // 2:
        return None
    return request.step((rows, cols), outer, inner, True, True)


Piece = tuple[Axes, int, int]  # the axes of one launch, and what lies outside and inside of them


@dataclass(frozen=True)
class Request:
    """What a call asks for, whatever the tensor's shape."""

    kind: str
    norm: str
    transpose: bool
    dtype: torch.dtype

    def run(self, sizes: list[int], outer: int, inner: int) -> list[Piece] | str:
        """The launches of one or two neighbouring axes, or what no kernel covers."""
        if len(sizes) == 1:
            return self._one(sizes[0], outer, inner)
        pair = self._pair(sizes, inner)
        if pair is not None:
            return [(pair, outer, inner)]
        first = self._one(sizes[0], outer, sizes[1] * inner)
        second = self._one(sizes[1], outer * sizes[0], inner)
        if isinstance(first, str):
            return first
        if isinstance(second, str):
            return second
        if self.kind != "hartley":
            return first + second
        return [*first, *second, ((JointPlane(sizes[0], sizes[1]),), outer, inner)]

    def _pair(self, sizes: list[int], inner: int) -> Axes | None:
        """Both axes for one launch, where a tile holds them."""
        if prod(sizes) <= SMALL_PLANE:
            rows, cols = (self._axis(n, LARGEST_PART) for n in sizes)
            return None if rows is None or cols is None else (SmallPlane(rows, cols),)
        largest = tuning.parts_of(self.kind, sizes[0], sizes[1], inner)
        rows, cols = (self._axis(n, part) for n, part in zip(sizes, largest, strict=True))
        if (
            rows is None
            or cols is None
            or (rows.way_in, rows.way_out) != (cols.way_in, cols.way_out)
        ):
            return None
        most = tuning.LARGEST_PLANE
        if self.kind == "hartley":
            most = tuning.LARGEST_JOINT_PLANE if inner == 1 else tuning.LARGEST_JOINT_MAP
        if prod(sizes) * inner >= OFFSETS or tuning.entries(rows, cols) > most:
            return None
        fits = inner == 1 or tuning.maps_share(rows, cols, self.dtype.itemsize) is not None
        return (rows, cols) if fits else None

    def _one(self, n: int, outer: int, inner: int) -> list[Piece] | str:
        one = self._axis(n, tuning.PART)
        if one is not None:
            return [((one,), outer, inner)]
        if self.kind == "wht" and n > LARGEST_PART * MOST_PARTS // 2:
            # H(n) = Sylvester(a) ⊗ H(n / a) is two axes of a view, a times n / a.
            a = min(MOST_PARTS * 64, factors(n)[0])
            if 1 < a < n:
                first = self._one(a, outer, n // a * inner)
                second = self._one(n // a, outer * a, inner)
                if not isinstance(first, str) and not isinstance(second, str):
                    return first + second
        return f"no kernel covers {self.kind} of size {n}"

    def _axis(self, n: int, part: int) -> Axis | None:
        return axis(self.kind, n, self.norm, self.transpose, part)

    def resized_axis(self, n: int, inside: int, outside: int) -> Axis | None:
        """A whole axis of which fewer entries exist before or after."""
        return axis(self.kind, n, self.norm, self.transpose, LARGEST_PART, inside, outside)

    def step(self, axes: Axes, outer: int, inner: int, first: bool, last: bool) -> Step:
        """One launch; between two of them everything is fp32."""
        source = self.dtype if first else torch.float32
        between = 2 if self.dtype == torch.bfloat16 else 3
        two = len(axes) == 2
        return Step(
            kernel=_kernel(axes, inner),
            axes=axes,
            outer=outer,
            inner=inner,
            share=tuning.share(axes, inner, source.itemsize),
            source=source,
            target=self.dtype if last else torch.float32,
            x_pieces=self._x_pieces(source, axes[0].sums == FIRST, between),
            matrix_pieces=1 if self.kind == "wht" else between,
            between_pieces=between,
            joint=two and self.kind == "hartley",
        )

    def _x_pieces(self, source: torch.dtype, sums_first: bool, finest: int) -> int:
        if source == torch.float32 or (source == torch.float16 and sums_first):
            return finest
        if sums_first or (source == torch.float16 and self.kind != "wht"):
            return 2
        return 1  # a 16-bit number is its own only piece


def _kernel(axes: Axes, inner: int) -> str:
    if len(axes) == 2:
        return "planes" if inner == 1 else "maps"
    one = axes[0]
    if isinstance(one, JointPlane):
        return "mirror"
    return "rows" if inner == 1 and not tuning.turned(one) else "lanes"


@lru_cache(maxsize=1024)
def strides_like(
    shape: tuple[int, ...], like: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[int, ...]:
    """Strides of a dense tensor of `shape` whose axes lie in memory as those of another's do."""
    found, step = [0] * len(shape), 1
    for place in reversed(memory_order(like, strides) or range(len(shape))):
        found[place] = step
        step *= shape[place]
    return tuple(found)
