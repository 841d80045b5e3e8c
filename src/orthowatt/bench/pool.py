"""Jobs worked off one by one or by several processes: an error, or a process that dies, costs one.

A pool of the standard library gives up all of its jobs when one process dies, and on a GPU a
process may have to: after an illegal access nothing runs in it any more.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What became of the job at `index`: what its work returned, or else the error."""

    index: int
    found: Any
    error: str | None


def outcomes(
    work: Callable[[Any], Any],
    jobs: Sequence[Any],
    *,
    workers: int = 0,
    deadline: float = math.inf,
    healthy: Callable[[], bool] | None = None,
) -> Iterator[Outcome]:
    """The outcome of every job that ends before `deadline` on `time.monotonic()`, as they end.

    0 workers: one after the other in this process, where a job that has begun is ended. See `Pool`
    for the others.

    >>> [(one.found, one.error) for one in outcomes(abs, [-2, "a"])]
    [(2, None), (None, "TypeError: bad operand type for abs(): 'str'")]
    """
    if workers:
        with Pool(work, min(workers, len(jobs)), healthy) as pool:
            yield from pool.run(jobs, deadline)
        return
    for index, job in enumerate(jobs):
        if time.monotonic() > deadline:
            return
        yield Outcome(index, *_answer(work, job))


class Pool(AbstractContextManager["Pool"]):
    """Spawned processes, for a fork would share this process' CUDA context.

    `work`, `healthy` and the jobs are pickled. A process in which `healthy()` is not true after a
    job is replaced, as is one that died.
    """

    def __init__(
        self,
        work: Callable[[Any], Any],
        workers: int,
        healthy: Callable[[], bool] | None = None,
    ):
        self._work, self._healthy, self._workers = work, healthy, workers
        self._idle: list[_Process] = []
        self._busy: dict[Connection, _Process] = {}

    def __exit__(self, *_: object) -> None:
        for one in (*self._idle, *self._busy.values()):
            one.end()
        self._idle, self._busy = [], {}

    def run(self, jobs: Sequence[Any], deadline: float = math.inf) -> Iterator[Outcome]:
        """The outcomes as they come; jobs that are under way at `deadline` have none."""
        waiting = deque(enumerate(jobs))
        while waiting or self._busy:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            while waiting and len(self._busy) < self._workers:
                self._give(*waiting.popleft())
            for pipe in wait(list(self._busy), None if left == math.inf else left):
                assert isinstance(pipe, Connection)
                yield self._taken(self._busy.pop(pipe))
        for pipe in list(self._busy):
            self._busy.pop(pipe).end()

    def _give(self, index: int, job: Any) -> None:
        one = self._idle.pop() if self._idle else self._start()
        one.index = index
        try:
            one.pipe.send(job)
        except OSError:  # it died while it had nothing to do
            one.end()
            one = self._start()
            one.index = index
            one.pipe.send(job)
        self._busy[one.pipe] = one

    def _taken(self, one: _Process) -> Outcome:
        try:
            found, error, last = one.pipe.recv()
        except (EOFError, OSError):
            one.process.join(5)
            code = one.process.exitcode
            one.end()
            return Outcome(one.index, None, f"the process ended in the midst of it ({code})")
        if last:
            one.end()
        else:
            self._idle.append(one)
        return Outcome(one.index, found, error)

    def _start(self) -> _Process:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self._work, self._healthy))
        process.start()
        theirs.close()
        return _Process(process, ours)


class _Process:
    """One process, the pipe to it and the job that it has."""

    def __init__(self, process: Any, pipe: Connection):
        self.process, self.pipe, self.index = process, pipe, -1

    def end(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(5)
        if self.process.exitcode is None:
            self.process.kill()


def _serve(
    pipe: Connection, work: Callable[[Any], Any], healthy: Callable[[], bool] | None
) -> None:
    """In the process: job after job, until the other end closes."""
    while True:
        try:
            job = pipe.recv()
        except (EOFError, OSError):
            return
        found, error = _answer(work, job)
        last = healthy is not None and not healthy()
        pipe.send((found, error, last))
        if last:
            return


def _answer(work: Callable[[Any], Any], job: Any) -> tuple[Any, str | None]:
    try:
        return work(job), None
    except Exception as error:  # of whatever kind: the others are worth their while
        return None, reason(error)


def reason(error: BaseException) -> str:
    """An error in one line of at most 300 signs."""
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:300]
