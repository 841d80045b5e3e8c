"""`orthowatt bench kernels`: every transform beside a copy of the same bytes and its peers."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch

from ..transforms import cpu, functional
from . import machine
from .cases import Case, Entry, cpu_cases, gpu_cases, peer_bar
from .peers import peers_of
from .pool import reason
from .routes import launches
from .timing import Call, Timing, captured, interleaved, rotating

#: On a GPU the tensors of a case rotate through at least so many bytes, past every cache.
ROTATED_BYTES = 512 * 2**20
#: A launch that moves less ends within 40 µs at 3.35 TB/s, where what the host does for it may
#: show: such a call is also timed as a CUDA graph, which the host launches once for many.
GRAPH_BYTES = 128 * 2**20
#: Calls in one CUDA graph, at least.
GRAPH_CALLS = 20


@dataclass(frozen=True)
class Row:
    """One measured call: `ratio` is its time over that of the copy, `times_ours` over ours, both to
    be compared with their bars: at most, and for a peer at least. `gb_per_second` counts the tensor
    read once and the result written once. None where there was an `error`."""

    case: str
    kind: str
    shape: tuple[int, ...]
    layout: str
    dtype: str
    name: str
    milliseconds: float | None
    low: float | None
    high: float | None
    rounds: int | None
    gb_per_second: float | None
    ratio: float | None
    bar: float | None
    times_ours: float | None
    peer_bar: float | None
    max_error: float | None
    backend: str | None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-ready values."""
        return asdict(self)

    def verdict(self) -> str:
        """Whether the row holds its bar, in a few signs; empty where it has none."""
        if self.error is not None:
            return f"failed: {self.error}"
        if self.bar is not None and self.ratio is not None:
            return f"{'≤' if self.ratio <= self.bar else 'over'} {self.bar:g}"
        if self.peer_bar is not None and self.times_ours is not None:
            held = "≥" if self.times_ours >= self.peer_bar else "under"
            return f"{self.times_ours:.2f} × ours {held} {self.peer_bar:g}"
        return ""


def entries(
    device: torch.device, mebibytes: float | None, dtypes: tuple[torch.dtype, ...], batch: int = 64
) -> Iterator[Entry]:
    """The cases of a device, most valuable first."""
    if device.type == "cuda":
        return gpu_cases(dtypes, batch)
    size = mebibytes if mebibytes is not None else 4 * (machine.cache_bytes() or 2**25) / 2**20
    return cpu_cases(size, dtypes)


def run(
    *,
    mebibytes: float | None = None,
    dtypes: tuple[torch.dtype, ...] = (torch.float32,),
    seconds: float = 2.0,
    device: torch.device | None = None,
    only: str = "",
    progress: Callable[[Row], None] | None = None,
    cases: Iterable[Entry] | None = None,
    deadline: float = math.inf,
) -> list[Row]:
    """Measure every case; `mebibytes` a tensor on a CPU, by default four times the last-level
    cache (128 MiB where its size is not known).

    `only` keeps the cases whose name contains it; `cases` replaces the device's own list; none is
    begun after `deadline` on `time.monotonic()`.
    """
    device = device or torch.device("cpu")
    rows = []
    for name, bar, case in cases or entries(device, mebibytes, dtypes):
        if only not in name:
            continue
        if time.monotonic() > deadline:
            break
        for row in _measured(name, bar, case, device, seconds):
            rows.append(row)
            if progress:
                progress(row)
    return rows


def _measured(
    name: str, bar: float | None, case: Case, device: torch.device, seconds: float
) -> list[Row]:
    """The rows of one case; an error costs this case alone."""
    try:
        return measure(name, bar, case, device, seconds)
    except Exception as error:  # a lack of memory, the compiler's, a peer's
        why = reason(error)
    if device.type == "cuda":
        with contextlib.suppress(RuntimeError):  # where CUDA itself is broken, every case says so
            torch.cuda.empty_cache()
    return [_failed(name, case, "orthowatt", bar, why)]


