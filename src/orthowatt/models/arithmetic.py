"""How many operations one transform layer takes on one map: dense, and by the fast algorithm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..nn import FFTMagnitude2d, FFTRealImag2d, Hartley2d, Identity2d, RandomOrthogonal2d, WHT2d
from ..nn.filter import TransformFilter2d
from ..nn.layer import MapLayer
from ..transforms.galois import prime_power
from ..transforms.hadamard import factors, padded_size


@dataclass(frozen=True)
class Operations:
    """Of one layer and one image: a dense product's MACs, a fast algorithm's real operations."""

    macs_dense: int = 0
    adds_fast: int = 0
    mults_fast: int = 0

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.macs_dense + other.macs_dense,
            self.adds_fast + other.adds_fast,
            self.mults_fast + other.mults_fast,
        )


def operations(layer: MapLayer, shape: Sequence[int]) -> Operations:
    """What `layer` takes on a map of (C, H, W) `shape`.

    Dense: every axis one product with its n × n matrix after padding (for the DFT's family with
    the real cas matrix). Fast: `wht_additions` for the WHT, for the others the counts of radix-2
    algorithms with log2 n taken as it is at other sizes, so there they are estimates; a random
    matrix has no fast form and counts as dense.

    >>> operations(WHT2d(order="pow2", pad="crop"), (256, 56, 56)).macs_dense
    134217728
    """
    if isinstance(layer, TransformFilter2d):
        there = operations(layer.transform, shape)
        scaled = math.prod(layer.transform.spectrum_shape(shape))
        return there + there + Operations(macs_dense=scaled, mults_fast=scaled)
    if isinstance(layer, Identity2d):
        return Operations()
    sizes = list(shape)
    if isinstance(layer, WHT2d):
        for dim in layer.dims:
            sizes[dim] = padded_size(sizes[dim], layer.order)
    elements = math.prod(sizes)
    dense, adds, mults = 0, 0.0, 0.0
    for dim in layer.dims:
        n = sizes[dim]
        line_adds, line_mults = _line(layer, n)
        dense += elements * n
        adds += elements // n * line_adds
        mults += elements // n * line_mults
    if isinstance(layer, (Hartley2d, FFTMagnitude2d, FFTRealImag2d)) and len(layer.dims) > 1:
        adds += 2 * elements  # from the product of 1-D transforms to the joint one
    if isinstance(layer, FFTMagnitude2d):
        adds, mults = adds + elements, mults + 2 * elements
    if isinstance(layer, FFTRealImag2d):
        adds += elements
    return Operations(dense, round(adds), round(mults))


def _line(layer: MapLayer, n: int) -> tuple[float, float]:
    """(additions, multiplications) of one line of n elements by the fast algorithm."""
    if isinstance(layer, WHT2d):
        return wht_additions(n), n if layer.norm else 0
    if isinstance(layer, RandomOrthogonal2d):
        return n * (n - 1), n * n
    log = math.log2(n)
    if layer.kind in ("dct", "dst"):
        # Lee (1984), "A new algorithm to compute the discrete cosine transform".
        return 1.5 * n * log - n + 1, 0.5 * n * log
    # Sorensen et al. (1987), "Real-valued fast Fourier transform algorithms": split radix.
    return max(1.5 * n * log - 2.5 * n + 4, 0), max(0.5 * n * log - 1.5 * n + 2, 0)


def wht_additions(n: int) -> int:
    """Additions of one WHT of n elements: butterflies over Sylvester's part, then the core H(m).

    A core by Paley II is [[C + I, C - I], [C - I, -C - I]] and takes two products with the
    conference matrix C; other cores count as dense.

    >>> wht_additions(64), wht_additions(28)
    (384, 392)
    """
    sylvester, m = factors(n)
    butterflies = n * (sylvester.bit_length() - 1)
    q = m // 2 - 1
    if m % 4 == 0 and q % 4 == 1 and prime_power(q) is not None:
        core = 4 * (q + 1) + 2 * (q + 1) * (q - 1)
    else:
        core = m * (m - 1)
    return butterflies + sylvester * core
