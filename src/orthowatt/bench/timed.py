"""Values of the very cases that are timed, by several processes, for each kernel is compiled once.

Compiling is what takes the time, and what one process compiled the others find in Triton's cache:
the timing that follows begins at once.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import torch

from ..transforms import functional
from .cases import Case, Entry
from .kernels import call_of
from .values import Check, compare


def check(name: str, case: Case, device: torch.device) -> Check:
    """One case against fp64, and its second launch, into a given tensor, against the first."""
    name = f"{name} {str(case.dtype).removeprefix('torch.')} as timed"
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
    deadline: float = float("inf"),
) -> list[Check]:
    """Check every case until `deadline` on `time.monotonic()`; 0 workers: in this process."""
    found: list[Check] = []

    def note(one: Check) -> None:
        found.append(one)
        if progress:
            progress(one)

    cases = [(name, case) for name, _, case in entries]
    if not workers:
        for name, case in cases:
            if time.monotonic() > deadline:
                break
            note(check(name, case, device))
        return found
    context = multiprocessing.get_context("spawn")  # a fork would share this process' CUDA context
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = [(name, pool.submit(check, name, case, device)) for name, case in cases]
        for name, future in waiting:
            one = _result(name, future, deadline)
            if one is None:
                pool.shutdown(wait=False, cancel_futures=True)
                break
            note(one)
    return found


def _result(name: str, future: Future[Check], deadline: float) -> Check | None:
    """What a process found; None where time is up or the processes are gone."""
    try:
        return future.result(min(max(deadline - time.monotonic(), 0.0), 3600.0))
    except TimeoutError:
        return None
    except BrokenProcessPool:
        raise  # the caller writes down that the section failed
    except Exception as error:  # one case's; the others are worth checking
        return Check(name, False, None, None, f"{type(error).__name__}: {error}"[:300])
