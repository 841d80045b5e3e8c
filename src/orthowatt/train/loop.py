"""`train_run`: one configuration, trained and tested inside an energy window."""

from __future__ import annotations

import contextlib
from pathlib import Path

import torch

from ..config import RunConfig
from ..data import loader, sources
from ..data.sources import Dataset
from ..energy import Window
from ..errors import OrthowattError, TrainingError
from ..record import RunRecord
from . import (
    checkpoint,
    ending,
    epoch,
    last_words,
    planner,
    prepare,
    ranks,
    records,
    runtime,
    signatures,
    stop,
)
from .average import Average
from .evaluate import evaluate
from .optimise import Stepper, learning_rate
from .position import Position
from .progress import Progress, Silent
from .run import Run
from .work import Work


def train_run(
    config: RunConfig,
    directory: Path | str,
    *,
    progress: Progress | None = None,
    variant: str | None = None,
) -> RunRecord:
    """Train and test `config`; the record, which also lies in `directory` with what belongs to it.

    Writes `record.json`, `epochs.jsonl`, `model.safetensors` and `checkpoint.pt`. A finished record
    of the same configuration is returned as it is; a run that was stopped goes on after its last
    checkpoint (`record.resumed`), which is written after each epoch, inside one every
    `checkpoint_seconds` or `checkpoint_steps`, and when Ctrl-C or SIGTERM stops the run. The test
    set is scored once, by the weights after the last epoch (their moving average with `ema`).
    Loading, compilation and warm-up lie in the energy window `run`; `train` and `eval` are parts
    of it. The caller's random generators and torch's switches are left as they were. Under
    torchrun its processes train one run together, and the first writes; another one that fails
    leaves `error-rank-N.txt`, whose reason goes into the record.

    Raises `TrainingError` for a loss that is not finite, after writing a record with the status
    "failed", for the same command would end so again. Whatever else ends the run (Ctrl-C, SIGTERM,
    which ends in SystemExit(143), too little memory, an error of the device or of a file) writes
    one with the status "interrupted" and the reason. Raises `InputError` where the folder holds
    another run.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = train_run(RunConfig(epochs=1, device="cpu"), folder)
    >>> record.status, record.metrics["epochs_done"]
    ('finished', 1)
    """
    directory = Path(directory)
    with ranks.joined(config) as together, stop.listening() as signals:
        earlier = records.earlier(directory, config)
        if earlier is not None and earlier.status == "finished":
            return earlier
        device = runtime.resolve_device(together.device(config.device))
        run = Run(config, directory, device, progress or Silent(), earlier, together, signals)
        run.record.variant = variant
        with run.meter:
            return _guarded(run)


def _guarded(run: Run) -> RunRecord:
    """Train and test; whatever happens, the record says so."""
    device = run.device
    try:
        with (
            runtime.current(device),
            runtime.own_randomness(device),
            runtime.own_threads(),
            runtime.determinism(run.config.determinism, device),
        ):
            # two windows of one name: what may refuse the run comes before its folder is touched
            with run.meter.window("run") as window:
                with window.window("data", align=False):
                    dataset, parts = _load(run)
                work = build(run, dataset, parts)
                run.check_budget(window)
            run.begin(dataset.checksum)
            with run.meter.window("run") as window:
                _train_and_test(run, work, window)
    except (KeyboardInterrupt, SystemExit):
        said = None if run.agreed else last_words.read(run)  # torchrun ends the others
        _end(run, "interrupted" if said is None else said.status, str(said or run.signals.reason))
        raise
    except torch.OutOfMemoryError as error:
        reason = f"{device} has too little memory for batches of {run.config.batch_size} images"
        # another program's memory may be free the next time
        last_words.write(run, reason, "interrupted")
        _end(run, "interrupted", reason)
        raise TrainingError(f"{reason}; choose auto_batch, or a smaller batch_size") from error
    except Exception as error:
        run.signals.hold = True  # torchrun ends the others
        status = "failed" if isinstance(error, epoch.Diverged) else "interrupted"
        reason = str(error) or type(error).__name__
        left = last_words.of_another(run, error)
        if left is not None:
            _end(run, left.status, str(left))
            raise left from error
        last_words.write(run, reason, status)
        _end(run, status, reason)
        if run.ranks.size > 1 and isinstance(error, OrthowattError):
            raise type(error)(f"process {run.ranks.rank} of {run.ranks.size}: {error}") from error
        raise
    return ending.close(run, "finished")


def _end(run: Run, status: str, reason: str) -> None:
    """Write down why the run ends, where it has begun: before that bad input leaves no trace.

    A disk that is full or gone must not hide the reason.
    """
    if run.began:
        with contextlib.suppress(checkpoint.Unwritable):
            ending.close(run, status, reason)


