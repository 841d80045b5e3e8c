"""Run what is missing of a study, through a callable or one subprocess a run."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from ..config import RunConfig, StudyConfig
from ..errors import OrthowattError, TrainingError
from ..record import RunRecord, Study, dumps, write_atomic
from .grid import Cell
from .store import Store

#: The time that a run has to write a checkpoint when the study is stopped.
STOP_SECONDS = 60.0

#: Trains one run into a directory; `variant` names the study's row.
RunFunction = Callable[[RunConfig, Path, str], RunRecord]


class Progress(Protocol):
    """What a study tells while it runs."""

    def begin(self, total: int, done: int) -> None:
        """Before the first run: how many cells there are and how many need nothing."""
        ...

    def start(self, cell: Cell) -> None:
        """Before each run."""
        ...

    def end(self, cell: Cell, record: RunRecord | None, error: str | None) -> None:
        """After each run; `error` says why there is no finished record."""
        ...


def run_study(
    study: StudyConfig,
    directory: Path | str,
    *,
    run: RunFunction | None = None,
    slug: str | None = None,
    progress: Progress | None = None,
    retry_failed: bool = False,
) -> list[RunRecord]:
    """Run every missing cell of `study` into `directory`; returns all its finished records.

    Done runs are skipped, interrupted and stale ones run again, each once a call, and a failed run
    (a loss that is not finite) is a result that is kept unless `retry_failed`. One run that fails
    does not end the study. `run` trains one configuration; without it each run is a subprocess of
    its own. `slug` names the device.

    Errors: `InputError` when the directory holds another study; `TrainingError` when every run
    that was tried failed, or all had failed before.

    >>> import tempfile
    >>> from orthowatt.config import Variant
    >>> def train(config: RunConfig, directory: Path, variant: str) -> RunRecord:
    ...     record = RunRecord(config, variant=variant, metrics={"test_accuracy": 0.9})
    ...     record.save(directory)
    ...     return record
    >>> study = StudyConfig("one", RunConfig(), (Variant("none"),), seeds=(0, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     records = run_study(study, folder, run=train, slug="cpu-here")
    >>> sorted(record.config.seed for record in records)
    [0, 1]
    """
    directory = Path(directory)
    run = run or run_in_subprocess
    store = Store(directory, slug or device_slug(study.base.device))
    store.begin(study)
    states = store.states(study)
    todo = [state.cell for state in states if state.to_run(retry_failed)]
    if progress:
        progress.begin(len(states), len(states) - len(todo))
    errors = [error for cell in todo if (error := _run_cell(cell, store, run, progress))]
    if errors and len(errors) == len(todo):
        raise TrainingError(f"all {len(todo)} runs failed; the first said: {errors[0]}")
    finished = [r for r in Study.load(directory).records if r.status == "finished"]
    if not finished:
        raise TrainingError(
            f"all {len(states)} runs failed before; the first said: {states[0].reason}; "
            "retry_failed (on the command line --retry-failed) tries them again"
        )
    return finished


def _run_cell(cell: Cell, store: Store, run: RunFunction, progress: Progress | None) -> str | None:
    if progress:
        progress.start(cell)
    record, error = None, None
    try:
        record = run(cell.config, store.run_directory(cell), cell.variant)
        if record.status != "finished":
            error = record.reason or record.status
    except OrthowattError as raised:
        error = str(raised)
    if progress:
        progress.end(cell, record, error)
    return error


def run_in_subprocess(config: RunConfig, directory: Path, variant: str) -> RunRecord:
    """One run in a fresh interpreter: its memory, its RNG and its crash stay its own.

    Raises `TrainingError` with its last word where it ended without writing a record: one that
    lies there from an earlier start says nothing of this one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    wanted = directory / "config.json"
    write_atomic(wanted, dumps(config.to_dict(), indent=2) + "\n")
    command = [sys.executable, "-m", "orthowatt", "run", str(wanted), "--out", str(directory)]
    command += ["--variant", variant, "--quiet"]
    before = _mark(directory / "record.json")
    code, said = _finish(command)
    if code and _mark(directory / "record.json") in (None, before):
        raise TrainingError(_last_word(said) or _exit(code))
    return RunRecord.load(directory)


def _mark(path: Path) -> tuple[int, ...] | None:
    """What changes whenever the file is written anew; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _last_word(said: str) -> str:
    """The error at the end of what a process said: its first line, where it has several."""
    lines = [line for line in said.splitlines() if line.strip()]
    traces = [i for i, line in enumerate(lines) if line.startswith("Traceback ")]
    after = lines[traces[-1] + 1 :] if traces else []
    errors = [line for line in after if not line.startswith(" ")]
    return errors[0] if errors else lines[-1] if lines else ""


def _exit(code: int) -> str:
    if code >= 0:
        return f"the run ended with exit code {code} and said nothing"
    return f"the run was ended by signal {-code} ({signal.strsignal(-code) or 'unknown'})"


def _finish(command: list[str]) -> tuple[int, str]:
    """The exit code and the errors of a run; whatever stops this process stops it in order.

    SIGTERM lets a run end its step and write a checkpoint, so it is what a stopped study sends.
    """
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _, said = process.communicate()
        except BaseException:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return process.returncode, said


def device_slug(device: str = "auto") -> str:
    """The slug of the device that a run with `device` would use, asked of a fresh interpreter.

    A process of its own, for the answer must not start CUDA in this one.
    """
    code = (
        "import sys; from orthowatt.energy.provenance import host; "
        "from orthowatt.train.runtime import resolve_device; "
        "print(host(str(resolve_device(sys.argv[1])))['slug'])"
    )
    done = subprocess.run([sys.executable, "-c", code, device], capture_output=True, text=True)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise OrthowattError(f"the device {device!r} cannot be used: {last[0]}")
    return done.stdout.strip().splitlines()[-1]
