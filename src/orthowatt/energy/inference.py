"""Energy of inferences: a loaded warm-up, then one window of at least ten seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, InputTypeError
from .cuda import synchronize
from .derived import Derived, joules_per_thousand_inferences
from .meter import EnergyMeter
from .quantity import Energy

#: Work is queued for so long at most before it is waited for, so that a window holds its own work.
_CHUNK_SECONDS = 0.25


@dataclass(frozen=True)
class Inference:
    """A measured stretch of inferences: how many in which time at which energy."""

    inferences: int
    seconds: float
    energy: Energy

    @property
    def per_second(self) -> float:
        """Inferences a second."""
        return self.inferences / self.seconds

    @property
    def per_thousand(self) -> Derived:
        """Joules per 1,000 inferences; unknown with the reason for a window below 10 s."""
        return joules_per_thousand_inferences(self.energy, self.inferences)

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready values."""
        return {
            "inferences": self.inferences,
            "seconds": self.seconds,
            "per_second": self.per_second,
            "energy": self.energy.to_dict(),
            "joules_per_1000_inferences": self.per_thousand.to_dict(),
        }


def measure_inference(
    call: Callable[[], Any],
    inferences: int = 1,
    *,
    meter: EnergyMeter | None = None,
    seconds: float = 10.0,
    warmup_seconds: float = 3.0,
) -> Inference:
    """Call `call`, which does `inferences` inferences, again and again under load and measure.

    The warm-up runs the same load, so that clocks, temperature and caches are those of the
    window. Without `meter` the GPUs that CUDA shows here are measured, else the CPU packages.
    Raises `InputError` for times below 0 or a count below 1.

    >>> found = measure_inference(lambda: sum(range(1000)), seconds=0.05, warmup_seconds=0.01)
    >>> found.inferences > 1, found.per_thousand.value is None
    (True, True)
    """
    if not callable(call):
        raise InputTypeError(f"call is {call!r}, but must be a function without arguments")
    if isinstance(inferences, bool) or not isinstance(inferences, int) or inferences < 1:
        raise InputError(f"inferences is {inferences!r}, but must be a whole number from 1")
    for name, value in (("seconds", seconds), ("warmup_seconds", warmup_seconds)):
        if not value >= 0:
            raise InputError(f"{name} is {value!r}, but must not be negative")
    calls, warm = _repeat(call, warmup_seconds, 1)
    chunk = max(1, int(calls * _CHUNK_SECONDS / warm)) if warm > 0 else 1
    own = EnergyMeter(scope="visible") if meter is None else None
    used = meter or own
    assert used is not None
    try:
        with used.window("inference") as window:
            calls, _ = _repeat(call, seconds, chunk)
    finally:
        if own is not None:
            own.close()
    return Inference(calls * inferences, window.seconds, window.energy)


def _repeat(call: Callable[[], Any], seconds: float, chunk: int) -> tuple[int, float]:
    """Call until the time is over, waiting for queued work after each chunk: calls and seconds."""
    began, calls = time.monotonic(), 0
    while True:
        for _ in range(chunk):
            call()
        synchronize()
        calls += chunk
        if (elapsed := time.monotonic() - began) >= seconds:
            return calls, elapsed
