"""`orthowatt bench kernels`: every transform beside a copy of the same bytes and its peers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..transforms import cpu, functional
from . import machine
from .peers import Case, peers_of
from .timing import Timing, interleaved

#: Our bars on a CPU: the largest ratio to `copy_` that each case may have.
CPU_BARS = {
    "wht plane": {28: 2.4, 56: 2.4, 64: 1.6, 112: 2.4, 128: 1.6, 224: 3.0, 256: 3.0},
    "wht channels_last": {28: 3.0, 56: 3.0},
    "wht channels": {256: 2.0, 1024: 2.0},
    "dct2 plane": {28: 4.0, 56: 4.0, 64: 4.0, 112: 7.0},
    "dct3 plane": {28: 4.0, 56: 4.0, 64: 4.0, 112: 7.0},
    "hartley plane": {28: 4.0, 56: 4.0, 64: 4.0, 112: 7.0},
}


@dataclass(frozen=True)
class Row:
    """One measured call: `ratio` is its time over `copy_`'s, `gb_per_second` counts the tensor
    read once and written once."""

    case: str
    kind: str
    shape: tuple[int, ...]
    layout: str
    dtype: str
    name: str
    milliseconds: float
    low: float
    high: float
    rounds: int
    gb_per_second: float
    ratio: float
    bar: float | None
    max_error: float | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-ready values."""
        return asdict(self)


def cases(mebibytes: float, dtypes: tuple[torch.dtype, ...]) -> Iterator[tuple[str, int, Case]]:
    """(name of the bar, size, case): tensors of about `mebibytes`, channels as networks have."""
    for dtype in dtypes:
        elements = mebibytes * 2**20 / torch.empty(0, dtype=dtype).element_size()
        for name, sizes in CPU_BARS.items():
            kind, layout = name.split()
            for n in sizes:
                if layout == "channels":
                    for channels_last in (False, True):
                        shape = (_batch(elements, n * 28 * 28), n, 28, 28)
                        yield name, n, Case(kind, shape, (1 - 4,), channels_last, dtype)
                else:
                    channels = 64 if n >= 112 else 256
                    shape = (_batch(elements, channels * n * n), channels, n, n)
                    last = layout == "channels_last"
                    yield name, n, Case(kind, shape, (-2, -1), last, dtype)


def _batch(elements: float, each: int) -> int:
    return max(1, math.ceil(elements / each))


def run(
    *,
    mebibytes: float | None = None,
    dtypes: tuple[torch.dtype, ...] = (torch.float32,),
    seconds: float = 2.0,
    device: torch.device | None = None,
    only: str = "",
    progress: Callable[[Row], None] | None = None,
) -> list[Row]:
    """Measure every case; `mebibytes` a tensor, by default four times the last-level cache
    (128 MiB where its size is not known).

    `only` keeps the cases whose name contains it.
    """
    device = device or torch.device("cpu")
    size = mebibytes if mebibytes is not None else 4 * (machine.cache_bytes() or 2**25) / 2**20
    rows = []
    for name, n, case in cases(size, dtypes):
        if only in f"{name} {n}":
            for row in measure(name, n, case, device, seconds):
                rows.append(row)
                if progress:
                    progress(row)
    return rows


def measure(name: str, n: int, case: Case, device: torch.device, seconds: float) -> list[Row]:
    """Ours, the copies and every peer on one case, interleaved, all into given outputs."""
    x = case.tensor(device)
    out, other = torch.empty_like(x), torch.empty_like(x)
    ours = _ours(case)
    calls: dict[str, Callable[[], object]] = {
        "copy_": lambda: out.copy_(x),
        "orthowatt": lambda: ours(x, out=out),
    }
    if device.type == "cpu" and cpu.library() is not None:
        calls["streaming copy"] = lambda: cpu.stream_copy(x, out)
    calls |= peers_of(case, x, other)
    error = _error(case, ours(x), x)
    found = interleaved(calls, device=device, seconds=seconds)
    bar = CPU_BARS[name][n] if device.type == "cpu" and case.dtype == torch.float32 else None
    return [
        _row(f"{name} {n}", case, call, timing, found["copy_"], x, bar, error)
        for call, timing in found.items()
    ]


def _ours(case: Case) -> Callable[..., torch.Tensor]:
    if case.kind in ("wht", "hartley"):
        function = getattr(functional, case.kind)
        return lambda x, out=None: function(x, case.dims, out=out)
    kind = int(case.kind[3])
    return lambda x, out=None: functional.dct(x, case.dims, type=kind, out=out)


def _error(case: Case, y: torch.Tensor, x: torch.Tensor) -> float:
    """Relative error of the first image against fp64, so that a fast wrong result shows."""
    exact = _ours(case)(x[:1].double())
    return float((y[:1].double() - exact).norm() / exact.norm())


def _row(
    name: str, case: Case, call: str, timing: Timing, copy: Timing, x: torch.Tensor,
    bar: float | None, error: float,
) -> Row:  # fmt: skip
    ours = call == "orthowatt"
    return Row(
        case=name,
        kind=case.kind,
        shape=case.shape,
        layout="channels_last" if case.channels_last else "contiguous",
        dtype=str(case.dtype).removeprefix("torch."),
        name=call,
        milliseconds=timing.seconds * 1e3,
        low=timing.low * 1e3,
        high=timing.high * 1e3,
        rounds=timing.rounds,
        gb_per_second=2 * x.numel() * x.element_size() / timing.seconds / 1e9,
        ratio=timing.seconds / copy.seconds,
        bar=bar if ours else None,
        max_error=error if ours else None,
    )
