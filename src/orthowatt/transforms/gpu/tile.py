# type: ignore  # what is decorated is Triton's language, which has its own types
# ruff: noqa: RUF005  # and no unpacking
"""What the kernels share, as Triton functions: exact 16-bit pieces, their products, butterflies.

A kernel keeps a tile as a tuple of parts, S along each transformed axis, so that the structure of
the matrix costs additions instead of products: H(n) = Sylvester(S) ⊗ H(n / S) takes parts that lie
one after the other ("blocks"), and a cosine or sine matrix, whose rows are even or odd about the
middle, takes a half and its mirror image, and gives the even and the odd rows; a Hartley matrix
gives the same of its two halves. Matrix units read
16-bit numbers and sum in fp32: a value is split into bf16 pieces, hi + mid + low, whose products
with the pieces of the matrix are exact in fp32, and only products below the result's rounding are
left out.

Only built-in functions of the language are called here, never those of its standard library,
which are compiled functions themselves and would not run under the interpreter.
"""

from __future__ import annotations

import triton
import triton.language as tl

#: How the parts of an axis lie: one after the other, the second mirrored, or interleaved.
BLOCKS: tl.constexpr = tl.constexpr(0)
MIRRORED: tl.constexpr = tl.constexpr(1)
INTERLEAVED: tl.constexpr = tl.constexpr(2)
#: When the parts are summed: before, between or after the products.
FIRST: tl.constexpr = tl.constexpr(0)
BETWEEN: tl.constexpr = tl.constexpr(1)
LAST: tl.constexpr = tl.constexpr(2)


@triton.jit
def place(index, part: tl.constexpr, size: tl.constexpr, parts: tl.constexpr, way: tl.constexpr):
    """Where along its axis entry `index` of a part of `size` entries lies."""
    at = index
    if parts > 1:
        if way == INTERLEAVED:
            at = index * 2 + part
        elif way == MIRRORED:
            if part == 1:
                at = 2 * size - 1 - index
        else:
            at = index + part * size
    return at


@triton.jit
def joined(even, odd, rows: tl.constexpr, cols: tl.constexpr):
    """Two (rows, cols) tiles as one of twice as many columns, theirs in turn.

    So that neighbours in memory are neighbours in the tile, and go there together.
    """
    return tl.reshape(tl.join(even, odd), (rows, 2 * cols))


@triton.jit
def parted(tile, rows: tl.constexpr, cols: tl.constexpr):
    """A (rows, 2 cols) tile as its even and its odd columns."""
    even, odd = tl.split(tl.reshape(tile, (rows, cols, 2)))
    return even, odd


@triton.jit
def pieces(x, count: tl.constexpr):
    """fp32 values as bf16 numbers that sum to them; one piece is a 16-bit value as it is.

    Cut by integer arithmetic, for a conversion to bf16 and back takes a slow unit. Three pieces of
    8 bits hold all 24 of fp32, so they may be cut off; of two the first is rounded to nearest.
    An infinity leaves NaN in a later piece: a line or plane that holds one is not finite any more.
    """
    if count == 1:
        found = (x,)
    elif count == 2:
        high = _upper(x.to(tl.float32), 0x8000)
        found = (_narrow(high), (x.to(tl.float32) - high).to(tl.bfloat16))
    else:
        high = _upper(x.to(tl.float32), 0)
        rest = x.to(tl.float32) - high
        middle = _upper(rest, 0)
        found = (_narrow(high), _narrow(middle), _narrow(rest - middle))
    return found


@triton.jit
def _upper(x, half: tl.constexpr):
    """The upper 16 bits of fp32 values after adding `half` to the lower ones, as fp32."""
    bits = x.to(tl.int32, bitcast=True) + half
    return (bits & -65536).to(tl.float32, bitcast=True)


@triton.jit
def _narrow(x):
    """fp32 values whose lower 16 bits are 0 as bf16."""
    bits = x.to(tl.int32, bitcast=True) >> 16
    return bits.to(tl.int16).to(tl.bfloat16, bitcast=True)


@triton.jit
def product(a, b, a_count: tl.constexpr, b_count: tl.constexpr):
    """The product of two matrices in pieces, in fp32, the smallest terms first.

    Terms below the last piece of the finer factor are left out.
    """
    depth: tl.constexpr = a_count if a_count > b_count else b_count
    total = None
    for turn in tl.static_range(depth):
        for i in tl.static_range(a_count):
            if depth - 1 - turn - i >= 0 and depth - 1 - turn - i < b_count:
                total = tl.dot(a[i], b[depth - 1 - turn - i], total)
    return total


@triton.jit
def butterflies(parts, count: tl.constexpr):
    """Sylvester(count) applied across the parts, in fp32."""
    bits: tl.constexpr = count.bit_length() - 1
    for bit in tl.static_range(bits):
        parts = _sums_and_differences(parts, count, 1 << bit)
    return parts


@triton.jit
def _sums_and_differences(parts, count: tl.constexpr, step: tl.constexpr):
    found = ()
    for i in tl.static_range(count):
        if (i // step) % 2 == 0:
            found = found + (parts[i].to(tl.float32) + parts[i + step].to(tl.float32),)
        else:
            found = found + (parts[i - step].to(tl.float32) - parts[i].to(tl.float32),)
    return found


@triton.jit
def first_axis(
    parts, lefts, count: tl.constexpr, along: tl.constexpr, sets: tl.constexpr,
    sums: tl.constexpr, joint: tl.constexpr, x_pieces: tl.constexpr, matrix_pieces: tl.constexpr,
):  # fmt: skip
    """The matrices times `count` parts of a plane, `along` of them side by side, in fp32.

    `joint`: both matrices times the only part.
    """
    if sums == FIRST:
        parts = butterflies(parts, count)
    found = ()
    for k in tl.static_range(count):
        value = pieces(parts[k], x_pieces)
        if joint:
            found = (
                product(lefts[0], value, matrix_pieces, x_pieces),
                product(lefts[1], value, matrix_pieces, x_pieces),
            )
        else:
            one = lefts[(k // along) % sets]
            found = found + (product(one, value, matrix_pieces, x_pieces),)
    if sums == BETWEEN:
        found = butterflies(found, count)
    return found


@triton.jit
def matrix(table, which: tl.constexpr, count: tl.constexpr, size: tl.constexpr):
    """The pieces of one (size, size) matrix of a table [which, piece, row, column]."""
    at = tl.arange(0, size)[:, None] * size + tl.arange(0, size)[None, :]
    found = ()
    for piece in tl.static_range(count):
        found = found + (tl.load(table + (which * count + piece) * size * size + at),)
    return found


@triton.jit
def matrices(table, many: tl.constexpr, count: tl.constexpr, size: tl.constexpr):
    """The pieces of every matrix of a table."""
    found = ()
    for which in tl.static_range(many):
        found = found + (matrix(table, which, count, size),)
    return found
