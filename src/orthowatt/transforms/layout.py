"""Where the axes of a tensor lie in memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod


def memory_order(shape: Sequence[int], strides: Sequence[int]) -> list[int] | None:
    """The axes from outermost to innermost in memory, or None where there are gaps or overlaps.

    >>> memory_order((2, 3, 4), (12, 1, 3)), memory_order((2, 3), (6, 2))
    ([0, 2, 1], None)
    """
    order = sorted(range(len(shape)), key=lambda axis: (-strides[axis], axis))
    # An axis of size 1 may have any stride: it goes where the others leave room.
    order = [a for a in order if shape[a] == 1] + [a for a in order if shape[a] != 1]
    expected = 1
    for axis in reversed(order):
        if shape[axis] != 1:
            if strides[axis] != expected:
                return None
            expected *= shape[axis]
    return order


@lru_cache(maxsize=4096)
def is_dense(shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
    """Whether the elements fill one block of memory without gaps or overlaps."""
    return memory_order(shape, strides) is not None


def runs(
    shape: Sequence[int], strides: Sequence[int], dims: Sequence[int]
) -> list[tuple[int, tuple[int, ...], int]] | None:
    """The transformed axes in memory order, neighbours together: (outer, dims, inner) each.

    At most two axes form a run; `outer` and `inner` count the elements around it. None where the
    tensor has gaps.

    >>> runs((2, 3, 4, 5), (60, 20, 5, 1), (-2, -1)), runs((2, 3, 4), (12, 4, 1), (-3, -1))
    ([(6, (-2, -1), 1)], [(1, (-3,), 12), (6, (-1,), 1)])
    """
    order = memory_order(shape, strides)
    if order is None:
        return None
    place = {axis - len(shape): position for position, axis in enumerate(order)}
    sizes = [shape[axis] for axis in order]
    found = []
    left = sorted((place[dim], dim) for dim in dims)
    while left:
        (position, dim), *left = left
        run, after = [dim], position + 1
        if left and left[0][0] == after:
            run.append(left.pop(0)[1])
            after += 1
        found.append((prod(sizes[:position]), tuple(run), prod(sizes[after:])))
    return found