def _train_and_test(run: Run, work: Work, window: Window) -> None:
    """From the first step that is missing to the test score; numbers go into `run.record`."""
    config, record = run.config, run.record
    position = run.restore(work)
    total = config.epochs * run.steps
    record.settings |= {
        "threads": torch.get_num_threads(),
        "steps_per_epoch": run.steps,
        "total_steps": total,
    }
    run.progress.start(total, f"{record.variant or config.transform}, seed {config.seed}")
    run.signals.hold = True  # from here on a step is ended and written down first
    while position.epoch < config.epochs and not position.stopped:
        with window.window("epoch", align=False) as part:
            _epoch(run, work, position, window, part)
        if run.ranks.agree(run.signals.asked is not None)[0]:
            run.agreed = True
            run.signals.leave()
    run.signals.hold = False
    _test(run, work, position, window)
    record.signatures = signatures.of_run(record, work.scored)


def _load(run: Run) -> tuple[Dataset, prepare.Parts]:
    """The data on the device, and its batches."""
    config, record = run.config, run.record
    dataset = sources.load(
        config.data,
        root=config.data_root,
        image_size=config.image_size,
        cache=config.cache,
        device=run.device,
    )
    held_out = config.validation if config.train_on == "train" else 0.0
    whole = loader.validation_split(dataset, held_out, config.split_seed)
    indices = (*whole, torch.arange(len(dataset.test_labels)))
    train, validation, test = (loader.some(part, config.limit_images) for part in indices)
    record.data = records.describe(dataset, train, validation, test, config)
    if config.limit_images is not None:
        record.warnings.append(f"a rehearsal: of each part at most {config.limit_images} images")
    planner.settle(run, dataset)  # before anything is on the device
    dataset = dataset.channels_together().to(run.device)
    whose, mean, std = prepare.normalisation(config, dataset)
    record.settings["normalisation"] = {"of": whose, "mean": list(mean), "std": list(std)}
    return dataset, prepare.batches(
        config, dataset, (train, validation, test), mean, std, run.ranks, run.micro_batch
    )


def build(run: Run, dataset: Dataset, parts: prepare.Parts) -> Work:
    """The network and what trains it."""
    config, record = run.config, run.record
    run.steps = len(parts.train)
    at_once = run.micro_batch or run.ranks.share(config.batch_size)
    prepared = prepare.prepare(config, dataset, parts.probe, run.device, at_once)
    record.layers = prepared.layers
    record.metrics.update(prepared.metrics)
    record.warnings += [note for layer in prepared.layers if (note := records.site_note(layer))]
    model = prepared.model
    if config.sync_bn and run.ranks.size > 1:
        ranks.synchronise(model)
    stepper = Stepper(model, config, run.device, run.precision)
    forward = run.ranks.wrap(model, run.device)
    # every training step of an epoch has one size; evaluation, with its odd last batch, runs
    # uncompiled
    forward = torch.compile(forward, dynamic=False) if config.compile else forward
    average = Average(model, config.ema) if config.ema else None
    record.settings["scored_weights"] = f"moving average, {config.ema}" if average else "the last"
    return Work(model, forward, stepper, average, parts)


def _epoch(run: Run, work: Work, position: Position, window: Window, part: Window) -> None:
    """The epoch after `position`, or its rest; ends with a checkpoint. `part` is its window."""
    config, record = run.config, run.record
    with part.window("train", align=False) as training:
        work.model.train()
        score = epoch.train(run, work, position, window, training)
    run.clock.collect()
    position.add_cost(training.seconds, training.energy)
    if score is None and not position.stopped:
        with part.window("checkpoint", align=False):
            run.save(work, position)
        return
    checked = None
    if score is None:  # the budget: what is left of it is for the test
        score = records.score_of(position.sums)
    else:
        with part.window("eval", align=False):
            work.one_state(run.ranks)
            checked = evaluate(work.scored, work.parts.validation, run.precision, ranks=run.ranks)
    last = position.epoch * run.steps + position.step - 1
    rate = learning_rate(config, last, config.epochs * run.steps)
    record.epochs.append(records.epoch_entry(position, score, checked, rate, run.steps))
    position.next_epoch()
    target = config.target_accuracy
    if target is not None and checked is not None and checked.accuracy >= target:
        position.stopped = {
            "by": "target_accuracy", "limit": target, "value": checked.accuracy,
            "epoch": position.epoch, "step": last + 1,
        }  # fmt: skip
    with part.window("checkpoint", align=False):
        run.save(work, position)


def _test(run: Run, work: Work, position: Position, window: Window) -> None:
    """The test scores, once, and the weights that they belong to."""
    config, record, test = run.config, run.record, work.parts.test
    with window.window("eval", align=False):
        work.one_state(run.ranks)
        tested = evaluate(work.scored, test, run.precision, ranks=run.ranks)
    record.metrics.update(records.score_metrics(record.epochs, tested))
    if position.stopped:
        record.settings["stopped"] = position.stopped
        record.warnings.append(records.stopped_note(position.stopped))
    reached = records.to_target(record.epochs, config.target_accuracy)
    if reached is not None:
        record.settings["joules_to_target"] = reached
    beside = {}
    if work.average is not None:
        beside["test_accuracy_last_weights"] = (work.model, False)
    if config.mirror_test:
        beside["test_accuracy_mirrored"] = (work.scored, True)
    for name, (model, mirrored) in beside.items():
        with window.window("beside", align=False):
            found = evaluate(model, test, run.precision, ranks=run.ranks, mirrored=mirrored)
        record.metrics[name] = found.accuracy if found else None
    run.save_weights(work.scored)
