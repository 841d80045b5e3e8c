"""What runs beside open windows: samplers, wrapping counters, the journal, in one thread."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .clock import Clock

#: The thread may use this part of one core; above it, jobs that may be slowed are.
CPU_SHARE = 0.005
#: The thread outlives the last window by this, so that short windows do not start one each.
_LINGER_SECONDS = 5.0


@dataclass
class Job:
    """Work to be done every `period` seconds; `elastic` ones are slowed where they cost much."""

    work: Callable[[], object]
    period: float
    elastic: bool = True
    due: float = 0.0
    times: int = 0
    cpu_seconds: float = 0.0

    def run(self, now: float) -> None:
        """Do it, and set when it is due again."""
        began = time.thread_time()
        self.work()
        self.cpu_seconds += time.thread_time() - began
        self.times += 1
        if self.elastic and self.times >= 20:
            self.period = max(self.period, self.cpu_seconds / self.times / CPU_SHARE)
        # from the time it was due, so that the rate holds; a delay is not made up for
        self.due = max(self.due + self.period, now + self.period / 2)


class Keeper:
    """Does the jobs while at least one window is open; holds what they need, not the meter."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.jobs: list[Job] = []
        self.cpu_seconds = 0.0
        self.ran_seconds = 0.0
        # reentrant: the garbage collector or a signal may call in from within
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._end: Callable[[], None] | None = None
        self._holders = 0
        self._released = 0.0
        self._stopped = False
        self._began = 0.0

    def add(self, work: Callable[[], object], period: float, *, elastic: bool = True) -> Job:
        """Have `work` done every `period` seconds; it must not raise."""
        job = Job(work, period, elastic, self.clock.now())
        with self._lock:
            self.jobs.append(job)
            self._start()
        return job

    def remove(self, job: Job) -> None:
        """Have a job done no more."""
        with self._lock:
            self.jobs = [other for other in self.jobs if other is not job]

    def hold(self) -> None:
        """A window has opened: work until as many `release`."""
        with self._lock:
            self._holders += 1
            self._start()

    def release(self) -> None:
        """A window has closed."""
        with self._lock:
            self._holders = max(0, self._holders - 1)
            self._released = self.clock.now()

    def stop(self) -> None:
        """End at the next waking, for good."""
        if os.getpid() != self._process:
            return  # a forked child has no such thread, but perhaps its lock, held for ever
        with self._lock:
            self._stopped = True
            if self._end is not None:
                self._end()
                self._end = None

    def _start(self) -> None:
        if self._end is None and self._holders and self.jobs and not self._stopped:
            self._began = self.clock.now()
            for job in self.jobs:
                job.due = self._began
            self._end = self.clock.background(_Run(self))

    def idle(self, now: float) -> bool:
        """Nobody has needed it for a while, or it was stopped: the thread ends."""
        with self._lock:
            late = not self._holders and now - self._released > _LINGER_SECONDS
            if late:
                self._end = None
            return late or self._stopped


class _Run:
    """One life of the background thread."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._cpu_before = keeper.cpu_seconds
        self._ran_before = keeper.ran_seconds
        self._began = keeper.clock.now()
        self._cpu_began: float | None = None

    def __call__(self) -> float | None:
        """Do what is due; the seconds until the next is, None to end."""
        keeper = self._keeper
        if self._cpu_began is None:
            self._cpu_began = time.thread_time()
        now = keeper.clock.now()
        if keeper.idle(now):
            return None
        for job in list(keeper.jobs):
            if job.due <= now:
                job.run(now)
        after = keeper.clock.now()
        keeper.cpu_seconds = self._cpu_before + time.thread_time() - self._cpu_began
        keeper.ran_seconds = self._ran_before + after - self._began
        next_due = min((job.due for job in keeper.jobs), default=after + 1.0)
        return max(0.0, next_due - after)
