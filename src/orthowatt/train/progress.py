"""What a run tells while it trains: a bar on a terminal, plain lines in a pipe."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console

#: Seconds between two lines in a pipe.
LINE_SECONDS = 10.0


class Progress(Protocol):
    """What `train_run` calls; `loss` and `accuracy` are the epoch's means so far."""

    def start(self, total_steps: int, description: str) -> None:
        """Before the first step."""
        ...

    def update(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        images_per_second: float,
        joules: float | None,
    ) -> None:
        """After step `step` of all, counted from 1; `joules` is None where not measured."""
        ...

    def finish(self) -> None:
        """After the last step, or when the run stops early."""
        ...


class Silent:
    """Says nothing."""

    def start(self, total_steps: int, description: str) -> None:
        """Nothing."""

    def update(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        images_per_second: float,
        joules: float | None,
    ) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""


class PlainProgress:
    """A line at most every ten seconds, and one at the end."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._total, self._description = 0, ""
        self._printed = 0.0
        self._latest = ""

    def start(self, total_steps: int, description: str) -> None:
        """Name the run."""
        self._total, self._description = total_steps, description
        self._printed = time.monotonic()
        self._print(f"{description}: {total_steps} steps")

    def update(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        images_per_second: float,
        joules: float | None,
    ) -> None:
        """Print where the run is, if the last line is old enough."""
        facts = facts_text(epoch, loss, accuracy, images_per_second, joules)
        self._latest = f"{self._description}: step {step}/{self._total}, {facts}"
        if time.monotonic() - self._printed >= LINE_SECONDS:
            self._print(self._latest)
            self._latest = ""

    def finish(self) -> None:
        """Print the last state, unless it was just printed."""
        if self._latest:
            self._print(self._latest)
            self._latest = ""

    def _print(self, line: str) -> None:
        self._printed = time.monotonic()
        self.console.print(line, markup=False, soft_wrap=True)


class BarProgress:
    """A bar with the time that remains."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[facts]}"),
            console=console,
        )

    def start(self, total_steps: int, description: str) -> None:
        """Show an empty bar."""
        self._task = self._bar.add_task(description, total=total_steps, facts="")
        self._bar.start()

    def update(
        self,
        epoch: int,
        step: int,
        loss: float,
        accuracy: float,
        images_per_second: float,
        joules: float | None,
    ) -> None:
        """Move the bar."""
        facts = facts_text(epoch, loss, accuracy, images_per_second, joules)
        self._bar.update(self._task, completed=step, facts=facts)

    def finish(self) -> None:
        """Leave the bar where it is."""
        self._bar.stop()


def progress_for(console: Console) -> Progress:
    """A bar where `console` is a terminal, plain lines elsewhere, nothing where it is quiet."""
    if console.quiet:
        return Silent()
    return BarProgress(console) if console.is_terminal else PlainProgress(console)


def facts_text(
    epoch: int, loss: float, accuracy: float, images_per_second: float, joules: float | None
) -> str:
    """The numbers of a progress line.

    >>> facts_text(2, 0.5, 0.875, 1234.5, None)
    'epoch 2, loss 0.500, accuracy 87.5 %, 1,234 images/s'
    """
    text = f"epoch {epoch}, loss {loss:.3f}, accuracy {accuracy:.1%}".replace("%", " %")
    text += f", {images_per_second:,.0f} images/s"
    return text if joules is None else f"{text}, {joules:,.0f} J"
