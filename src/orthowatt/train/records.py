"""The record of a run: what an earlier one in the folder means, and what goes into a new one."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..data.sources import Dataset
from ..energy import Energy
from ..energy.derived import joules_to_accuracy
from ..energy.provenance import host, software
from ..errors import DataError, InputError
from ..record import RunRecord
from .clock import StepClock
from .evaluate import Score
from .position import Position
from .provenance import code


def earlier(directory: Path, config: RunConfig) -> RunRecord | None:
    """The folder's record of `config`; None where there is none, or none that is of use.

    An unreadable or stale record is of no use. Raises `InputError` for another configuration's,
    and for a folder that is a file.
    """
    for place in (directory, *directory.parents):
        if place.exists() and not place.is_dir():
            raise InputError(f"{place} is a file, but must be a folder; name another one")
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
    dataset: Dataset, train: Tensor, validation: Tensor, test: Tensor, config: RunConfig
) -> dict[str, Any]:
    """The data as the record keeps it."""
    named = dataset.validation is not None and config.validation > 0
    return {
        "name": dataset.name,
        "checksum": dataset.checksum,
        "train": len(train),
        "validation": len(validation),
        "test": len(test),
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
    position: Position, score: Score, checked: Score | None, rate: float, steps: int
) -> dict[str, Any]:
    """One line of `epochs.jsonl`; seconds and joules are those of training, without validation.

    An epoch that a limit ended says its `steps`.
    """
    energy = position.energy or {}
    entry = {
        "epoch": position.epoch + 1,
        "train_loss": score.loss,
        "train_accuracy": score.accuracy,
        "validation_loss": None if checked is None else checked.loss,
        "validation_accuracy": None if checked is None else checked.accuracy,
        "learning_rate": rate,
        "seconds": position.seconds,
        "joules": energy.get("joules"),
        "energy": energy,
    }
    return entry if position.step == steps else {**entry, "steps": position.step}


def score_of(sums: dict[str, Any]) -> Score:
    """The means of a `Tally` that was written down."""
    count = max(1, sums["count"])
    return Score(sums["loss"] / count, sums["right"] / count, sums["count"])


def stopped_note(stopped: dict[str, Any]) -> str:
    """The sentence about a limit that ended the training.

    >>> stopped_note({"by": "target_accuracy", "limit": 0.7, "value": 0.71, "epoch": 3, "step": 9})
    'training stopped after epoch 3, step 9: target_accuracy 0.7 was reached (0.71)'
    """
    where = f"{stopped['epoch']}, step {stopped['step']}"
    if stopped["by"] == "target_accuracy":
        found = f"target_accuracy {stopped['limit']:g} was reached ({stopped['value']:.4g})"
        return f"training stopped after epoch {where}: {found}"
    if stopped["value"] is None:
        return (
            f"training stopped in epoch {where}: the energy could not be read any more, so nobody "
            f"knows what was left of budget_joules {stopped['limit']:,.0f}"
        )
    return (
        f"training stopped in epoch {where}: {stopped['value']:,.0f} J were used, and of "
        f"budget_joules {stopped['limit']:,.0f} the rest is for the test"
    )


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
        **clock.metrics(),
        "images_per_second": step_images / clock.mean if clock.mean else None,
    }


def to_target(epochs: list[dict[str, Any]], target: float | None) -> dict[str, Any] | None:
    """Joules of training until validation first reached `target`, in JSON form.

    None without a target, or before the first epoch.
    """
    if target is None or not epochs:
        return None
    told = [(e["validation_accuracy"], Energy.from_dict(e["energy"])) for e in epochs]
    return joules_to_accuracy(told, target).to_dict()


def energy_metrics(energy: dict[str, Any], images: int) -> dict[str, float | None]:
    """Joules a training image and joules × seconds of the whole run; None where unknown.

    `images` are those of the epochs in the record: where a piece of an epoch is not among them,
    the mean would be too high, so it is for finished runs.
    """
    train = energy.get("train", {}).get("energy", {}).get("joules")
    run = energy.get("run", {})
    joules = run.get("energy", {}).get("joules")
    return {
        "joules_per_image": train / images if train is not None and images else None,
        "energy_delay_joule_seconds": None if joules is None else joules * run["seconds"],
    }
