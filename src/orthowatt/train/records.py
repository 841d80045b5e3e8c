"""The record of a run: what an earlier one in the folder means, and what goes into a new one."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..data.sources import Dataset
from ..energy.provenance import host, software
from ..errors import DataError, InputError
from ..record import RunRecord
from .clock import StepClock
from .evaluate import Score
from .provenance import code


def earlier(directory: Path, config: RunConfig) -> RunRecord | None:
    """The folder's record of `config`; None where there is none, or none that is of use.

    An unreadable or stale record is of no use. Raises `InputError` for another configuration's.
    """
    if not (directory / "record.json").exists():
        return None
    try:
        found = RunRecord.load(directory)
    except DataError:
        return None
    if found.config.hash != config.hash:
        before, now = found.config.to_dict(), config.to_dict()
        differing = [
            f"{key} {before[key]!r} → {now[key]!r}"
            for key in now
            if before[key] != now[key] and key not in RunConfig.unhashed()
        ]
        raise InputError(
            f"{directory} holds the run of another configuration ({', '.join(differing[:4])}); "
            "give another folder"
        )
    return None if found.stale else found


def new(config: RunConfig, device: torch.device, started: str | None) -> RunRecord:
    """A record with everything that is known before the run."""
    return RunRecord(
        config=config,
        started=started or datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        code=dict(code()),
        hardware=host(str(device)),
        software=software(),
    )


def describe(
    dataset: Dataset, train: Tensor, validation: Tensor, config: RunConfig
) -> dict[str, Any]:
    """The data as the record keeps it."""
    named = dataset.validation is not None and config.validation > 0
    return {
        "name": dataset.name,
        "checksum": dataset.checksum,
        "train": len(train),
        "validation": len(validation),
        "test": len(dataset.test_labels),
        "validation_from": "the source" if named else f"the train set, by seed {config.split_seed}",
        "classes": len(dataset.classes),
        "shape": list(dataset.train_images.shape[1:]),
        "notes": list(dataset.notes),
    }


def site_note(layer: dict[str, Any]) -> str | None:
    """A warning for a layer that is not orthogonal where it sits."""
    if layer.get("orthogonal") is not False:
        return None
    return f"{layer['path']}: {layer['type']} is not orthogonal ({layer['reason']})"


def step_images(config: RunConfig, data: dict[str, Any]) -> int:
    """Images in a training step: a batch, or the whole training part where that is smaller.

    `Batches` leaves out an incomplete last batch unless it is the only one.

    >>> step_images(RunConfig(batch_size=64), {"train": 40})
    40
    """
    return min(config.batch_size, data.get("train", config.batch_size))


def epoch_entry(
    epoch: int, score: Score, checked: Score | None, rate: float, train_window: Any
) -> dict[str, Any]:
    """One line of `epochs.jsonl`; seconds and joules are those of training, without validation."""
    return {
        "epoch": epoch,
        "train_loss": score.loss,
        "train_accuracy": score.accuracy,
        "validation_loss": None if checked is None else checked.loss,
        "validation_accuracy": None if checked is None else checked.accuracy,
        "learning_rate": rate,
        "seconds": train_window.seconds,
        "joules": train_window.energy.joules,
    }


def score_metrics(epochs: list[dict[str, Any]], tested: Score | None) -> dict[str, float | None]:
    """Test and validation scores; None where nothing was scored."""
    checked = [e["validation_accuracy"] for e in epochs if e["validation_accuracy"] is not None]
    return {
        "test_accuracy": None if tested is None else tested.accuracy,
        "test_loss": None if tested is None else tested.loss,
        "validation_accuracy": checked[-1] if checked else None,
        "best_validation_accuracy": max(checked, default=None),
        "epochs_done": len(epochs),
    }


def time_metrics(
    clock: StepClock, energy: dict[str, Any], step_images: int, tail_lost: bool
) -> dict[str, float | None]:
    """Times in seconds; those of whole parts are unknown when a piece of the run was lost.

    Every training step takes `step_images` images.
    """
    parts = {
        name: energy[name]["seconds"] if name in energy else None for name in ("train", "eval")
    }
    return {
        "train_seconds": None if tail_lost else parts["train"],
        "eval_seconds": None if tail_lost else parts["eval"],
        "step_seconds": clock.median,
        "images_per_second": step_images / clock.mean if clock.mean else None,
    }
