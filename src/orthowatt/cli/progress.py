"""How a study shows itself: a bar on a terminal, one plain line a run in a pipe."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ..record import RunRecord
from ..study.grid import Cell


class StudyProgress:
    """A `study.runner.Progress` that draws on a console; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = 0.0
        self._done = self._total = 0
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.quiet,
        )
        self._task = self._bar.add_task("study", total=None)

    def __enter__(self) -> StudyProgress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def begin(self, total: int, done: int) -> None:
        """Show how many runs there are; those that are done count at once."""
        self._total, self._done = total, done
        self._bar.update(self._task, total=total, completed=done)
        if done:
            self.console.print(f"{done} of {total} runs are already done")

    def start(self, cell: Cell) -> None:
        """Name the run that begins."""
        self._started = time.monotonic()
        self._bar.update(self._task, description=f"{cell.variant}, seed {cell.seed}")

    def end(self, cell: Cell, record: RunRecord | None, error: str | None) -> None:
        """Count the run; in a pipe print its line, and an error always."""
        self._done += 1
        self._bar.advance(self._task)
        seconds = time.monotonic() - self._started
        name = f"{cell.variant}, seed {cell.seed}"
        if error:
            self.console.print(f"[{self._done}/{self._total}] {name}: {error}", markup=False)
        elif not self.console.is_terminal and record is not None:
            accuracy = record.metric("test_accuracy")
            found = "no test accuracy" if accuracy is None else f"test accuracy {accuracy:.4f}"
            line = f"[{self._done}/{self._total}] {name}: {found}, {seconds:.1f} s"
            self.console.print(line, markup=False)
