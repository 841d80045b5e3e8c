"""`train_run`: one configuration, trained and tested inside an energy window."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..data import loader, sources
from ..data.loader import Batches
from ..data.seeds import derive
from ..data.sources import Dataset
from ..energy import Window
from ..errors import TrainingError
from ..record import RunRecord
from . import prepare, records, runtime
from .evaluate import Score, Tally, evaluate
from .optimise import Stepper, learning_rate
from .progress import Progress, Silent
from .run import Run

Forward = Callable[[Tensor], Tensor]

#: Steps between two looks at the loss on a GPU, where each look waits for the device.
LOOK_EVERY = 20


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
    finished epoch (`record.resumed`). The test set is scored once, by the weights after the last
    epoch. Loading, compilation and warm-up lie in the energy window `run`; `train` and `eval` are
    parts of it. The caller's random generators and torch's switches are left as they were.

    Raises `TrainingError` for a loss that is not finite or too little memory, after writing a
    record with the status "failed"; Ctrl-C writes one with the status "interrupted". Raises
    `InputError` where the folder holds another run.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     record = train_run(RunConfig(epochs=1, device="cpu"), folder)
    >>> record.status, record.metrics["epochs_done"]
    ('finished', 1)
    """
    directory = Path(directory)
    earlier = records.earlier(directory, config)
    if earlier is not None and earlier.status == "finished":
        return earlier
    device = runtime.resolve_device(config.device)
    run = Run(config, directory, device, progress or Silent(), earlier)
    run.record.variant = variant
    with run.meter:
        try:
            with (
                run.meter.window("run") as window,
                runtime.current(device),
                runtime.own_randomness(device),
                runtime.own_threads(),
                runtime.determinism(config.determinism, device),
            ):
                _train_and_test(run, window)
        except KeyboardInterrupt:
            if run.began:
                run.close("interrupted", "stopped by Ctrl-C; the same command goes on")
            raise
        except torch.OutOfMemoryError as error:
            reason = f"{device} has too little memory for batches of {config.batch_size} images"
            run.close("failed", reason)
            raise TrainingError(f"{reason}; choose a smaller batch_size or image_size") from error
        except Exception as error:
            if run.began:  # before that it is bad input, which makes no record
                run.close("failed", str(error) or type(error).__name__)
            raise
        return run.close("finished")


def _train_and_test(run: Run, window: Window) -> None:
    """From the data to the test score; every number goes into `run.record`."""
    config, record = run.config, run.record
    dataset, parts = _load(run)
    prepared = prepare.prepare(config, dataset, parts.probe, run.device)
    model, record.layers = prepared.model, prepared.layers
    record.metrics.update(prepared.metrics)
    record.warnings += [note for layer in prepared.layers if (note := records.site_note(layer))]

    stepper = Stepper(model, config, run.device, run.precision)
    # every training step has one size; evaluation, with its odd last batch, runs uncompiled
    forward = torch.compile(model, dynamic=False) if config.compile else model
    total = config.epochs * len(parts.train)
    done = run.restore(model, stepper, dataset.checksum)
    record.settings |= {
        "threads": torch.get_num_threads(),
        "steps_per_epoch": len(parts.train),
        "total_steps": total,
    }
    run.began = True
    run.progress.start(total, f"{record.variant or config.transform}, seed {config.seed}")

    for epoch in range(done + 1, config.epochs + 1):
        with run.meter.window("train", align=False) as training:
            model.train()
            score = _train_epoch(run, forward, stepper, parts.train, epoch, window)
        run.clock.collect()
        with run.meter.window("eval", align=False):
            checked = evaluate(model, parts.validation, run.precision)
        rate = learning_rate(config, epoch * len(parts.train) - 1, total)
        record.epochs.append(records.epoch_entry(epoch, score, checked, rate, training))
        run.save(epoch, model, stepper)

    with run.meter.window("eval", align=False):
        tested = evaluate(model, parts.test, run.precision)
    record.metrics.update(records.score_metrics(record.epochs, tested))
    run.save_weights(model)


def _load(run: Run) -> tuple[Dataset, prepare.Parts]:
    """The data on the device, and its batches."""
    config, record = run.config, run.record
    dataset = sources.load(config.data, root=config.data_root, image_size=config.image_size)
    train, validation = loader.validation_split(dataset, config.validation, config.split_seed)
    record.data = records.describe(dataset, train, validation, config)
    dataset = dataset.to(run.device)
    whose, mean, std = prepare.normalisation(config, dataset)
    record.settings["normalisation"] = {"of": whose, "mean": list(mean), "std": list(std)}
    return dataset, prepare.batches(config, dataset, train, validation, mean, std)


def _train_epoch(
    run: Run, forward: Forward, stepper: Stepper, batches: Batches, epoch: int, window: Window
) -> Score:
    """One pass over the training images; mean loss and accuracy along the way."""
    config, device = run.config, run.device
    total = config.epochs * len(batches)
    look_every = LOOK_EVERY if device.type == "cuda" else 1
    tally, began = Tally(device), time.monotonic()
    run.clock.start()
    for number, (images, labels) in enumerate(batches.epoch(epoch), start=1):
        step = (epoch - 1) * len(batches) + number
        runtime.seed_globals(derive(config.seed, "step", step), device)  # what dropout draws from
        with runtime.autocast(run.precision, device):
            logits = forward(images)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=config.label_smoothing)
        stepper.step(loss, learning_rate(config, step - 1, total))
        tally.add(loss, logits, labels)
        run.clock.tick()
        if number % look_every == 0 or number == len(batches):
            score = _finite(tally.read(), epoch, step)
            speed = tally.count / (time.monotonic() - began)
            joules = run.joules(window)
            run.progress.update(epoch, step, score.loss, score.accuracy, speed, joules)
    return tally.read()


def _finite(score: Score, epoch: int, step: int) -> Score:
    if math.isfinite(score.loss):
        return score
    raise TrainingError(
        f"the loss is {score.loss} in epoch {epoch}, by step {step}, so the run stopped; lower "
        "learning_rate, give it a warmup, or compute in precision=fp32"
    )
