"""Studies: order, resuming, failures, and refusing to mix two studies in one folder."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from orthowatt.cli.study import changed, sigterm_stops
from orthowatt.config import RunConfig, StudyConfig, Variant
from orthowatt.errors import DataError, InputError, TrainingError
from orthowatt.record import NUMERICS_VERSION, RunRecord, Study
from orthowatt.study import grid, runner
from orthowatt.study.runner import run_study
from orthowatt.study.store import Store

STUDY = StudyConfig(
    "s",
    RunConfig(epochs=1),
    (Variant("none"), Variant("wht", {"transform": "wht"}), Variant("dct", {"transform": "dct"})),
    seeds=(0, 1),
)


class Trainer:
    """Writes records as a training would; fails, is interrupted or diverges where told to."""

    def __init__(self, errors=()):
        self.calls = []
        self.errors = dict(errors)

    def __call__(self, config, directory, variant):
        self.calls.append((variant, config.seed))
        trouble = self.errors.get((variant, config.seed))
        if isinstance(trouble, BaseException):
            raise trouble
        record = RunRecord(config, variant=variant, hardware={"slug": "cpu-here"})
        record.metrics["test_accuracy"] = 0.5
        if trouble:
            record.status, record.reason = trouble
        record.save(directory)
        return record


def run(study, directory, trainer, **more):
    return run_study(study, directory, run=trainer, slug="cpu-here", **more)


def test_variants_are_interleaved_and_rotated():
    order = [(cell.variant, cell.seed) for cell in grid.cells(STUDY)]
    assert order == [("none", 0), ("wht", 0), ("dct", 0), ("wht", 1), ("dct", 1), ("none", 1)]


def test_done_runs_are_skipped_and_seeds_added(tmp_path):
    trainer = Trainer()
    assert len(run(STUDY, tmp_path, trainer)) == 6
    assert len(run(STUDY, tmp_path, trainer)) == 6
    assert len(trainer.calls) == 6
    more = replace(STUDY, seeds=(2,))
    assert len(run(more, tmp_path, trainer)) == 9
    assert [seed for _, seed in trainer.calls[6:]] == [2, 2, 2]
    assert Study.load(tmp_path).config.seeds == (0, 1, 2)


def test_an_interrupt_keeps_what_is_done(tmp_path):
    trainer = Trainer({("dct", 0): KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        run(STUDY, tmp_path, trainer)
    again = Trainer()
    run(STUDY, tmp_path, again)
    assert again.calls == [("dct", 0), ("wht", 1), ("dct", 1), ("none", 1)]


def test_interrupted_and_stale_runs_are_run_again_failed_ones_are_results(tmp_path):
    run(
        STUDY,
        tmp_path,
        Trainer({("wht", 0): ("interrupted", "Ctrl-C"), ("dct", 0): ("failed", "loss is nan")}),
    )
    store = Store(tmp_path, "cpu-here")
    cells = {(state.cell.variant, state.cell.seed): state for state in store.states(STUDY)}
    assert cells["wht", 0].state == "interrupted"
    assert cells["dct", 0].state == "failed"
    old = RunRecord.load(store.run_directory(cells["none", 1].cell))
    old.numerics_version = NUMERICS_VERSION - 1
    old.save(store.run_directory(cells["none", 1].cell))
    again = Trainer()
    records = run(STUDY, tmp_path, again)
    assert sorted(again.calls) == [("none", 1), ("wht", 0)]
    assert len(records) == 5


def test_a_failed_run_is_tried_again_where_asked_and_once_a_call(tmp_path):
    trouble = {("dct", 0): ("failed", "loss is nan"), ("wht", 1): ("interrupted", "no memory")}
    run(STUDY, tmp_path, Trainer(trouble))
    again = Trainer(trouble)
    with pytest.raises(TrainingError, match="all 2 runs failed; the first said: loss is nan"):
        run(STUDY, tmp_path, again, retry_failed=True)
    assert again.calls == [("dct", 0), ("wht", 1)]
    assert len(run(STUDY, tmp_path, Trainer(), retry_failed=True)) == 6


def test_where_every_run_failed_before_it_says_so(tmp_path):
    one = replace(STUDY, variants=STUDY.variants[:1], seeds=(0,))
    with pytest.raises(TrainingError, match="all 1 runs failed"):
        run(one, tmp_path, Trainer({("none", 0): ("failed", "loss is nan")}))
    again = Trainer()
    with pytest.raises(TrainingError, match=r"failed before.*loss is nan; .*--retry-failed"):
        run(one, tmp_path, again)
    assert again.calls == []


def test_one_failing_run_does_not_end_the_study(tmp_path):
    class Progress:
        errors = []

        def begin(self, total, done):
            self.counts = (total, done)

        def start(self, cell):
            self.last = cell

        def end(self, cell, record, error):
            self.errors += [(cell.variant, cell.seed, error)] if error else []

    progress = Progress()
    trainer = Trainer({("none", 0): TrainingError("no memory left")})
    assert len(run(STUDY, tmp_path, trainer, progress=progress)) == 5
    assert progress.counts == (6, 0)
    assert progress.errors == [("none", 0, "no memory left")]


def test_settings_change_every_run():
    study = changed(STUDY, ["epochs=3", "weights=a b.pth", "train-sizes=[16, 24]", "flip=true"])
    assert (study.base.epochs, study.base.weights) == (3, "a b.pth")
    assert (study.base.train_sizes, study.base.flip) == ((16, 24), True)
    assert study.run("wht", 0).epochs == 3
    assert changed(STUDY, []) == STUDY
    plain = changed(study, ["train_sizes=()", "dims=(-1, -3)", "weights=None"]).base
    assert (plain.train_sizes, plain.dims, plain.weights) == ((), (-1, -3), None)
    with pytest.raises(InputError, match="has no value; write --set epochs=VALUE"):
        changed(STUDY, ["epochs"])
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        changed(STUDY, ["epoch=3"])


def test_a_stopped_study_lets_its_run_write_a_checkpoint(tmp_path, monkeypatch):
    """The run gets SIGTERM and the time to end in order."""
    proof = tmp_path / "proof"
    code = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        "    pathlib.Path(sys.argv[1]).write_text('written down')\n"
        "    raise SystemExit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "pathlib.Path(sys.argv[1]).write_text('begun')\n"
        "time.sleep(60)\n"
    )

    class Process(subprocess.Popen):
        def communicate(self, *_, **__):
            while not proof.exists():
                time.sleep(0.01)
            signal.raise_signal(signal.SIGTERM)
            return "", ""

    monkeypatch.setattr(subprocess, "Popen", Process)
    with pytest.raises(SystemExit) as stopped, sigterm_stops():
        runner._finish([sys.executable, "-c", code, str(proof)])
    assert stopped.value.code == 143
    assert proof.read_text() == "written down"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


TRACE = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    boom()
RuntimeError: CUDA error: device-side assert triggered
For debugging consider passing CUDA_LAUNCH_BLOCKING=1
"""


