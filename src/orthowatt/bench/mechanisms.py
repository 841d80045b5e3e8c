"""`orthowatt bench mechanisms`: how the costs of transforms and of a convolution grow with size.

The paper's claimed mechanisms are speed (additions for multiplications), O(N log N), and work in
place without growth in memory. Each call here treats the same number of elements at every plane
size n, so its time an element must stay level (a convolution), grow like log n (a fast transform)
or like n (a dense product).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile

from ..energy import EnergyMeter
from ..transforms import cpu, functional
from ..transforms import hadamard as matrices
from .timing import interleaved

SIZES = (16, 32, 64, 128, 256, 512, 1024)
CHANNELS = 16
ELEMENTS = 2**24
#: An energy window shorter than this says little: counters tick ten times a second.
ENERGY_SECONDS = 2.0


@dataclass(frozen=True)
class Row:
    """One call at one plane size; `extra_bytes` beyond input and output, `joules` a call."""

    n: int
    name: str
    milliseconds: float
    nanoseconds: float  # an element
    extra_bytes: int | None
    joules: float | None
    joules_reason: str | None

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-ready values."""
        return asdict(self)


@dataclass(frozen=True)
class Slope:
    """The exponent p of time an element ∝ n^p, with its 95 % t interval over the sizes."""

    name: str
    exponent: float
    low: float
    high: float
    expected: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The slope as JSON-ready values."""
        return {**asdict(self), "fits": self.fits}

    @property
    def fits(self) -> list[str]:
        """The laws whose exponent over these sizes lies in the interval."""
        return [law for law, p in self.expected.items() if self.low <= p <= self.high]

    def describe(self) -> str:
        """One line: the exponent and the laws that it agrees with."""
        fits = ", ".join(self.fits) or "none of " + ", ".join(self.expected)
        return (
            f"{self.name}: time an element grows as n^{self.exponent:.2f} "
            f"[{self.low:.2f}, {self.high:.2f}]; agrees with {fits}"
        )


def run(
    *,
    sizes: tuple[int, ...] = SIZES,
    elements: int = ELEMENTS,
    seconds: float = 2.0,
    progress: Callable[[Row], None] | None = None,
) -> tuple[list[Row], list[Slope]]:
    """Measure every call at every size, then fit the exponents; on the CPU, in fp32."""
    rows = []
    with EnergyMeter() as meter:
        for n in sizes:
            for row in _measure(n, elements, seconds, meter):
                rows.append(row)
                if progress:
                    progress(row)
    names = list(dict.fromkeys(row.name for row in rows))
    return rows, [slope([row for row in rows if row.name == name]) for name in names]


def _calls(n: int, elements: int) -> tuple[torch.Tensor, dict[str, Callable[[], object]]]:
    batch = max(1, elements // (CHANNELS * n * n))
    generator = torch.Generator().manual_seed(n)
    x = torch.randn(batch, CHANNELS, n, n, generator=generator)
    out, scratch = torch.empty_like(x), x.clone()
    h = torch.tensor(matrices.matrix(n), dtype=torch.float32) / n**0.5
    kernel = torch.randn(CHANNELS, CHANNELS, 3, 3, generator=generator)
    calls: dict[str, Callable[[], object]] = {
        "dense WHT (H x H)": lambda: torch.matmul(torch.matmul(h, x), h, out=out),
        "fast WHT": lambda: functional.wht(x, out=out),
        "fast WHT, in place": lambda: functional.wht(scratch, out=scratch),
        "DCT": lambda: functional.dct(x, out=out),
        "FFT (rfft2)": lambda: torch.fft.rfft2(x, norm="ortho"),
        f"3×3 convolution, {CHANNELS} channels": lambda: F.conv2d(x, kernel, padding=1),
    }
    return x, calls


def _measure(n: int, elements: int, seconds: float, meter: EnergyMeter) -> list[Row]:
    x, calls = _calls(n, elements)
    with torch.no_grad():
        found = interleaved(calls, device=x.device, seconds=seconds)
        rows = []
        for name, call in calls.items():
            joules, reason = _joules(call, meter)
            own = 4 * x.numel() if name[:3] in ("FFT", "3×3") else 0  # results without an out=
            extra = allocated(call) - own + _scratch(name, x)
            each = found[name].seconds / x.numel() * 1e9
            rows.append(
                Row(n, name, found[name].seconds * 1e3, each, max(extra, 0), joules, reason)
            )
    return rows


def allocated(call: Callable[[], object]) -> int:
    """The peak of the bytes that torch's CPU allocator hands out during a call.

    >>> allocated(lambda: torch.empty(1000, dtype=torch.float64)) >= 8000
    True
    """
    with profile(
        activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as recorded:
        call()
    events: Any = recorded.profiler.kineto_results.events()  # type: ignore[union-attr]
    now = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            now += event.nbytes()
            peak = max(peak, now)
    return peak


def _scratch(name: str, x: torch.Tensor) -> int:
    """What our kernels keep outside torch's allocator."""
    kind = {"fast": "wht", "DCT": "dct2"}.get(name.split()[0])
    if kind is None or cpu.library() is None:
        return 0
    calls = cpu.steps(tuple(x.shape), x.stride(), False, kind, (-2, -1), "ortho", False)
    return 0 if calls is None else cpu.scratch_bytes(calls, x.dtype)


def _joules(call: Callable[[], object], meter: EnergyMeter) -> tuple[float | None, str | None]:
    """Joules of one call from a window of many, or None with the reason."""
    with meter.window("probe") as probe:
        call()
    if probe.energy.joules is None and probe.energy.method is None:
        return None, probe.energy.reason  # no sensor: a long window would not find one either
    count = 0
    with meter.window("call") as window:
        begin = time.monotonic()
        while time.monotonic() - begin < ENERGY_SECONDS:
            call()
            count += 1
    energy = window.energy
    return (None, energy.reason) if energy.joules is None else (energy.joules / count, None)


def slope(rows: list[Row]) -> Slope:
    """Least squares of log time an element on log n, with the interval of its exponent.

    >>> rows = [Row(n, "x", 1.0, 3.0 * n, 0, None, None) for n in (16, 32, 64)]
    >>> round(slope(rows).exponent, 6)
    1.0
    """
    from scipy import stats

    x = np.log([row.n for row in rows])
    found: Any = stats.linregress(x, np.log([row.nanoseconds for row in rows]))
    half = float(stats.t.ppf(0.975, len(rows) - 2)) * float(found.stderr)
    growth: Any = stats.linregress(x, np.log([math.log2(row.n) for row in rows]))
    expected = {"O(N)": 0.0, "O(N log N)": float(growth.slope), "O(N n), dense": 1.0}
    exponent = float(found.slope)
    return Slope(rows[0].name, exponent, exponent - half, exponent + half, expected)
