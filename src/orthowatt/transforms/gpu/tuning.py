"""How the kernels share out their work: a fixed table, so that results repeat bit by bit.

Chosen by counting (registers a thread, bytes in flight, accesses of whole 32-byte sectors) and by
what the compiler reports for compute capability 9.0 (`benchmarks/results/sm90-compiled.json`, made
by `benchmarks/gpu_compiled.py`). Not yet measured on a GPU: `benchmarks/gpu.py --sweep` does that
for the neighbours of every entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from .axis import Axes, Axis, JointPlane, SmallPlane

#: Values of a tile that one program holds in registers, 4 bytes each.
LARGEST_TILE = 32 * 1024
#: The largest padded part of an axis on its own.
PART = 64
#: Values of a tile of `mirror`, which reads four of them for two results.
MIRROR_TILE = 1024
#: Largest plane of `planes`, in padded entries: 128 × 128.
LARGEST_PLANE = 16 * 1024
#: Bytes between two launches that stay in the L2 cache, where its size is not known.
BETWEEN_BYTES = 24 * 2**20
#: The joint Hartley transform holds two products at a time: largest plane, and map.
LARGEST_JOINT_PLANE, LARGEST_JOINT_MAP = 64 * 64, 32 * 32


@dataclass(frozen=True)
class Share:
    """`block`: planes, lanes or rows that a program takes at a time; `programs` a multiprocessor,
    0 for as many as it holds; `stages` of loads: 2 run one ahead of the computation."""

    block: int
    warps: int
    stages: int = 1
    programs: int = 0


def entries(*axes: Axis | SmallPlane | JointPlane) -> int:
    """Padded entries of all parts of a tile."""
    return prod(axis.pad * axis.parts for axis in axes)


def share(axes: Axes, inner: int, itemsize: int) -> Share:
    """How one launch shares out its work."""
    if len(axes) == 1:
        one = axes[0]
        if isinstance(one, JointPlane):
            return _mirror(one, inner)
        rows = inner == 1 and not turned(one)
        return _rows(one) if rows else _lanes(one, inner, itemsize)
    rows, cols = axes
    if inner == 1:
        return _planes(rows, cols, itemsize)
    found = maps_share(rows, cols, itemsize)
    assert found is not None, "the plan asks before it takes this kernel"
    return found


def turned(axis: Axis | SmallPlane) -> bool:
    """Whether rows are transformed as lanes: large matrices stay where they are that way, and
    many parts stay in registers."""
    return (axis.pad > 64 and axis.sets > 1) or axis.parts > 4


def _planes(rows: Axis, cols: Axis, itemsize: int) -> Share:
    """Small planes go several at a time."""
    size = entries(rows, cols)
    if size <= 256:
        return Share(16, 4)
    if size <= 1024:
        return Share(1, 1)
    if size <= 4096:
        return Share(1, 2 if rows.pad <= 32 else 4)
    # A multiprocessor holds one such program: nothing but its own loads can run meanwhile.
    alone = itemsize == 4 and rows.kind != "wht"
    # Without masks the loads of a second stage take fewer registers than the direct ones.
    unmasked = itemsize == 2 and rows.kind == "wht" and rows.inside == rows.pad
    return Share(1, 4 if rows.pad <= 64 else 8, stages=2 if alone or unmasked else 1)


def maps_share(rows: Axis, cols: Axis, itemsize: int) -> Share | None:
    """At least 16 bytes of channels together, or None where such a tile does not fit."""
    size = entries(rows, cols)
    least = 16 // itemsize
    if size * least > LARGEST_TILE:
        return None
    lanes = least
    while lanes * itemsize < 64 and size * lanes * 2 <= LARGEST_TILE // 4:
        lanes *= 2
    if size * lanes > LARGEST_TILE // 4:  # such a program is alone on its multiprocessor
        return Share(lanes, 8, stages=2)
    # Small ones are several, and then a second stage may cost one of them.
    return Share(lanes, 4, stages=2 if itemsize == 4 else 1)


def _rows(axis: Axis | SmallPlane) -> Share:
    if axis.parts > 2:  # one program a multiprocessor again
        return Share(max(16, LARGEST_TILE // 2 // entries(axis)), 8, stages=2)
    return Share(max(16, min(128, LARGEST_TILE // 4 // entries(axis))), 4)


def _lanes(axis: Axis | SmallPlane, inner: int, itemsize: int) -> Share:
    """Whole lines of memory where the tile allows it."""
    block = _largest_block(axis, itemsize)
    while not packed(axis, inner, itemsize) and block > 16 and block // 2 >= inner > 1:
        block //= 2
    return Share(block, 8 if axis.pad > 64 or axis.parts > 8 else 4)


def packed(axis: Axis | SmallPlane, inner: int, itemsize: int) -> bool:
    """Whether the lanes are those of several outer entries: where else a third of them, or more,
    would stay empty."""
    block = max(16, 1 << (inner - 1).bit_length())
    return 1 < inner < _largest_block(axis, itemsize) and 3 * inner <= 2 * block


def _largest_block(axis: Axis | SmallPlane, itemsize: int) -> int:
    return max(16, min(256 // itemsize, LARGEST_TILE // 4 // entries(axis)))


def _mirror(plane: JointPlane, inner: int) -> Share:
    """Rows of one plane, or at least 64 bytes of lanes where there are so many."""
    if inner == 1:
        most = 1 << (plane.pairs - 1).bit_length()
        return Share(min(most, max(1, MIRROR_TILE // plane.pad)), 4)
    most = min(256, 1 << (inner - 1).bit_length())
    return Share(min(most, max(16, MIRROR_TILE // plane.pad)), 4)


def parts_of(kind: str, rows: int, cols: int, inner: int) -> tuple[int, int]:
    """The largest padded parts of both axes of a plane, in memory order.

    Up to 64 × 64 a whole plane is one product of four warps together; larger ones, and maps, whose
    tile is as many times larger as it has channels, save products by their structure.
    """
    if kind == "hartley":
        return 128, 128
    if inner > 1:
        return 32, 32
    return (64, 64) if max(rows, cols) <= 64 or kind != "wht" else (64, 32)
