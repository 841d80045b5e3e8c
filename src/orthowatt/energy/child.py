"""A program run in our place: signals sent to this process reach it, its exit code comes back."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import InputError

#: Signals that mean the program, not the meter around it; absent ones (Windows) are left out.
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
#: The terminal's keys send these to the program too, as long as it stands in our process group.
_FROM_TERMINAL = ("SIGINT", "SIGQUIT")
#: The program's end is noticed at once (SIGCHLD), or by this where another thread swallows it.
_POLL_SECONDS = 0.2


class Child:
    """While entered, signals to this process are kept for the program or passed on to it.

    The kernel tells who sent a signal (`sigtimedwait`, Linux): one from the terminal's keys has
    reached the program already, one from `kill` has not. Enter it before threads are started, so
    that none of them takes a signal away. Outside the main thread signals stay as they are.
    """

    def __init__(self) -> None:
        self._program: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._handlers: dict[int, Any] = {}
        self._mask: set[Any] | None = None

    def __enter__(self) -> Child:
        if threading.current_thread() is not threading.main_thread():
            return self
        for name in _FORWARDED:
            number = getattr(signal, name, None)
            # what the caller ignores (nohup) stays ignored, here and in the program
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, self._handle)
        if hasattr(signal, "sigtimedwait"):
            self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, self._awaited)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        for number, handler in self._handlers.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)

    @property
    def _awaited(self) -> set[int]:
        return {*self._handlers, signal.SIGCHLD}

    def run(self, words: list[str], cwd: str | Path | None, env: Mapping[str, str] | None) -> int:
        """Start the program and wait for its end: its exit code, −n when ended by signal n.

        Raises `InputError` when it cannot be started.
        """
        if self._mask is not None:
            self._take(0)
            # the program inherits the mask, and must not have its signals blocked
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
        try:
            program = subprocess.Popen(words, cwd=cwd, env=None if env is None else dict(env))
        except (OSError, ValueError) as error:
            detail = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"{words[0]!r} cannot be run ({detail}); check its spelling or give its path"
            ) from error
        finally:
            if self._mask is not None:
                signal.pthread_sigmask(signal.SIG_BLOCK, self._awaited)
        self._program = program
        for number in self._early:
            program.send_signal(number)
        while self._mask is not None and program.poll() is None:
            self._take(_POLL_SECONDS)
        return program.wait()

    def _take(self, seconds: float) -> None:
        """Wait for the next signal and pass it on, unless the program has it from the terminal."""
        found = signal.sigtimedwait(self._awaited, seconds)
        if found is None or found.si_signo == signal.SIGCHLD:
            return
        # a positive code means the kernel itself: here, the terminal's keys
        by_terminal = found.si_code > 0 and self._program is not None and self._in_our_group()
        self._pass_on(found.si_signo, by_terminal=by_terminal)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        # a thread older than this took the signal, or the system has no `sigtimedwait`: then the
        # sender is not known, and in the foreground the terminal is the likelier one
        self._pass_on(number, by_terminal=_in_foreground())

    def _pass_on(self, number: int, *, by_terminal: bool) -> None:
        if by_terminal and self._program and signal.Signals(number).name in _FROM_TERMINAL:
            return
        if self._program is None:
            self._early.append(number)
        else:
            self._program.send_signal(number)

    def _in_our_group(self) -> bool:
        assert self._program is not None
        try:
            return os.getpgid(self._program.pid) == os.getpgrp()
        except ProcessLookupError:
            return True  # it has ended


def _in_foreground() -> bool:
    """This process is in its terminal's foreground group, so the program got the signal too."""
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except OSError:
        return False
