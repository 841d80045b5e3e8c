"""The cosine and sine bases, all eight from one table, as scipy.fft defines and scales them.

Every one of them is y_k = Σ_n u_n x_n trig(π (k + a)(n + b) / D), k, n = 0 … N-1, with trig = cos
(DCT) or sin (DST) and u = 2 but for the entries that stand for one term instead of two. The
orthonormal form multiplies rows and columns so that the matrix is orthogonal. Source: Martucci
(1994), "Symmetric convolution and the discrete sine and cosine transforms"; values as in scipy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

NORMS = ("ortho", "none", "inverse")


@dataclass(frozen=True)
class Basis:
    """One type: shifts of output and input index, and which ends count once (not twice)."""

    sine: bool
    a: float
    b: float
    extra: int  # D = N + extra
    rows: tuple[int, ...] = ()  # output indices halved in the orthonormal form
    columns: tuple[int, ...] = ()  # input indices with weight 1 instead of 2

    def period(self, n: int) -> int:
        """D: the transform and its inverse scale multiply to 2·D."""
        return n + self.extra

    def input_weights(self, n: int) -> np.ndarray:
        """u_n of the unscaled transform; float64 of length n."""
        weights = np.full(n, 2.0)
        weights[list(self.columns)] = 1.0
        return weights


BASES = {
    "dct1": Basis(False, 0.0, 0.0, -1, rows=(0, -1), columns=(0, -1)),
    "dct2": Basis(False, 0.0, 0.5, 0, rows=(0,)),
    "dct3": Basis(False, 0.5, 0.0, 0, columns=(0,)),
    "dct4": Basis(False, 0.5, 0.5, 0),
    "dst1": Basis(True, 1.0, 1.0, 1),
    "dst2": Basis(True, 1.0, 0.5, 0, rows=(-1,)),
    "dst3": Basis(True, 0.5, 1.0, 0, columns=(-1,)),
    "dst4": Basis(True, 0.5, 0.5, 0),
}
#: The kind that undoes each kind: 2 and 3 undo each other, 1 and 4 themselves.
INVERSE = {kind: kind[:3] + {"1": "1", "2": "3", "3": "2", "4": "4"}[kind[3]] for kind in BASES}


def weights(kind: str, n: int, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """(row, column) weights w, u with M = w_k · trig · u_n for a norm; float64 of length n each."""
    basis = BASES[kind]
    row, column = np.ones(n), basis.input_weights(n)
    if norm == "ortho":
        column = np.where(column == 1.0, math.sqrt(0.5), 1.0)
        row[list(basis.rows)] = math.sqrt(0.5)
        row *= math.sqrt(2.0 / basis.period(n))
    elif norm == "inverse":
        row /= 2.0 * basis.period(n)
    return row, column


@lru_cache(maxsize=64)
def matrix(kind: str, n: int, norm: str) -> np.ndarray:
    """The n × n matrix of a cosine or sine transform, read-only float64.

    `norm` is "ortho", "none" (scipy's unscaled forward) or "inverse" (scipy's 1/(2D) backward).
    """
    basis = BASES[kind]
    k, m = np.arange(n)[:, None], np.arange(n)[None, :]
    # Reduce the angle modulo the period in integers first: exact for any n, where a product of
    # large floats would lose the digits that matter.
    numerator = (2 * k + round(2 * basis.a)) * (2 * m + round(2 * basis.b))
    angle = (numerator % (8 * basis.period(n))) * (math.pi / (4 * basis.period(n)))
    row, column = weights(kind, n, norm)
    result = row[:, None] * (np.sin(angle) if basis.sine else np.cos(angle)) * column[None, :]
    result.setflags(write=False)
    return result
