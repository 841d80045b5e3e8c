"""The matrices of the kernels on a device: 16-bit pieces, padded with zeros, made once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch

from .axis import Axis, SmallPlane, cos_sin


@lru_cache(maxsize=256)
def table(
    axis: Axis | SmallPlane, pieces: int, turned: bool, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """(set, piece, pad, pad): the axis' matrices, transposed where `turned`."""
    return _stored(axis.matrices(), pieces, axis.pad, turned, dtype, device)


@lru_cache(maxsize=64)
def joint(
    n: int, norm: str, side: str, pieces: int, pad: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """The two matrices of one side of the joint Hartley transform over two axes.

    cas(a + b) = cos a · cas b + sin a · cas(-b), so Y = C · X · (C + S) + S · X · (C - S). All are
    symmetric.
    """
    cos, sin = cos_sin(n, norm)
    both = [cos, sin] if side == "left" else [cos + sin, cos - sin]
    return _stored(both, pieces, pad, False, dtype, device)


def _stored(
    matrices: Sequence[np.ndarray], pieces: int, pad: int, turned: bool, dtype: torch.dtype,
    device: torch.device,
) -> torch.Tensor:  # fmt: skip
    with torch.inference_mode(False):  # a cached tensor must serve calls of both modes
        result = torch.zeros(len(matrices), pieces, pad, pad, dtype=dtype)
        for which, matrix in enumerate(matrices):
            left = torch.tensor(matrix.T if turned else matrix, dtype=torch.float64)
            rows, cols = left.shape
            for piece in range(pieces):
                result[which, piece, :rows, :cols] = left.to(dtype)
                left = left - left.to(dtype).double()
        return result.to(device)
