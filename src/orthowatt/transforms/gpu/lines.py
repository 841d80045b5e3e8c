# type: ignore  # what is decorated is Triton's language, which has its own types
# ruff: noqa: RUF005  # and no unpacking
"""One axis: `rows` where it lies innermost in memory, `lanes` where other axes lie inside it.

A small plane is one such axis too, with the Kronecker product of its two matrices.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .tile import (
    FIRST,
    INTERLEAVED,
    butterflies,
    joined,
    matrices,
    parted,
    pieces,
    place,
    product,
)


@triton.jit
def rows(
    x, y, right, count, scale,
    size_in: tl.constexpr, size_out: tl.constexpr, parts: tl.constexpr, pad: tl.constexpr,
    block: tl.constexpr,
    way_in: tl.constexpr, way_out: tl.constexpr, sums: tl.constexpr, matrix_sets: tl.constexpr,
    x_pieces: tl.constexpr, matrix_pieces: tl.constexpr,
    stages: tl.constexpr,
):  # fmt: skip
    """Transform `count` contiguous rows, `block` at a time; sizes are those of one part."""
    rights = matrices(right, matrix_sets, matrix_pieces, pad)
    row = tl.arange(0, block)[:, None]
    col = tl.arange(0, pad)[None, :]
    wide = tl.arange(0, 2 * pad)[None, :]  # even and odd entries are read and written together
    for group in tl.range(
        tl.program_id(0), (count - 1) // block + 1, tl.num_programs(0), num_stages=stages
    ):
        first = tl.cast(group, tl.int64) * block
        live = row < count - first
        source = x + first * (size_in * parts) + row * (size_in * parts)
        target = y + first * (size_out * parts) + row * (size_out * parts)
        found = ()
        if parts == 2 and way_in == INTERLEAVED:
            both = tl.load(source + wide, mask=live & (wide < 2 * size_in), other=0.0)
            found = parted(both, block, pad)
        else:
            for k in tl.static_range(parts):
                at = source + place(col, k, size_in, parts, way_in)
                found = found + (tl.load(at, mask=live & (col < size_in), other=0.0),)
        if sums == FIRST:
            found = butterflies(found, parts)
        done = ()
        for k in tl.static_range(parts):
            value = pieces(found[k], x_pieces)
            done = done + (product(value, rights[k % matrix_sets], x_pieces, matrix_pieces),)
        if sums != FIRST:
            done = butterflies(done, parts)
        found = ()
        for k in tl.static_range(parts):
            found = found + ((done[k] * scale).to(y.dtype.element_ty),)
        if parts == 2 and way_out == INTERLEAVED:
            both = joined(found[0], found[1], block, pad)
            tl.store(target + wide, both, mask=live & (wide < 2 * size_out))
        else:
            for k in tl.static_range(parts):
                at = target + place(col, k, size_out, parts, way_out)
                tl.store(at, found[k], mask=live & (col < size_out))


@triton.jit
def lanes(
    x, y, left, outer, units, scale,
    size_in: tl.constexpr, size_out: tl.constexpr, parts: tl.constexpr, pad: tl.constexpr,
    block: tl.constexpr,
    way_in: tl.constexpr, way_out: tl.constexpr, sums: tl.constexpr, matrix_sets: tl.constexpr,
    x_pieces: tl.constexpr, matrix_pieces: tl.constexpr,
    grain: tl.constexpr, turned: tl.constexpr, packed: tl.constexpr, stages: tl.constexpr,
):  # fmt: skip
    """Transform the middle axis of (outer, size, inner), `block` inner entries at a time.

    `turned`: the axis lies innermost instead, and the lanes are whole rows of it. `packed`: there
    are few inner entries, and the lanes are those of several outer ones.
    """
    lefts = matrices(left, matrix_sets, matrix_pieces, pad)
    row = tl.arange(0, pad)[:, None]
    lane = tl.arange(0, block)[None, :]
    inner = units * grain  # so the compiler knows what divides it
    row_lanes = inner
    if packed:
        row_lanes = tl.cast(outer, tl.int64) * inner
    blocks = (row_lanes - 1) // block + 1
    tiles = tl.cast(outer, tl.int64) * blocks
    if packed:
        tiles = blocks
    for tile in tl.range(
        tl.cast(tl.program_id(0), tl.int64), tiles, tl.num_programs(0), num_stages=stages
    ):
        first = tl.multiple_of((tile % blocks) * block, block)
        live = lane < row_lanes - first
        begin = (tile // blocks) * inner
        if turned:
            source = x + first * (size_in * parts) + lane * (size_in * parts)
            target = y + first * (size_out * parts) + lane * (size_out * parts)
            step = 1
        elif packed:
            at_lane = first + lane
            which = at_lane // inner  # of the outer entries
            source = x + which * (inner * (size_in * parts - 1)) + at_lane
            target = y + which * (inner * (size_out * parts - 1)) + at_lane
            step = inner
        else:
            source = x + begin * (size_in * parts) + first + lane
            target = y + begin * (size_out * parts) + first + lane
            step = inner
        found = ()
        for k in tl.static_range(parts):
            at = tl.cast(place(row, k, size_in, parts, way_in), tl.int64) * step
            found = found + (tl.load(source + at, mask=live & (row < size_in), other=0.0),)
        if sums == FIRST:
            found = butterflies(found, parts)
        done = ()
        for k in tl.static_range(parts):
            value = pieces(found[k], x_pieces)
            done = done + (product(lefts[k % matrix_sets], value, matrix_pieces, x_pieces),)
        if sums != FIRST:
            done = butterflies(done, parts)
        for k in tl.static_range(parts):
            at = tl.cast(place(row, k, size_out, parts, way_out), tl.int64) * step
            value = (done[k] * scale).to(y.dtype.element_ty)
            tl.store(target + at, value, mask=live & (row < size_out))
