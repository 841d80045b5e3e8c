"""One transformed axis as a kernel takes it: in how many parts, how they lie, which matrices.

H(n) = Sylvester(S) ⊗ H(n / S) needs one matrix for all parts. A cosine or sine matrix of type 2,
whose rows are even or odd about the middle, is two matrices of half the size, for the sums and the
differences of mirrored entries; type 3 is its transpose. A Hartley matrix is two of half the size
as well, for the sums and the differences of entries half the axis apart. Every other matrix stays
whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .. import bases, hadamard

BLOCKS, MIRRORED, INTERLEAVED = 0, 1, 2
#: When the sums and differences across the parts are taken: before, between or after the products.
FIRST, BETWEEN, LAST = 0, 1, 2
#: The largest padded part that the matrix units take as one dense product.
LARGEST_PART = 128
#: The most parts along one axis: each is a variable of the kernel.
MOST_PARTS = 32
#: How the parts lie of kinds whose matrix folds, by (kind, transpose): sums first, or sums last.
_WAYS = {
    **dict.fromkeys(
        [("dct2", False), ("dst2", False), ("dct3", True), ("dst3", True)], (MIRRORED, INTERLEAVED)
    ),
    **dict.fromkeys(
        [("dct3", False), ("dst3", False), ("dct2", True), ("dst2", True)], (INTERLEAVED, MIRRORED)
    ),
    # cas(t + pi k) = (-1)^k cas(t): even rows take the sums of both halves, odd ones differences.
    **dict.fromkeys([("hartley", False), ("hartley", True)], (BLOCKS, INTERLEAVED)),
}


@dataclass(frozen=True)
class Axis:
    """`parts` parts of `inside` entries (`outside` after the transform), padded to `pad`."""

    kind: str
    norm: str
    transpose: bool
    size: int
    inside: int
    outside: int
    parts: int = 1
    way_in: int = BLOCKS
    way_out: int = BLOCKS

    @property
    def pad(self) -> int:
        """A power of two that the matrix units take."""
        return _padded(max(self.inside, self.outside))

    @property
    def sets(self) -> int:
        """How many different matrices the parts have."""
        return 1 if self.way_in == self.way_out else 2

    @property
    def sums(self) -> int:
        """When the parts are summed: FIRST, BETWEEN the products of two axes (or after that of the
        only one), or LAST."""
        if self.way_out == INTERLEAVED:
            return FIRST
        return LAST if self.way_out == MIRRORED else BETWEEN

    @property
    def scale(self) -> float:
        """What the kernel multiplies by; cosine and sine matrices hold their own weights."""
        if self.kind != "wht":
            return 1.0
        return {"ortho": self.size**-0.5, "none": 1.0, "inverse": 1.0 / self.size}[self.norm]

    def matrices(self) -> list[np.ndarray]:
        """Each set's (outside, inside) matrix in float64."""
        if self.kind == "wht":
            # H(n) = Sylvester(S) ⊗ H(n / S): the part's own matrix, of the padded size.
            whole = hadamard.matrix(self.size // self.parts)
            return [whole[: self.outside, : self.inside].astype(np.float64)]
        whole = dense(self.kind, self.size, self.norm, self.transpose)
        if self.sets == 1:
            return [whole[: self.outside, : self.inside]]
        half = self.size // 2
        if self.sums == FIRST:
            return [whole[part::2, :half] for part in (0, 1)]
        return [whole[:half, part::2] for part in (0, 1)]


@dataclass(frozen=True)
class SmallPlane:
    """Both axes of a small plane as one axis: its matrix is the Kronecker product of theirs."""

    rows: Axis
    cols: Axis
    parts: int = 1
    sets: int = 1
    way_in: int = BLOCKS
    way_out: int = BLOCKS
    sums: int = BETWEEN

    @property
    def inside(self) -> int:
        """Entries before the transform."""
        return self.rows.inside * self.cols.inside

    @property
    def outside(self) -> int:
        """Entries after it."""
        return self.rows.outside * self.cols.outside

    @property
    def pad(self) -> int:
        """A power of two that the matrix units take."""
        return _padded(max(self.inside, self.outside))

    @property
    def scale(self) -> float:
        """What the kernel multiplies by."""
        return self.rows.scale * self.cols.scale

    def matrices(self) -> list[np.ndarray]:
        """The one (outside, inside) matrix in float64."""
        rows, cols = self.rows, self.cols
        if rows.kind != "hartley":
            return [np.kron(rows.matrices()[0], cols.matrices()[0])]
        (c1, s1), (c2, s2) = cos_sin(rows.size, rows.norm), cos_sin(cols.size, cols.norm)
        return [np.kron(c1, c2 + s2) + np.kron(s1, c2 - s2)]


@dataclass(frozen=True)
class JointPlane:
    """Two axes, each Hartley-transformed on its own, on the way to their joint transform.

    No matrix is left to multiply by: H(k, l) = ½ [T(k, l) + T(-k, l) + T(k, -l) - T(-k, -l)], as
    cas(a + b) = ½ [cas a cas b + cas(-a) cas b + cas a cas(-b) - cas(-a) cas(-b)].
    """

    rows: int
    cols: int
    parts: int = 1
    sets: int = 0
    way_in: int = BLOCKS
    way_out: int = BLOCKS
    sums: int = BETWEEN
    scale: float = 0.5

    @property
    def inside(self) -> int:
        """Entries before the sums."""
        return self.rows * self.cols

    @property
    def outside(self) -> int:
        """Entries after them."""
        return self.inside

    @property
    def pad(self) -> int:
        """The power of two that a tile has along the columns."""
        return 1 << (self.cols - 1).bit_length()

    @property
    def pairs(self) -> int:
        """Rows k and -k are made together; the first, and the middle one, are their own pair."""
        return self.rows // 2 + 1


#: The axes of one launch, in memory order.
Axes = tuple[Axis] | tuple[Axis, Axis] | tuple[SmallPlane] | tuple[JointPlane]


def dense(kind: str, n: int, norm: str, transpose: bool) -> np.ndarray:
    """The whole matrix of an axis other than a Walsh-Hadamard one."""
    if kind == "hartley":
        cos, sin = cos_sin(n, norm)
        return cos + sin
    matrix = bases.matrix(kind, n, norm)
    return matrix.T if transpose else matrix


@lru_cache(maxsize=64)
def cos_sin(n: int, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """cos and sin of 2π k m / n with the norm's scale: Re F and -Im F of one axis."""
    index = np.arange(n)
    angle = (np.outer(index, index) % n) * (2.0 * math.pi / n)
    scale = {"ortho": n**-0.5, "none": 1.0, "inverse": 1.0 / n}[norm]
    return np.cos(angle) * scale, np.sin(angle) * scale


@lru_cache(maxsize=1024)
def axis(
    kind: str, n: int, norm: str, transpose: bool, part: int, inside: int = 0, outside: int = 0
) -> Axis | None:
    """The axis of size n with parts padded to at most `part` where the structure allows it.

    `inside` and `outside` are the entries that exist before and after, where they are fewer than
    n: the rest is 0, or not wanted. None where no part fits the matrix units.
    """
    inside, outside = inside or n, outside or n
    ways, parts = (BLOCKS, BLOCKS), 1
    if inside == outside == n:
        if kind == "wht":
            sylvester = hadamard.factors(n)[0]
            while parts < min(sylvester, MOST_PARTS) and _padded(n // parts) > part:
                parts *= 2
        elif n % 2 == 0 and _padded(n) > part and (kind, transpose) in _WAYS:
            ways, parts = _WAYS[kind, transpose], 2
    found = Axis(kind, norm, transpose, n, inside // parts, outside // parts, parts, *ways)
    return found if found.pad <= LARGEST_PART else None


def _padded(n: int) -> int:
    return max(16, 1 << (n - 1).bit_length())
