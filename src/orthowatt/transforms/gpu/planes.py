# type: ignore  # what is decorated is Triton's language, which has its own types
# ruff: noqa: RUF005  # and no unpacking
"""Both axes of contiguous planes in one kernel: read once, written once.

The plane is L · X · R with both matrices on the matrix units; the fp32 result of the first product
is split into 16-bit pieces in registers, so nothing is rounded to 16 bits between the axes.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .tile import (
    INTERLEAVED,
    LAST,
    butterflies,
    first_axis,
    joined,
    matrices,
    parted,
    pieces,
    place,
    product,
)


@triton.jit
def planes(
    x, y, left, right, count, scale,
    rows_in: tl.constexpr, cols_in: tl.constexpr,
    rows_out: tl.constexpr, cols_out: tl.constexpr,
    row_parts: tl.constexpr, col_parts: tl.constexpr,
    row_pad: tl.constexpr, col_pad: tl.constexpr,
    together: tl.constexpr,
    way_in: tl.constexpr, way_out: tl.constexpr, sums: tl.constexpr,
    matrix_sets: tl.constexpr, joint: tl.constexpr,
    x_pieces: tl.constexpr, matrix_pieces: tl.constexpr, between_pieces: tl.constexpr,
    stages: tl.constexpr,
):  # fmt: skip
    """Transform `count` planes; sizes are those of one part, `together` planes go at a time."""
    parts: tl.constexpr = row_parts * col_parts
    width_in: tl.constexpr = cols_in * col_parts
    width_out: tl.constexpr = cols_out * col_parts
    plane_in: tl.constexpr = rows_in * row_parts * width_in
    plane_out: tl.constexpr = rows_out * row_parts * width_out
    lefts = matrices(left, matrix_sets, matrix_pieces, row_pad)
    rights = matrices(right, matrix_sets, matrix_pieces, col_pad)
    if together > 1:
        row = tl.arange(0, row_pad)[None, :, None]
        col = tl.arange(0, col_pad)[None, None, :]
        lefts = _repeated(lefts, matrix_sets, matrix_pieces, together, row_pad)
        rights = _repeated(rights, matrix_sets, matrix_pieces, together, col_pad)
    else:
        row = tl.arange(0, row_pad)[:, None]
        col = tl.arange(0, col_pad)[None, :]
    reads = (row < rows_in) & (col < cols_in)
    writes = (row < rows_out) & (col < cols_out)
    # Even and odd columns are read and written together where both parts are at hand.
    in_turn: tl.constexpr = col_parts == 2 and together == 1
    wide = tl.arange(0, 2 * col_pad)[None, :]
    groups = (count - 1) // together + 1
    for group in tl.range(tl.program_id(0), groups, tl.num_programs(0), num_stages=stages):
        plane = tl.cast(group, tl.int64) * together
        live = True
        if together > 1:
            plane = plane + tl.arange(0, together)[:, None, None]
            live = plane < count
        found = ()
        if in_turn and way_in == INTERLEAVED:
            for k in tl.static_range(row_parts):
                at = place(row, k, rows_in, row_parts, way_in) * width_in + wide
                mask = (row < rows_in) & (wide < width_in)
                both = tl.load(x + plane * plane_in + at, mask=mask, other=0.0)
                found = found + parted(both, row_pad, col_pad)
        else:
            for k in tl.static_range(parts):
                at = place(row, k // col_parts, rows_in, row_parts, way_in) * width_in
                at = at + place(col, k % col_parts, cols_in, col_parts, way_in)
                found = found + (tl.load(x + plane * plane_in + at, mask=reads & live, other=0.0),)
        halfway = first_axis(
            found, lefts, parts, col_parts, matrix_sets, sums, joint, x_pieces, matrix_pieces
        )
        found = ()
        for k in tl.static_range(parts):
            value = pieces(halfway[k], between_pieces)
            one = rights[(k % col_parts) % matrix_sets]
            second = product(value, one, between_pieces, matrix_pieces)
            if joint:
                value = pieces(halfway[1], between_pieces)
                second += product(value, rights[1], between_pieces, matrix_pieces)
            found = found + (second,)
        if sums == LAST:
            found = butterflies(found, parts)
        done = ()
        for k in tl.static_range(parts):
            done = done + ((found[k] * scale).to(y.dtype.element_ty),)
        if in_turn and way_out == INTERLEAVED:
            for k in tl.static_range(row_parts):
                at = place(row, k, rows_out, row_parts, way_out) * width_out + wide
                both = joined(done[2 * k], done[2 * k + 1], row_pad, col_pad)
                mask = (row < rows_out) & (wide < width_out)
                tl.store(y + plane * plane_out + at, both, mask=mask)
        else:
            for k in tl.static_range(parts):
                at = place(row, k // col_parts, rows_out, row_parts, way_out) * width_out
                at = at + place(col, k % col_parts, cols_out, col_parts, way_out)
                tl.store(y + plane * plane_out + at, done[k], mask=writes & live)


@triton.jit
def _repeated(
    table, many: tl.constexpr, count: tl.constexpr, together: tl.constexpr, size: tl.constexpr
):
    """Every matrix once a plane, as products of many planes at a time take it."""
    found = ()
    for which in tl.static_range(many):
        each = ()
        for piece in tl.static_range(count):
            one = table[which][piece][None, :, :]
            each = each + (tl.broadcast_to(one, (together, size, size)),)
        found = found + (each,)
    return found
