"""The two controls of every study: a layer that does nothing, and a fixed random rotation.

A transform is credited only with what it does better than these: the identity costs nothing, the
random orthogonal layer mixes as much as a transform and knows no frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from ..errors import InputError, InputTypeError
from ..transforms.reference import full_precision
from .layer import MapLayer

_PLANE = (-2, -1)


class Identity2d(MapLayer):
    """The map itself: the control for the act of insertion.

    >>> x = torch.rand(1, 2, 3, 3)
    >>> Identity2d()(x) is x
    True
    """

    kind = "identity"
    separable = True

    def __init__(self, dims: int | Sequence[int] = _PLANE):
        super().__init__(dims)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        return x

    def inverse(self, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """y itself."""
        return y

    def options(self) -> list[str]:
        return []


class RandomOrthogonal2d(MapLayer):
    """One fixed random orthogonal matrix for each axis of `dims`, rebuilt from `seed`.

    The matrix of an axis is drawn uniformly (Haar) for its size at the first call, in fp64, by
    `random_orthogonal`; it is neither parameter nor buffer, so a checkpoint needs and holds
    nothing of it. Same shape and dtype as the input.

    >>> x = torch.rand(1, 2, 7, 14)
    >>> y = RandomOrthogonal2d(seed=3)(x)
    >>> torch.equal(y, RandomOrthogonal2d(seed=3)(x)), bool(torch.allclose(y.norm(), x.norm()))
    (True, True)
    """

    kind = "random"
    separable = True

    def __init__(self, dims: int | Sequence[int] = _PLANE, *, seed: int = 0):
        super().__init__(dims)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise InputTypeError(
                f"RandomOrthogonal2d: seed is {seed!r}, but must be a whole number"
            )
        if not 0 <= seed < 2**63:
            raise InputError(f"RandomOrthogonal2d: seed is {seed}, but must lie in [0, 2**63)")
        self.seed = seed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.check_map(x)
        return _apply(x, self.seed, self.dims, False)

    def inverse(self, y: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
        """The maps whose rotation is y; `shape` (C, H, W) equals y's."""
        return _apply(y, self.seed, self.dims, True)

    def options(self) -> list[str]:
        return [f"seed={self.seed}"]


@lru_cache(maxsize=32)
def random_orthogonal(seed: int, dim: int, n: int) -> np.ndarray:
    """The n × n orthogonal matrix of one seed and axis (-3, -2, -1), read-only float64.

    The Q of a QR decomposition of normal numbers, its columns' signs set by R's diagonal, which
    makes it uniform over the orthogonal group (Mezzadri 2007). NumPy's PCG64 stream is the same on
    every machine; LAPACK may differ in the last digits of fp64.

    >>> q = random_orthogonal(0, -1, 5)
    >>> bool(np.allclose(q @ q.T, np.eye(5)))
    True
    """
    stream = np.random.SeedSequence([seed, -dim, n])
    normal = np.random.Generator(np.random.PCG64(stream)).standard_normal((n, n))
    q, r = np.linalg.qr(normal)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    q.setflags(write=False)
    return q


# An operator of its own, as the transforms are: compilers and exporters see one node instead of
# the matrix, which is made only when real data arrive.
_library = torch.library.Library("orthowatt", "FRAGMENT")
_library.define(
    "rotate(Tensor x, int seed, int[] dims, bool transpose) -> Tensor",
    tags=(torch.Tag.pt2_compliant_tag,),
)


def _apply(x: torch.Tensor, seed: int, dims: Sequence[int], transpose: bool) -> torch.Tensor:
    if not x.is_floating_point():
        raise InputTypeError(
            f"RandomOrthogonal2d needs bfloat16, float16, float32 or float64, but got {x.dtype}; "
            "convert it with x.float()"
        )
    return torch.ops.orthowatt.rotate(x, seed, list(dims), transpose)


def _rotate(x: torch.Tensor, seed: int, dims: Sequence[int], transpose: bool) -> torch.Tensor:
    result = torch.empty_like(x)
    if x.numel() == 0:
        return result
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    with full_precision(x.device):
        y = x.to(wide)
        for dim in dims:
            q = _tensor(seed, dim, x.shape[dim], wide, x.device)
            y = (y.movedim(dim, -1) @ (q if transpose else q.T)).movedim(-1, dim)
    return result.copy_(y)


@lru_cache(maxsize=32)
def _tensor(seed: int, dim: int, n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    with torch.inference_mode(False):  # a cached tensor must serve calls of both modes
        return torch.tensor(random_orthogonal(seed, dim, n), dtype=dtype, device=device)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    _, ctx.seed, ctx.dims, ctx.transpose = inputs


def _backward(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    return _apply(grad, ctx.seed, ctx.dims, not ctx.transpose), None, None, None


def _vmap(
    info: Any, in_dims: tuple[Any, ...], x: torch.Tensor, seed: int, dims: list[int],
    transpose: bool,
) -> tuple[torch.Tensor, int]:  # fmt: skip
    return _apply(x.movedim(in_dims[0], 0), seed, dims, transpose), 0


_library.impl("rotate", _rotate, "CompositeExplicitAutograd")
torch.library.register_fake(
    "orthowatt::rotate", lambda x, seed, dims, transpose: torch.empty_like(x), lib=_library
)
torch.library.register_autograd(
    "orthowatt::rotate", _backward, setup_context=_setup_context, lib=_library
)
torch.library.register_vmap("orthowatt::rotate", _vmap, lib=_library)
