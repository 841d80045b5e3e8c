"""What a run shows, on a terminal and in a pipe."""

import io

import pytest
from rich.console import Console

from orthowatt.train import progress


def console(terminal: bool, quiet: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=150, quiet=quiet)


def drive(shown) -> None:
    shown.start(40, "wht, seed 3")
    shown.update(1, 20, 1.25, 0.5, 1000.0, None)
    shown.update(2, 40, 0.75, 0.9, 1100.0, 12.6)
    shown.finish()


def test_a_pipe_gets_plain_lines():
    out = console(terminal=False)
    drive(progress.progress_for(out))
    assert out.file.getvalue().splitlines() == [
        "wht, seed 3: 40 steps",
        "wht, seed 3: step 40/40, epoch 2, loss 0.750, accuracy 90.0 %, 1,100 images/s, 13 J",
    ]


def test_a_pipe_gets_a_line_every_few_seconds(monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    out = console(terminal=False)
    drive(progress.progress_for(out))
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("wht, seed 3: step 20/40, epoch 1, loss 1.250")


def test_a_long_line_is_not_wrapped():
    out = console(terminal=False)
    out.width = 20
    drive(progress.progress_for(out))
    assert len(out.file.getvalue().splitlines()) == 2


def test_a_terminal_gets_a_bar():
    out = console(terminal=True)
    drive(progress.progress_for(out))
    shown = out.file.getvalue()
    for part in ("wht, seed 3", "40/40", "loss 0.750", "90.0 %", "13 J"):
        assert part in shown


def test_quiet_says_nothing():
    out = console(terminal=True, quiet=True)
    shown = progress.progress_for(out)
    drive(shown)
    assert isinstance(shown, progress.Silent)
    assert out.file.getvalue() == ""


@pytest.mark.parametrize("kind", [progress.BarProgress, progress.PlainProgress])
def test_finishing_before_the_first_step_is_fine(kind):
    shown = kind(console(terminal=kind is progress.BarProgress))
    shown.start(4, "none, seed 0")
    shown.finish()