@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (1, "orthowatt run: a/b.png cannot be read\n", "^orthowatt run: a/b.png cannot be read$"),
        (1, TRACE, "^RuntimeError: CUDA error: device-side assert triggered$"),
        (-9, "", r"ended by signal 9 \(Killed"),
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_a_run_that_wrote_no_record_says_why(tmp_path, monkeypatch, code, said, words, again):
    """A record that an earlier start left there is not what this one has to say."""
    if again:
        RunRecord(STUDY.base, status="interrupted", reason="stopped by SIGTERM").save(tmp_path)
    monkeypatch.setattr(runner, "_finish", lambda _: (code, said))
    with pytest.raises(TrainingError, match=words):
        runner.run_in_subprocess(STUDY.base, tmp_path, "none")


def test_a_run_that_wrote_its_record_is_believed(tmp_path, monkeypatch):
    def finish(_):
        RunRecord(STUDY.base, status="failed", reason="loss is nan").save(tmp_path)
        return 1, "orthowatt run: loss is nan\nand more"

    RunRecord(STUDY.base, status="interrupted", reason="stopped by SIGTERM").save(tmp_path)
    monkeypatch.setattr(runner, "_finish", finish)
    assert runner.run_in_subprocess(STUDY.base, tmp_path, "none").reason == "loss is nan"


def test_all_failing_is_an_error(tmp_path):
    trouble = {(v.name, s): DataError("no data") for v in STUDY.variants for s in STUDY.seeds}
    with pytest.raises(TrainingError, match="all 6 runs failed; the first said: no data"):
        run(STUDY, tmp_path, Trainer(trouble))


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(STUDY, base=RunConfig(epochs=2)), "another base configuration"),
        (replace(STUDY, baseline="wht"), "another base configuration or baseline"),
        (
            replace(STUDY, variants=(Variant("none"), Variant("wht", {"transform": "dst"}))),
            "variant 'wht' with other settings",
        ),
    ],
)
def test_two_studies_do_not_mix(tmp_path, other, words):
    run(STUDY, tmp_path, Trainer())
    with pytest.raises(InputError, match=words):
        run(other, tmp_path, Trainer())


@pytest.mark.parametrize(("margin", "value"), [("accuracy_margin", 0.05), ("cost_margin", 1.5)])
def test_margins_are_declared_before_the_results(tmp_path, margin, value):
    other = replace(STUDY, **{margin: value})
    trainer = Trainer({("none", 0): KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        run(STUDY, tmp_path, trainer)
    run(other, tmp_path, Trainer())  # no result was known yet
    with pytest.raises(InputError, match=f"declared with {margin} = {value}, so it cannot become"):
        run(STUDY, tmp_path, Trainer())
    assert getattr(Study.load(tmp_path).config, margin) == value
    run(replace(other, seeds=(0, 1, 2)), tmp_path, Trainer())


def test_a_damaged_study_file_is_named(tmp_path):
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(DataError, match=r"study\.json cannot be read"):
        run(STUDY, tmp_path, Trainer())


def test_a_damaged_record_is_run_again(tmp_path):
    run(STUDY, tmp_path, Trainer())
    store = Store(tmp_path, "cpu-here")
    cell = grid.cells(STUDY)[0]
    (store.run_directory(cell) / "record.json").write_text("{")
    state = store.state(cell)
    assert state.state == "missing"
    assert "cannot be read" in state.reason
    again = Trainer()
    assert len(run(STUDY, tmp_path, again)) == 6
    assert again.calls == [(cell.variant, cell.seed)]
