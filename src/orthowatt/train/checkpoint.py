"""A run's state after its last finished epoch: written whole, read without running code."""

from __future__ import annotations

import io
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..config import RunConfig
from ..errors import InputError, TrainingError
from ..record import NUMERICS_VERSION, write_atomic

FILE = "checkpoint.pt"


@dataclass
class Checkpoint:
    """All that the epochs after `epoch` depend on, and what the record needs of those before.

    No generator's state is among it: every draw is seeded by the run's seed and its place.
    `threads` is torch's number of threads, which decides how sums on the CPU are rounded, and
    `transforms` what computed the transforms, which decides it too.
    `energy_before` holds the windows of earlier pieces of the run in JSON form, `energy_now` those
    of the piece that wrote it, `tail_lost` whether work was done whose energy nobody wrote down.
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
    step_seconds: list[float] = field(default_factory=list)
    memory: dict[str, float | None] = field(default_factory=dict)
    energy_before: dict[str, Any] = field(default_factory=dict)
    energy_now: dict[str, Any] = field(default_factory=dict)
    tail_lost: bool = False
    numerics_version: int = NUMERICS_VERSION

    def save(self, directory: Path) -> None:
        """Replace the folder's checkpoint; a reader sees the old one or the new one, whole."""
        buffer = io.BytesIO()
        # asdict would copy every tensor
        torch.save({name: getattr(self, name) for name in self.__dataclass_fields__}, buffer)
        write_atomic(directory / FILE, buffer.getvalue())


def load(directory: Path, config: RunConfig) -> Checkpoint | None:
    """The folder's checkpoint of `config`, or None where there is none or it is out of date.

    Raises `TrainingError` for a damaged file and `InputError` for another configuration's.
    """
    path = directory / FILE
    if not path.exists():
        return None
    if not zipfile.is_zipfile(path):  # torch would try older formats, and warn
        raise TrainingError(f"{path} is damaged or torn; delete it to start the run anew")
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        found = Checkpoint(**values)
    except (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, OSError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise TrainingError(
            f"{path} is damaged ({why}); delete it to start the run anew"
        ) from error
    except (TypeError, KeyError, ValueError) as error:
        raise TrainingError(f"{path} is no checkpoint of a run; delete it or move it") from error
    if found.numerics_version != NUMERICS_VERSION:
        return None
    if found.config_hash != config.hash:
        raise InputError(
            f"{directory} holds the checkpoint of another configuration ({found.config_hash}, not "
            f"{config.hash}); give another folder"
        )
    return found
