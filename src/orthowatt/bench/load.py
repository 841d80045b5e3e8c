"""Work that draws power in a known pattern: products of matrices on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from ..errors import OrthowattError

#: Work is queued for this long at a time; the queue's end must not run dry between two pieces.
_PIECE_SECONDS = 0.5


class Load(Protocol):
    """A device under a load that can be switched on and off; a test may pass one of its own."""

    def start(self) -> str:
        """Make the device ready, as a program does; says what the load is."""
        ...

    def launch(self, seconds: float) -> None:
        """Queue constant work of about so many seconds and return at once."""
        ...

    def wait(self) -> None:
        """Return when the queue is empty."""
        ...


class MatrixProducts:
    """Square bf16 products on a CUDA device, each a few milliseconds of full load."""

    def __init__(self, size: int = 8192, device: int = 0) -> None:
        self.size = size
        self.device = device
        self._product: Callable[[], object] | None = None
        self._seconds = 0.0

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
        for _ in range(max(1, round(seconds / self._seconds))):
            self._product()

    def wait(self) -> None:
        """Synchronise the device."""
        self._torch.cuda.synchronize(self.device)


def hold(load: Load, seconds: float) -> None:
    """Full load for `seconds`, ended with an empty queue."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0.002:
        load.launch(min(left, _PIECE_SECONDS))
        load.wait()


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
