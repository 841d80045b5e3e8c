"""The time of single training steps, without making the device wait for the host."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

#: First steps of a process, left out: caches, page faults, compilation, algorithm search.
WARMUP_STEPS = 5


class StepClock:
    """Seconds of each step: host time on the CPU, CUDA events on a GPU.

    Call `start` before an epoch's first step, `tick` after each step and `collect` after the
    epoch, when the device is idle.
    """

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.seconds: list[float] = []
        self._marks: list[Any] = []
        self._to_skip = WARMUP_STEPS

    def start(self) -> None:
        """The next step begins now."""
        self._marks = [self._now()]

    def tick(self) -> None:
        """A step has been issued."""
        self._marks.append(self._now())

    def collect(self) -> None:
        """Take the epoch's steps over, without the first ones of this process."""
        pairs = list(zip(self._marks, self._marks[1:], strict=False))
        skipped = min(self._to_skip, len(pairs))
        self._to_skip -= skipped
        for before, after in pairs[skipped:]:
            elapsed = before.elapsed_time(after) / 1e3 if self.on_gpu else after - before
            self.seconds.append(elapsed)
        self._marks = []

    @property
    def median(self) -> float | None:
        """The median step in seconds; None where every step was a first one."""
        return statistics.median(self.seconds) if self.seconds else None

    @property
    def mean(self) -> float | None:
        """The mean step in seconds; None where every step was a first one."""
        return statistics.fmean(self.seconds) if self.seconds else None

    def _now(self) -> Any:
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event
