"""Values of the very cases that are timed, by several processes, for each kernel is compiled once.

Compiling is what takes the time, and what one process compiled the others find in Triton's cache:
the timing that follows begins at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import torch

from ..transforms import functional
from .cases import Case, Entry
from .checks import healthy
from .kernels import call_of
from .pool import outcomes
from .values import Check, compare, failed


def check(name: str, case: Case, device: torch.device) -> Check:
    """One case against fp64, and its second launch, into a given tensor, against the first."""
    name = _name(name, case)
    call, x = call_of(case), case.tensor(device)
    y = call(x)
    again = case.output(x).fill_(float("nan"))
    call(x, out=again)
    if not torch.equal(again, y):
        return Check(name, False, None, None, "the second call gives other bits than the first")
    found = compare(name, y, call(x.double()))
    path = functional.backend_info(x, case.kind, case.dims).path
    return Check(name, found.passed, found.figure, found.limit, f"{found.detail}; {path}")


def run(
    entries: Iterable[Entry],
    device: torch.device,
    *,
    workers: int = 0,
    progress: Callable[[Check], None] | None = None,
    deadline: float = math.inf,
) -> list[Check]:
    """Check every case until `deadline` on `time.monotonic()`; 0 workers: in this process."""
    cases = [(name, case) for name, _, case in entries]
    found: list[Check] = []
    for one in outcomes(
        partial(_work, device), cases, workers=workers, deadline=deadline, healthy=healthy
    ):
        name, case = cases[one.index]
        check = one.found if one.error is None else failed(_name(name, case), one.error)
        found.append(check)
        if progress:
            progress(check)
    return found


def _work(device: torch.device, job: tuple[str, Case]) -> Check:
    found = check(*job, device)
    if device.type == "cuda":
        torch.cuda.empty_cache()  # other processes need room as well
    return found


def _name(name: str, case: Case) -> str:
    return f"{name} {str(case.dtype).removeprefix('torch.')} as timed"
