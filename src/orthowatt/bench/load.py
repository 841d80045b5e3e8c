"""Work that draws power in a known pattern: products of matrices on a GPU."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable
from typing import Any, Protocol

from ..errors import OrthowattError

#: Work is queued in such pieces, the next before the last is done: the queue never runs dry.
_PIECE_SECONDS = 0.25


class Load(Protocol):
    """A device under a load that can be switched on and off; a test may pass one of its own."""

    def start(self) -> str:
        """Make the device ready, as a program does; says what the load is."""
        ...

    def launch(self, seconds: float) -> None:
        """Queue constant work of about so many seconds and return at once."""
        ...

    def wait(self, left: float = 0.0) -> None:
        """Return when at most `left` seconds of queued work are left."""
        ...


class MatrixProducts:
    """Square bf16 products on a CUDA device, each a few milliseconds of full load."""

    def __init__(self, size: int = 8192, device: int = 0) -> None:
        self.size = size
        self.device = device
        self._product: Callable[[], object] | None = None
        self._seconds = 0.0
        self._queue: collections.deque[tuple[Any, float]] = collections.deque()

    def start(self) -> str:
        """Start CUDA and time a product after a warm-up."""
        import torch

        if not torch.cuda.is_available():
            raise OrthowattError(
                "the driver shows a GPU but torch cannot use it; install a torch with CUDA"
            )
        device = torch.device("cuda", self.device)
        generator = torch.Generator(device).manual_seed(0)
        shape = (self.size, self.size)
        left, right = (
            torch.randn(shape, generator=generator, device=device, dtype=torch.bfloat16)
            for _ in range(2)
        )
        result = torch.empty_like(left)
        self._product = lambda: torch.mm(left, right, out=result)
        self._torch = torch
        for count in (3, 20):  # the first ones choose the algorithm
            began = time.monotonic()
            for _ in range(count):
                self._product()
            self.wait()
            self._seconds = (time.monotonic() - began) / count
        return f"bf16 products of {self.size} × {self.size} ({self._seconds * 1e3:.2f} ms each)"

    def launch(self, seconds: float) -> None:
        """Queue products for about so many seconds, at least one."""
        assert self._product is not None
        count = max(1, round(seconds / self._seconds))
        for _ in range(count):
            self._product()
        done = self._torch.cuda.Event()
        done.record(self._torch.cuda.current_stream(self.device))
        self._queue.append((done, count * self._seconds))

    def wait(self, left: float = 0.0) -> None:
        """Wait for the oldest pieces; with nothing left, synchronise the device."""
        # a piece is a whole number of products, so up to one longer than was asked for
        while self._queue and sum(s for _, s in self._queue) > left + self._seconds:
            self._queue.popleft()[0].synchronize()
        if not left:
            self._queue.clear()
            self._torch.cuda.synchronize(self.device)


def hold(load: Load, seconds: float) -> None:
    """Full load for `seconds` from now; up to a piece more of it is queued at the end."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        piece = min(max(left, 0.01), _PIECE_SECONDS)
        load.launch(piece)
        load.wait(left=piece)


def square(load: Load, period: float, seconds: float) -> float:
    """Half of each `period` under load, half waiting, for `seconds`: the share of time loaded."""
    busy, began = 0.0, time.monotonic()
    turn = began
    while turn - began < seconds:
        load.launch(period / 2)
        load.wait()
        busy += time.monotonic() - turn
        turn = max(turn + period, time.monotonic())
        time.sleep(max(0.0, turn - time.monotonic()))
    return busy / (time.monotonic() - began)
