# type: ignore  # what is decorated is Triton's language, which has its own types
# ruff: noqa: RUF005  # and no unpacking
"""Both axes of maps whose channels lie innermost (channels_last): channels as lanes, no copies.

The first product runs down the rows of a (rows, columns · channels) tile. Its fp32 result is turned
to (columns, rows · channels) inside the multiprocessor for the second, and stored from there.
"""

from __future__ import annotations

import triton
import triton.language as tl

from .tile import LAST, butterflies, first_axis, matrices, pieces, place, product


@triton.jit
def maps(
    x, y, left, right, outer, units, scale,
    rows_in: tl.constexpr, cols_in: tl.constexpr,
    rows_out: tl.constexpr, cols_out: tl.constexpr,
    row_parts: tl.constexpr, col_parts: tl.constexpr,
    row_pad: tl.constexpr, col_pad: tl.constexpr,
    lanes: tl.constexpr,
    way_in: tl.constexpr, way_out: tl.constexpr, sums: tl.constexpr,
    matrix_sets: tl.constexpr, joint: tl.constexpr,
    x_pieces: tl.constexpr, matrix_pieces: tl.constexpr, between_pieces: tl.constexpr,
    grain: tl.constexpr, stages: tl.constexpr,
):  # fmt: skip
    """Transform (outer, rows, columns, inner); sizes are those of one part, `right` comes
    transposed, a program takes `lanes` of the inner entries at a time."""
    parts: tl.constexpr = row_parts * col_parts
    width_in: tl.constexpr = cols_in * col_parts
    width_out: tl.constexpr = cols_out * col_parts
    lefts = matrices(left, matrix_sets, matrix_pieces, row_pad)
    rights = matrices(right, matrix_sets, matrix_pieces, col_pad)
    # Reading: rows down, (column, lane) across. Writing: columns down, (row, lane) across.
    row_down = tl.arange(0, row_pad)[:, None]
    across = tl.arange(0, col_pad * lanes)[None, :]
    col_across, lane_in = across // lanes, across % lanes
    col_down = tl.arange(0, col_pad)[:, None]
    across = tl.arange(0, row_pad * lanes)[None, :]
    row_across, lane_out = across // lanes, across % lanes
    reads = (row_down < rows_in) & (col_across < cols_in)
    writes = (col_down < cols_out) & (row_across < rows_out)
    inner = units * grain  # so the compiler knows what divides it
    blocks = (inner + lanes - 1) // lanes
    tiles = tl.cast(outer, tl.int64) * blocks
    for tile in tl.range(
        tl.cast(tl.program_id(0), tl.int64), tiles, tl.num_programs(0), num_stages=stages
    ):
        image = tile // blocks
        first = tl.multiple_of((tile % blocks) * lanes, lanes)
        source = x + image * (rows_in * row_parts * width_in) * inner + first
        target = y + image * (rows_out * row_parts * width_out) * inner + first
        found = ()
        for k in tl.static_range(parts):
            at = place(row_down, k // col_parts, rows_in, row_parts, way_in) * width_in
            at = at + place(col_across, k % col_parts, cols_in, col_parts, way_in)
            mask = reads & (lane_in < inner - first)
            found = found + (tl.load(source + (at * inner + lane_in), mask=mask, other=0.0),)
        halfway = first_axis(
            found, lefts, parts, col_parts, matrix_sets, sums, joint, x_pieces, matrix_pieces
        )
        found = ()
        for k in tl.static_range(parts):
            value = pieces(_turned(halfway[k], row_pad, col_pad, lanes), between_pieces)
            one = rights[(k % col_parts) % matrix_sets]
            done = product(one, value, matrix_pieces, between_pieces)
            if joint:
                value = pieces(_turned(halfway[1], row_pad, col_pad, lanes), between_pieces)
                done += product(rights[1], value, matrix_pieces, between_pieces)
            found = found + (done,)
        if sums == LAST:
            found = butterflies(found, parts)
        for k in tl.static_range(parts):
            at = place(row_across, k // col_parts, rows_out, row_parts, way_out) * width_out
            at = at + place(col_down, k % col_parts, cols_out, col_parts, way_out)
            value = (found[k] * scale).to(y.dtype.element_ty)
            mask = writes & (lane_out < inner - first)
            tl.store(target + (at * inner + lane_out), value, mask=mask)


@triton.jit
def _turned(tile, rows: tl.constexpr, cols: tl.constexpr, lanes: tl.constexpr):
    """(rows, columns · lanes) as (columns, rows · lanes)."""
    turned = tl.permute(tl.reshape(tile, (rows, cols, lanes)), (1, 0, 2))
    return tl.reshape(turned, (cols, rows * lanes))
