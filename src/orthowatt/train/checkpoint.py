"""A run's state after any step: written whole, in two generations, read without running code."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..errors import InputError, TrainingError
from ..record import NUMERICS_VERSION, write_atomic

FILE = "checkpoint.pt"
#: The generation before, for the day on which the newest is damaged.
PREVIOUS = "checkpoint.previous.pt"
COMING = ".checkpoint.coming"


class Unwritable(TrainingError):
    """A file of the run cannot be written, and what was written before is as it was."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about a full or read-only disk into `Unwritable`."""
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"{path} cannot be written ({error.strerror or error}); make room and give the same "
            "command: it goes on after the last checkpoint"
        ) from error


@dataclass
class Checkpoint:
    """All that the steps after it depend on, and what the record needs of those before.

    `epoch` epochs are finished; `position` (a `Position` as JSON) says how many steps of the next
    one, with their sums. `stepper` holds the optimiser and the loss scaler, `average` the moving
    average where there is one. No generator's or scheduler's state is among it: every draw is
    seeded by the run's seed and its place, and the learning rate is a function of the place.
    `threads` is torch's number of threads, which decides how sums on the CPU are rounded, and
    `transforms` what computed the transforms, which decides it too.
    `energy_before` holds the windows of earlier pieces of the run in JSON form, `energy_now` those
    of the piece that wrote it, `tail_lost` whether work was done whose energy nobody wrote down.
    `conditions` holds precision, device, torch's version and micro_batch (None: the whole batch);
    `notes` what was not as it should be, in this piece or an earlier one.
    """

    config_hash: str
    data_checksum: str
    device: str
    threads: int
    transforms: str
    epoch: int
    model: dict[str, Tensor]
    stepper: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    step_seconds: list[float] = field(default_factory=list)  # of files before `times`
    memory: dict[str, float | None] = field(default_factory=dict)
    energy_before: dict[str, Any] = field(default_factory=dict)
    energy_now: dict[str, Any] = field(default_factory=dict)
    tail_lost: bool = False
    numerics_version: int = NUMERICS_VERSION
    position: dict[str, Any] = field(default_factory=dict)
    average: dict[str, Any] | None = None
    times: dict[str, list[float]] = field(default_factory=dict)
    ranks: int = 1
    conditions: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    memory_by_rank: list[dict[str, float | None] | None] = field(default_factory=list)

    @property
    def all_conditions(self) -> dict[str, Any]:
        """What the run was computed with, by name, as far as a file of its time tells."""
        return {"transforms": self.transforms, "processes": self.ranks, **self.conditions}

    def save(self, directory: Path) -> None:
        """Make this the folder's newest checkpoint, and the newest so far the previous one.

        A reader sees whole files only, and a kill between the two renames leaves the previous one.
        Raises `Unwritable` where the disk is full or refuses; what was written before stays.
        """
        buffer = io.BytesIO()
        # asdict would copy every tensor
        torch.save({name: getattr(self, name) for name in self.__dataclass_fields__}, buffer)
        coming = directory / COMING
        # the view ends with the block: left to the garbage collector, as a failed write's traceback
        # leaves it, it can outlive its buffer, which ends Python 3.12 with a segmentation fault
        with writing(directory / FILE), buffer.getbuffer() as whole:
            try:
                write_atomic(coming, whole)
                with contextlib.suppress(FileNotFoundError):
                    os.replace(directory / FILE, directory / PREVIOUS)
                os.replace(coming, directory / FILE)
            finally:
                with contextlib.suppress(OSError):
                    coming.unlink(missing_ok=True)


def load(directory: Path, config: RunConfig) -> tuple[Checkpoint | None, list[str]]:
    """The folder's newest checkpoint of `config` that can be used, and why newer ones cannot.

    None where there is none, or it was made by other numerics. Raises `TrainingError` (damaged)
    or `InputError` (another configuration's) where there are checkpoints and none is of use.
    """
    refused: list[Exception] = []
    for name in (FILE, PREVIOUS):
        path = directory / name
        if not path.exists():
            continue
        try:
            found = _read(path, config)
        except (TrainingError, InputError) as error:
            refused.append(error)
            continue
        notes = [f"{error}; the one before it was used" for error in refused]
        return (found, notes) if found.numerics_version == NUMERICS_VERSION else (None, [])
    if refused:
        mend = "give another folder, or delete it to start the run anew"
        raise type(refused[0])(f"{refused[0]}; {mend}") from refused[0]
    return None, []


def forget_previous(directory: Path) -> None:
    """The run is finished: one generation is enough."""
    (directory / PREVIOUS).unlink(missing_ok=True)


def sweep(directory: Path) -> None:
    """Remove what a process left that was killed while it wrote a checkpoint."""
    for torn in directory.glob(f"*{COMING}*"):
        torn.unlink(missing_ok=True)


def _read(path: Path, config: RunConfig) -> Checkpoint:
    if not zipfile.is_zipfile(path):  # torch would try older formats, and warn
        raise TrainingError(f"{path} is damaged or torn")
    try:
        with zipfile.ZipFile(path) as archive:  # torch checks no sums
            torn = archive.testzip()
        if torn is not None:
            raise TrainingError(f"{path} is damaged (the checksum of {torn} is wrong)")
        values = torch.load(path, map_location="cpu", weights_only=True)
        found = Checkpoint(**values)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(f"{path} is damaged ({why})") from error
    except (TypeError, KeyError, ValueError) as error:
        raise TrainingError(f"{path} is no checkpoint of a run") from error
    if found.config_hash != config.hash:
        raise InputError(
            f"{path} is the checkpoint of another configuration ({found.config_hash}, not "
            f"{config.hash})"
        )
    return found
