"""Other programs' processes on a GPU, whose energy a device counter counts as well."""

from __future__ import annotations

import math
import os
from pathlib import Path

from .nvml import GpuDevice, Nvml

#: No line of parents is longer; a number used anew while it is followed could close a ring.
_LONGEST_CHAIN = 100


class ForeignProcesses:
    """Counts the processes on one GPU that are not this one, its children or theirs."""

    def __init__(self, nvml: Nvml, device: GpuDevice, proc: Path = Path("/proc")) -> None:
        self._nvml = nvml
        self._device = device
        self._proc = proc
        self._known: dict[int, bool] = {}

    def count(self) -> float:
        """How many compute there now; not-a-number where that cannot be told.

        The driver may not list them, or list them by numbers that a container does not know.
        """
        processes = self._nvml.optional("nvmlDeviceGetComputeRunningProcesses", self._device.handle)
        if processes is None:
            return math.nan
        pids = {process.pid for process in processes}
        if any(pid not in self._known for pid in pids):
            self._known = {pid: own for pid in pids if (own := self._own(pid)) is not None}
        if pids - set(self._known):
            return math.nan
        return float(sum(not self._known[pid] for pid in pids))

    def _own(self, pid: int) -> bool | None:
        """Whether `pid` is this process or descends from it; None where it cannot be looked up."""
        here = pid
        for _ in range(_LONGEST_CHAIN):
            if pid == os.getpid():
                return True
            if pid <= 1:
                break
            pid = self._parent(pid)
        return None if self._parent(here) < 0 else False

    def _parent(self, pid: int) -> int:
        try:
            # the command in parentheses may hold anything; the parent is the second word after it
            text = (self._proc / str(pid) / "stat").read_text()
            return int(text.rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return -1
