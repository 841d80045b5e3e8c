# type: ignore  # what is decorated is Triton's language, which has its own types
"""From the Hartley transforms of two axes, each on its own, to their joint one: one pass of sums.

H(k, l) = ½ [T(k, l) + T(-k, l) + T(k, -l) - T(-k, -l)], indices modulo the sizes. Rows k and -k
need the same four values, so they are made together and T is read once.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def mirror(
    x, y, outer, units, scale,
    rows: tl.constexpr, cols: tl.constexpr, pad: tl.constexpr, block: tl.constexpr,
    grain: tl.constexpr, flat: tl.constexpr,
):  # fmt: skip
    """Sum (outer, rows, cols, inner) over mirrored places, x and y apart from each other.

    A tile is `block` pairs of rows of one plane where it is `flat`, which is of inner size 1, and
    else one pair of rows of `block` inner entries.
    """
    pairs: tl.constexpr = rows // 2 + 1
    inner = units * grain  # so the compiler knows what divides it
    if flat:
        blocks = (pairs - 1) // block + 1
        tiles = tl.cast(outer, tl.int64) * blocks
        col = tl.arange(0, pad)[None, :]
    else:
        blocks = (inner - 1) // block + 1
        tiles = tl.cast(outer, tl.int64) * pairs * blocks
        col = tl.arange(0, pad)[:, None]
    far = cols - col
    far = tl.where(col == 0, 0, far)
    for tile in tl.range(tl.cast(tl.program_id(0), tl.int64), tiles, tl.num_programs(0)):
        first = (tile % blocks) * block
        if flat:
            row = tl.cast(first, tl.int32) + tl.arange(0, block)[:, None]
            begin = (tile // blocks) * (rows * cols)
            near_at, far_at = col, far
            live = (row < pairs) & (col < cols)
        else:
            lane = tl.arange(0, block)[None, :]
            first = tl.multiple_of(first, block)
            row = tl.cast((tile // blocks) % pairs, tl.int32) + tl.arange(0, 1)[:, None]
            begin = (tile // blocks // pairs) * (rows * cols) * inner + first
            near_at = tl.cast(col, tl.int64) * inner + lane
            far_at = tl.cast(far, tl.int64) * inner + lane
            live = (lane < inner - first) & (col < cols)
        below = tl.where(row == 0, 0, rows - row)
        if flat:
            up, down = row * cols, below * cols
        else:
            up = tl.cast(row, tl.int64) * cols * inner
            down = tl.cast(below, tl.int64) * cols * inner
        source, target = x + begin, y + begin
        both = tl.load(source + (up + near_at), mask=live, other=0.0)
        both += tl.load(source + (down + near_at), mask=live, other=0.0)
        odd = tl.load(source + (up + far_at), mask=live, other=0.0)
        odd -= tl.load(source + (down + far_at), mask=live, other=0.0)
        above = ((both + odd) * scale).to(y.dtype.element_ty)
        under = ((both - odd) * scale).to(y.dtype.element_ty)
        tl.store(target + (up + near_at), above, mask=live)
        tl.store(target + (down + near_at), under, mask=live & (below != row))
