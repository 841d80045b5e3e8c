"""What a process that fails leaves for the first one of its run, which writes the record.

The others learn of it only from their broken connections: gloo says so at once, and every process
asks the others by gloo at each look at the loss. One that waits for it inside NCCL cannot look;
torchrun ends that one (SIGTERM, and SIGKILL 30 seconds later), and without torchrun NCCL's
watchdog, which is on unless TORCH_NCCL_ASYNC_ERROR_HANDLING=0 is set, does after 10 minutes. Such
a run has no record of its end, but the file, and the next start says what it says.
"""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from torch import distributed as dist

from ..errors import OrthowattError, TrainingError
from ..record import write_atomic

if TYPE_CHECKING:
    from .run import Run

FILES = "error-rank-*.txt"
#: Seconds that the first process waits for the file. It is written before the connections break,
#: but a shared disk may show it later.
PATIENCE = 5.0


class Left(TrainingError):
    """Another process of the run has ended, and with it the run; `status` is what the run is."""

    def __init__(self, reason: str, status: str = "interrupted") -> None:
        super().__init__(reason)
        self.status = status


def write(run: Run, reason: str, status: str) -> None:
    """Leave `error-rank-N.txt`: the reason, and the status that it gives to the run.

    The first process has the record for it, and before the run begins nothing is written. A disk
    that refuses costs the words alone.
    """
    if run.began and not run.ranks.first:
        number = run.ranks.rank
        text = f"process {number} of {run.ranks.size}: {reason}\n{status}\n"
        with contextlib.suppress(OSError):
            write_atomic(run.directory / f"error-rank-{number}.txt", text)


def read(run: Run) -> Left | None:
    """What the process said that failed first; None where none did, or the run has not begun."""
    if run.ranks.size == 1 or not run.began:
        return None
    found = sorted(run.directory.glob(FILES), key=lambda path: path.stat().st_mtime_ns)
    return _parsed(found[0]) if found else None


def take_back(directory: Path) -> list[str]:
    """Remove what an earlier start left; what it said."""
    said = []
    for path in sorted(directory.glob(FILES)):
        said.append(f"an earlier start was ended by {_parsed(path)}")
        path.unlink(missing_ok=True)
    return said


def of_another(run: Run, error: Exception) -> Left | None:
    """The words of a process whose end `error` tells of; None where it tells of nothing of it."""
    if run.ranks.size == 1 or not _is_broken_connection(error):
        return None
    until = time.monotonic() + (PATIENCE if run.ranks.first and run.began else 0.0)
    while (said := read(run)) is None and time.monotonic() < until:
        time.sleep(0.05)
    first = (str(error).splitlines() or [""])[0]
    return said or Left(f"another process has left without a word ({first})")


def _parsed(path: Path) -> Left:
    reason, _, status = path.read_text(encoding="utf-8").strip().rpartition("\n")
    return Left(reason, status)


def _is_broken_connection(error: Exception) -> bool:
    if isinstance(error, OrthowattError):
        return False
    # gloo's errors have no class of their own
    told = re.search(r"gloo|nccl|connection (closed|reset|refused)", str(error), re.IGNORECASE)
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and bool(told))
