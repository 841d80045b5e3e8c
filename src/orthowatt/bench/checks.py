"""Every check of a device's transforms, as jobs that any process can run, one apart from another.

Run before anything is timed, on any device, for a fast wrong result is worth nothing. Nearly all
of the time goes to the compiler, so several processes share the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ..transforms import hadamard
from . import launches, values
from .pool import outcomes
from .values import Check, failed, guarded

KINDS = ("wht", "dct2", "dct3", "dst2", "dst3", "hartley")
SIZES = (7, 8, 12, 14, 16, 20, 28, 32, 56, 64, 96, 112, 128, 224, 256)
DTYPES = (torch.bfloat16, torch.float32, torch.float16)
_WORK: dict[str, Callable[..., Iterator[Check]]] = {
    "layouts": values.layouts,
    "not a number": values.not_a_number,
    "gradients": values.gradients,
    "operator": values.operator,
    "compiled": values.compiled,
    "plane": values.plane,
    "line": values.line,
    "elsewhere": launches.elsewhere,
    "huge": launches.huge,
    "direct": launches.direct,
}


@dataclass(frozen=True)
class Job:
    """One check, or a few that share their tensors: what, and the arguments after the device."""

    what: str
    arguments: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """What a failure of all of it is called."""
        words = (str(one).removeprefix("torch.") for one in self.arguments)
        return " ".join([self.what, *words])


def jobs(
    device: torch.device, *, sizes: Sequence[int] = SIZES, compiler: str = "inductor"
) -> list[Job]:
    """Every job: those that concern all sizes first, then small planes before large ones, in every
    dtype; `compiler` is torch.compile's backend."""
    found = [Job("layouts")]
    found += [Job("not a number", (n, last)) for n in (8, 14, 56) for last in (False, True)]
    for kind in KINDS:
        small, large = 28 if kind == "wht" else 7, min(56, max(sizes))
        found += [Job("gradients", (kind, n)) for n in sorted({small, large})]
    names = ("contiguous", "permuted", "channels_last")
    found += [Job("operator", (name, grad)) for name in names for grad in (False, True)]
    found += [Job("compiled", (kind, compiler)) for kind in ("wht", "dct2")]
    if device.type == "cuda":
        found += [Job("elsewhere", one) for one in ((7, "dct2"), (56, "wht"), (224, "wht"))]
        found += [Job("huge"), Job("direct")]
    found += [
        Job("line", (n, dim, dtype))
        for n in (28, 256, 1024, 2048) for dim in (-3, -1) for dtype in DTYPES[:2]
    ]  # fmt: skip
    found += [
        Job("plane", (kind, n, dtype, last))
        for n in sizes for kind in KINDS for dtype in DTYPES for last in (False, True)
        if kind != "wht" or hadamard.is_order(n)
    ]  # fmt: skip
    return found


def work(device: torch.device, job: Job) -> list[Check]:
    """The checks of one job; an error is one that failed."""
    found = list(guarded(job.name, _WORK[job.what](device, *job.arguments)))
    if device.type == "cuda" and healthy():
        torch.cuda.empty_cache()  # other processes need room as well
    return found


def healthy() -> bool:
    """Whether CUDA still works in this process: after an illegal access it never does again."""
    try:
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True


def run(
    device: torch.device,
    wanted: Sequence[Job] | None = None,
    *,
    workers: int = 0,
    progress: Callable[[Check], None] | None = None,
    deadline: float = math.inf,
) -> tuple[list[Check], list[Job]]:
    """The checks of the jobs (by default all), as they come, and the jobs that are left at
    `deadline` on `time.monotonic()`; 0 workers: in this process.

    >>> found, left = run(torch.device("cpu"), [Job("layouts"), Job("gradients", ("dct2", 7))])
    >>> [check.passed for check in found], left
    ([True, True, True, True, True, True], [])
    """
    wanted = jobs(device) if wanted is None else wanted
    taken: list[Check] = []
    left = dict(enumerate(wanted))
    for one in outcomes(
        partial(work, device), wanted, workers=workers, deadline=deadline, healthy=healthy
    ):
        job = left.pop(one.index)
        for check in one.found if one.error is None else [failed(job.name, one.error)]:
            taken.append(check)
            if progress:
                progress(check)
    return taken, list(left.values())
