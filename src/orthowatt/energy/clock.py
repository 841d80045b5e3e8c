"""The meter's clock: monotonic time, waiting, and a place for work in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

#: Does what is due now and returns the seconds until it wants to be called again, None to end.
Task = Callable[[], float | None]


class Clock(Protocol):
    """Time in seconds from any origin that never goes back; a test may pass one of its own."""

    def now(self) -> float:
        """The time now."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def background(self, task: Task) -> Callable[[], None]:
        """Call `task` again and again beside the caller; the result ends that."""
        ...


class MonotonicClock:
    """The machine's monotonic clock; background work runs in a daemon thread."""

    def now(self) -> float:
        """Seconds since some moment before; not touched by changes of the wall clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait in the operating system, not in a loop."""
        time.sleep(seconds)

    def background(self, task: Task) -> Callable[[], None]:
        """Run `task` in a thread that dies with the process; the result ends it at its waking."""
        stop = threading.Event()

        def run() -> None:
            pause: float | None = 0.0
            while pause is not None and not stop.wait(pause):
                pause = task()

        threading.Thread(target=run, name="orthowatt-energy", daemon=True).start()
        return stop.set


#: The clock of every measurement outside tests.
CLOCK = MonotonicClock()
