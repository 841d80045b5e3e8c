"""The time of single training steps, without making the device wait for the host."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

#: First steps of a process or of an image size, left out: caches, page faults, compilation,
#: algorithm search.
WARMUP_STEPS = 5


class StepClock:
    """Seconds of each step, of its wait for the batch, and of the host's part in it.

    Host time on the CPU, CUDA events on a GPU. Call `start` before an epoch's first step and after
    whatever belongs to no step (a checkpoint), `ready` when a batch is there, `tick` after each
    step, and `collect` after the epoch, when the device is idle. `host` is the time that the host
    takes to issue a step; where the device's queue is full it contains waiting, so it is an upper
    bound. On the CPU host and device are one, and it stays empty.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.seconds: list[float] = []
        self.waits: list[float] = []
        self.host: list[float] = []
        self._steps: list[tuple[Any, Any, Any, float]] = []  # begin, batch ready, end, host seconds
        self._begin: Any = None
        self._ready: Any = None
        self._began = 0.0
        self.to_skip = WARMUP_STEPS  # of the next steps, how many are first ones

    def start(self) -> None:
        """The next step begins now."""
        self._begin = self._now()
        self._began = time.perf_counter()

    def warm_up(self) -> None:
        """The next steps have another shape: their first ones are left out too."""
        self.to_skip = WARMUP_STEPS

    def ready(self) -> None:
        """The step's batch has been issued."""
        self._ready = self._now()

    def tick(self) -> None:
        """A step has been issued, and the next one begins."""
        end, now = self._now(), time.perf_counter()
        self._steps.append((self._begin, self._ready, end, now - self._began))
        self._begin, self._began = end, now

    def collect(self) -> None:
        """Take the epoch's steps over, without the first ones of this process."""
        skipped = min(self.to_skip, len(self._steps))
        self.to_skip -= skipped
        for begin, ready, end, issued in self._steps[skipped:]:
            self.seconds.append(self._between(begin, end))
            self.waits.append(self._between(begin, ready))
            if self.on_gpu:
                self.host.append(issued)
        self._steps = []

    @property
    def median(self) -> float | None:
        """The median step in seconds; None where every step was a first one."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def mean(self) -> float | None:
        """The mean step in seconds; None where every step was a first one."""
        return statistics.fmean(self.seconds) if self.seconds else None

    def metrics(self) -> dict[str, float | None]:
        """Medians in seconds, and the part of all steps that was waiting for data."""
        whole = sum(self.seconds)
        return {
            "step_seconds": self.median,
            "data_wait_seconds": statistics.median(self.waits) if self.waits else None,
            "data_wait_share": sum(self.waits) / whole if whole else None,
            "host_seconds": statistics.median(self.host) if self.host else None,
        }

    def state(self) -> dict[str, list[float]]:
        """The times so far, for a checkpoint."""
        return {"seconds": self.seconds, "waits": self.waits, "host": self.host}

    def load(self, state: dict[str, list[float]]) -> None:
        """Take over what `state` gave."""
        self.seconds[:] = state.get("seconds", [])
        self.waits[:] = state.get("waits", [])
        self.host[:] = state.get("host", [])

    def _between(self, before: Any, after: Any) -> float:
        return before.elapsed_time(after) / 1e3 if self.on_gpu else after - before

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
