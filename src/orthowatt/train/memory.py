"""The peak memory of a stretch of work, where it can be measured."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

#: Bytes by name; None: not measured.
Peaks = dict[str, float | None]

_ON_GPU = ("peak_allocated_bytes", "peak_reserved_bytes", "peak_driver_bytes")


class PeakMemory:
    """Watches peak memory from its making until `read`.

    The resident peak of the process is exact where Linux lets the mark be reset, or where the
    process reached a new lifetime peak; otherwise an earlier peak hides it and it is unknown.

    >>> memory = PeakMemory(torch.device("cpu"))
    >>> sorted(memory.read())
    ['peak_allocated_bytes', 'peak_driver_bytes', 'peak_reserved_bytes', 'peak_rss_bytes']
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._reset = _reset_resident_peak()
        self._before = _lifetime_peak()
        self._driver = 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def read(self) -> Peaks:
        """Bytes by name: resident (host); allocated, reserved and by the driver's word in use on
        the whole device, other programs included. None: not measured.

        The driver keeps no peak: its highest word at the calls of `read` is returned, and torch
        gives nothing back to it in between.
        """
        found: Peaks = dict.fromkeys(_ON_GPU)
        if self.device.type == "cuda":
            free, total = torch.cuda.mem_get_info(self.device)
            self._driver = max(self._driver, total - free)
            found = {
                "peak_allocated_bytes": torch.cuda.max_memory_allocated(self.device),
                "peak_reserved_bytes": torch.cuda.max_memory_reserved(self.device),
                "peak_driver_bytes": self._driver,
            }
        return {"peak_rss_bytes": self._resident(), **found}

    def _resident(self) -> int | None:
        if self._reset:
            return _status_bytes("VmHWM")
        now = _lifetime_peak()
        return now if now is not None and self._before is not None and now > self._before else None


def _reset_resident_peak() -> bool:
    """Ask Linux to forget the process's peak (proc(5), clear_refs); True if it did."""
    before = _status_bytes("VmHWM")
    if before is None:
        return False
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    # some sandboxes accept the write and do nothing: the peak must now be near what is in use
    peak, held = _status_bytes("VmHWM"), _status_bytes("VmRSS")
    return peak is not None and held is not None and (peak < before or peak <= held * 1.01)


def _status_bytes(field: str) -> int | None:
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return None


def _lifetime_peak() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def larger(first: Peaks | None, second: Peaks | None) -> Peaks:
    """The peaks of two stretches, or of two processes, together; unknown where either is."""
    if first is None or second is None:
        return dict.fromkeys((second if first is None else first) or {})
    together: Peaks = {}
    for name, value in second.items():
        other = first.get(name)
        together[name] = None if value is None or other is None else max(value, other)
    return together


def side_by_side(before: Sequence[Peaks | None], now: Sequence[Peaks | None]) -> list[Peaks | None]:
    """The peaks of each process in two pieces of a run; None where one is not known.

    Where the pieces had unlike numbers of processes nothing is known of any.

    >>> side_by_side([{"a": 2.0}, None], [{"a": 3.0}, {"a": 1.0}])
    [{'a': 3.0}, None]
    """
    if len(before) != len(now):
        return [None] * len(now)
    return [
        None if old is None or new is None else larger(old, new)
        for old, new in zip(before, now, strict=True)
    ]
