"""What `orthowatt bench kernels` measures, in which order, and which bars it holds itself to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..transforms import hadamard

#: Our bars on a CPU: the largest ratio to `copy_` that each case may have in fp32.
CPU_BARS = {
    "wht plane": {28: 2.4, 56: 2.4, 64: 1.6, 112: 2.4, 128: 1.6, 224: 3.0, 256: 3.0},
    "wht channels_last": {28: 3.0, 56: 3.0},
    "wht channels": {256: 2.0, 1024: 2.0},
    "dct2 plane": {28: 4.0, 56: 4.0, 64: 4.0, 112: 7.0},
    "dct3 plane": {28: 4.0, 56: 4.0, 64: 4.0, 112: 7.0},
    "hartley plane": {28: 4.0, 56: 4.0, 64: 4.0, 112: 7.0},
}
#: Size and channels of ResNet-50's maps, and of two powers of two.
MAPS = ((56, 256), (28, 512), (14, 1024), (7, 2048), (112, 64), (64, 256), (128, 64), (224, 3))
#: Transforms on a GPU, most valuable first: kind and dtype.
GPU_ORDER = (
    ("wht", torch.bfloat16),
    ("wht", torch.float32),
    ("dct2", torch.bfloat16),
    ("hartley", torch.bfloat16),
    ("dct2", torch.float32),
    ("dst2", torch.bfloat16),
    ("dct3", torch.bfloat16),
    ("hartley", torch.float32),
    ("dst2", torch.float32),
    ("dct3", torch.float32),
)


@dataclass(frozen=True)
class Case:
    """One row of the table: a transform, a tensor and the dims that it works on."""

    kind: str  # "wht", "dct2", "dct3", "dst2", "dst3", "hartley"
    shape: tuple[int, ...]
    dims: tuple[int, ...]
    channels_last: bool
    dtype: torch.dtype
    pad: str | None = None

    def tensor(self, device: torch.device) -> torch.Tensor:
        """A tensor of the case's layout with seeded normal values."""
        generator = torch.Generator(device).manual_seed(0)
        x = torch.randn(self.shape, generator=generator, device=device).to(self.dtype)
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last else x

    def output(self, x: torch.Tensor) -> torch.Tensor:
        """An empty tensor for the result of x."""
        if self.shape == self.result_shape:
            return torch.empty_like(x)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return torch.empty(
            self.result_shape, dtype=self.dtype, device=x.device, memory_format=layout
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """The transformed sizes."""
        return tuple(self.shape[dim] for dim in self.dims)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """The result's shape: larger where the case pads and keeps."""
        shape = list(self.shape)
        if self.pad == "keep":
            for dim in self.dims:
                shape[dim] = hadamard.padded_size(shape[dim])
        return tuple(shape)

    @property
    def bytes_moved(self) -> int:
        """The input read once and the result written once."""
        return (math.prod(self.shape) + math.prod(self.result_shape)) * self.dtype.itemsize


Entry = tuple[str, float | None, Case]  # label, bar


def cpu_cases(mebibytes: float, dtypes: tuple[torch.dtype, ...]) -> Iterator[Entry]:
    """Tensors of about `mebibytes`, channels as networks have."""
    for dtype in dtypes:
        elements = mebibytes * 2**20 / dtype.itemsize
        for name, bars in CPU_BARS.items():
            kind, layout = name.split()
            for n, bar in bars.items():
                bar = bar if dtype == torch.float32 else None
                if layout == "channels":
                    for channels_last in (False, True):
                        shape = (_batch(elements, n * 28 * 28), n, 28, 28)
                        yield f"{name} {n}", bar, Case(kind, shape, (1 - 4,), channels_last, dtype)
                else:
                    channels = 64 if n >= 112 else 256
                    shape = (_batch(elements, channels * n * n), channels, n, n)
                    last = layout == "channels_last"
                    yield f"{name} {n}", bar, Case(kind, shape, (-2, -1), last, dtype)


def _batch(elements: float, each: int) -> int:
    return max(1, math.ceil(elements / each))


def gpu_cases(
    dtypes: tuple[torch.dtype, ...],
    batch: int = 64,
    order: Sequence[tuple[str, torch.dtype]] = GPU_ORDER,
    lines: bool = True,
) -> Iterator[Entry]:
    """The maps of ResNet-50 and two powers of two, both layouts; then, with `lines`, one axis over
    channels."""
    half = {torch.float16, torch.bfloat16}  # one place in the order serves both
    wanted = [(kind, d) for kind, own in order for d in dtypes if d == own or {d, own} == half]
    for kind, dtype in wanted:
        for n, channels in MAPS:
            if kind == "wht" and n == 7:
                continue  # no order is near: 7² is the cosine transform's
            pad = "keep" if kind == "wht" and not hadamard.is_order(n) else None
            for last in (False, True):
                case = Case(kind, (batch, channels, n, n), (-2, -1), last, dtype, pad)
                layout = "channels_last" if last else "plane"
                yield f"{kind} {layout} {n}", gpu_bar(kind, n, dtype), case
    for dtype in dtypes if lines else ():
        for n in (256, 1024):
            for last in (False, True):
                case = Case("wht", (batch, n, 28, 28), (-3,), last, dtype)
                yield f"wht channels {n}", None, case


def gpu_bar(kind: str, n: int, dtype: torch.dtype) -> float | None:
    """The largest ratio to a copy of the same bytes that a plane of size n may have on an H100.

    >>> gpu_bar("wht", 224, torch.float32), gpu_bar("dct2", 56, torch.bfloat16)
    (1.8, 1.3)
    """
    if dtype == torch.float64:
        return None
    narrow = dtype != torch.float32
    if kind == "wht":
        return 1.15 if narrow else 1.8 if n == 224 else 1.25
    if not narrow:
        return 1.6 if n <= 56 else 2.5
    return 1.3 if n <= 56 else 2.0 if n <= 128 else 3.0


def peer_bar(case: Case) -> float | None:
    """How many times ours the call of `fast_hadamard_transform` must take at least on an H100.

    1 where one call of it does the plane, 3 where it takes a route of several.

    >>> peer_bar(Case("wht", (64, 256, 64, 64), (-2, -1), False, torch.bfloat16))
    1.0
    >>> peer_bar(Case("wht", (64, 256, 56, 56), (-2, -1), True, torch.bfloat16))
    3.0
    """
    if case.kind != "wht" or case.dims != (-2, -1) or case.pad:
        return None
    if case.channels_last:
        return 3.0
    n = case.shape[-1]
    return 3.0 if n in (28, 56, 112) else 1.0 if n in (64, 128) else None
