"""The Walsh-Hadamard layer by plain matrix products, to be measured against the fast one."""

from __future__ import annotations

from functools import lru_cache

import torch

from ..errors import InputError
from ..transforms.hadamard import hadamard
from ..transforms.ops import is_plain
from .transform import WHT2d


class DenseWHT2d(WHT2d):
    """`WHT2d` as x·H along each axis: n multiplications an element and axis, no butterflies.

    The same matrices, pads and shapes as `WHT2d`, so results differ by rounding alone; products
    run in the dtype that autocast gives them. Gradients, and `torch.compile`, are torch's own.

    >>> x = torch.rand(2, 3, 28, 12)
    >>> bool(torch.allclose(DenseWHT2d()(x), WHT2d()(x), atol=1e-5))
    True
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        y = x
        for dim, order in zip(self.dims, self.padded(x.shape[-3:]), strict=True):
            n = x.shape[dim]
            if order != n and self.pad is None:
                raise InputError(
                    f"DenseWHT2d: no Hadamard matrix of order {n} is known here; give pad='keep' "
                    "or pad='crop'"
                )
            m = order if self.pad == "keep" else n
            matrix = _matrix_for(x, order, self.norm)[:n, :m]
            y = (y.movedim(dim, -1) @ matrix).movedim(-1, dim)
        return y.to(x.dtype)


def _matrix_for(x: torch.Tensor, order: int, norm: str | None) -> torch.Tensor:
    if torch.compiler.is_compiling():
        return _constant(order, norm, x.dtype, x.device)
    # what a dispatch mode makes (a fake tensor, while memory is planned) must not be kept
    make = _matrix if is_plain(x) else _matrix.__wrapped__
    return make(order, norm, x.dtype, x.device)


@torch.compiler.assume_constant_result
def _constant(
    order: int, norm: str | None, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    return _matrix(order, norm, dtype, device)


@lru_cache(maxsize=64)
def _matrix(order: int, norm: str | None, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    with torch.inference_mode(False):  # a cached tensor must serve calls of both modes
        matrix = hadamard(order, dtype=torch.float64)
        return (matrix if norm is None else matrix / order**0.5).to(device, dtype)
