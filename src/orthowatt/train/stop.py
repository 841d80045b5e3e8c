"""Signals that end a run before its last step: Ctrl-C and SIGTERM."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

#: Seconds in which more signals are one wish: a terminal and a launcher (study, torchrun, timeout)
#: each send theirs.
ONE_WISH = 1.0

#: Exit code of a process that SIGTERM ended, as shells count it.
TERMINATED = 128 + signal.SIGTERM

REASONS = {
    signal.SIGINT: "stopped by Ctrl-C; the same command goes on",
    signal.SIGTERM: "stopped by SIGTERM; the same command goes on",
}


class Signals:
    """Notes Ctrl-C and SIGTERM, so that a step can end and be written down first.

    `asked` is the signal that came. Before `hold` is set, and for one that is asked for again, the
    process is stopped at once, as if nobody had listened. Again means the same signal, a second
    or more after the first one: what a launcher sends beside a terminal's is the same wish.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self.hold = False
        self._asked_at = 0.0

    @property
    def reason(self) -> str:
        """The sentence for the record."""
        return "stopped; the same command goes on" if self.asked is None else REASONS[self.asked]

    def leave(self) -> None:
        """Raise what the signal stands for: KeyboardInterrupt, or SystemExit(143)."""
        if self.asked == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(TERMINATED)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.asked is None:
            self.asked, self._asked_at = signal.Signals(number), now
            if not self.hold:
                self.leave()
        elif number == self.asked and now - self._asked_at >= ONE_WISH:
            self.leave()


@contextlib.contextmanager
def listening() -> Iterator[Signals]:
    """Listen to both signals while the block runs; handlers that others set are left alone.

    Python delivers signals to the main thread alone: elsewhere nothing is heard.
    """
    signals = Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {n: usual[n] for n in usual if signal.getsignal(n) == usual[n]}
    for number in before:
        signal.signal(number, signals._note)
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
