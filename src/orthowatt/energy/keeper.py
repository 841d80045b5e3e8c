"""Reading wrapping counters in the background, often enough that no wrap goes unseen."""

from __future__ import annotations

import threading

from .rapl import RaplCounter


class Keeper:
    """Reads wrapping counters in a daemon thread; it holds the counters, not the meter."""

    def __init__(self, counters: list[RaplCounter]) -> None:
        self._counters = counters
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it runs or there is nothing to read."""
        with self._lock:
            if self._thread is None and self._counters and not self._stop.is_set():
                self._thread = threading.Thread(target=self._run, name="rapl", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """End the thread at its next waking; it cannot be started again."""
        self._stop.set()

    def _run(self) -> None:
        pause = min(counter.poll_seconds for counter in self._counters)
        while not self._stop.wait(pause):
            for counter in self._counters:
                counter.read()