def measure(
    name: str, bar: float | None, case: Case, device: torch.device, seconds: float
) -> list[Row]:
    """Ours, the copies and every peer on one case, interleaved, all into given outputs."""
    tensors = _tensors(case, device)
    ours = call_of(case)
    x, out = tensors[0]
    # A copy of the same bytes: what is read and what is written may differ in size.
    half = case.bytes_moved // 2 // case.dtype.itemsize
    flat = [(a.new_zeros(half), a.new_zeros(half)) for a, _ in tensors] if case.pad else tensors
    calls: dict[str, Call] = {
        "copy_": rotating([partial(b.copy_, a) for a, b in flat]),
        "orthowatt": rotating([partial(ours, a, out=b) for a, b in tensors]),
    }
    if device.type == "cpu" and cpu.library() is not None:
        calls["streaming copy"] = lambda: cpu.stream_copy(x, out)
    peers, errors = peers_of(case, tensors)
    error = relative_error(case, ours(x), x)
    found = interleaved(calls | peers, device=device, seconds=seconds)
    if device.type == "cuda" and short(case, device):
        try:
            graphed = {key: calls[key] for key in ("copy_", "orthowatt")}
            found |= _as_graphs(graphed, max(GRAPH_CALLS, len(tensors)), device, seconds)
        except Exception as problem:  # the times without a graph are worth their while
            errors["orthowatt (CUDA graph)"] = reason(problem)
    info = functional.backend_info(x, case.kind, case.dims)
    rows = [
        _row(name, case, call, timing, found, bar, error, f"{info.path}: {info.reason}")
        for call, timing in found.items()
    ]
    return rows + [_failed(name, case, call, None, why) for call, why in errors.items()]


def _tensors(case: Case, device: torch.device) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Inputs and outputs; on a GPU as many as it takes to leave every cache behind."""
    x = case.tensor(device)
    count = math.ceil(ROTATED_BYTES / case.bytes_moved) if device.type == "cuda" else 1
    inputs = [x, *(x.clone() for _ in range(count - 1))]
    return [(a, case.output(a)) for a in inputs]


def short(case: Case, device: torch.device) -> bool:
    """Whether each launch of a call moves so few bytes that the time of the host may show."""
    return case.bytes_moved < GRAPH_BYTES * launches(case, device)


def _as_graphs(
    calls: dict[str, Call], count: int, device: torch.device, seconds: float
) -> dict[str, Timing]:
    """Times of one call within graphs of `count` calls, past every cache as without."""
    graphs = {f"{name} (CUDA graph)": captured(call, count) for name, call in calls.items()}
    found = interleaved(graphs, device=device, seconds=seconds)
    return {
        name: Timing(t.seconds / count, t.low / count, t.high / count, t.rounds)
        for name, t in found.items()
    }


def call_of(case: Case) -> Callable[..., torch.Tensor]:
    """The public function of a case, of x and `out`."""
    if case.kind == "wht":
        return lambda x, out=None: functional.wht(x, case.dims, pad=case.pad, out=out)
    if case.kind == "hartley":
        return lambda x, out=None: functional.hartley(x, case.dims, out=out)
    function, kind = getattr(functional, case.kind[:3]), int(case.kind[3])
    return lambda x, out=None: function(x, case.dims, type=kind, out=out)


def relative_error(case: Case, y: torch.Tensor, x: torch.Tensor) -> float:
    """Relative error of the first image against fp64, so that a fast wrong result shows."""
    exact = call_of(case)(x[:1].double())
    return float((y[:1].double() - exact).norm() / exact.norm())


def _row(
    name: str, case: Case, call: str, timing: Timing, found: dict[str, Timing],
    bar: float | None, error: float, backend: str,
) -> Row:  # fmt: skip
    ours = call.startswith("orthowatt")
    graph = call.endswith("(CUDA graph)")
    copy = found["copy_ (CUDA graph)" if graph else "copy_"]
    peer = not ours and "copy" not in call
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
        gb_per_second=case.bytes_moved / timing.seconds / 1e9,
        ratio=timing.seconds / copy.seconds,
        bar=bar if ours else None,
        times_ours=timing.seconds / found["orthowatt"].seconds if peer else None,
        peer_bar=peer_bar(case) if call == "fast-hadamard-transform" else None,
        max_error=error if ours else None,
        backend=backend if ours else None,
    )


def _failed(name: str, case: Case, call: str, bar: float | None, error: str) -> Row:
    """A call that has no time, and why."""
    return Row(
        case=name,
        kind=case.kind,
        shape=case.shape,
        layout="channels_last" if case.channels_last else "contiguous",
        dtype=str(case.dtype).removeprefix("torch."),
        name=call,
        milliseconds=None,
        low=None,
        high=None,
        rounds=None,
        gb_per_second=None,
        ratio=None,
        bar=bar,
        times_ours=None,
        peer_bar=None,
        max_error=None,
        backend=None,
        error=error,
    )
