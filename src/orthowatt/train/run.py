"""What the parts of one run share, its way into a checkpoint and back, and its end."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from ..config import RunConfig
from ..energy import EnergyMeter, Window
from ..errors import TrainingError
from ..record import RunRecord, dumps, write_atomic
from . import checkpoint, records, runtime, segments
from .checkpoint import Checkpoint
from .clock import StepClock
from .memory import PeakMemory, larger
from .optimise import Stepper
from .progress import Progress

#: Seconds between two readings of the energy for the progress line.
JOULES_SECONDS = 1.0


class Run:
    """One run in one folder: a new one, or the continuation of one that was stopped there."""

    def __init__(
        self,
        config: RunConfig,
        directory: Path,
        device: torch.device,
        progress: Progress,
        earlier: RunRecord | None,
    ) -> None:
        self.config, self.directory, self.device = config, directory, device
        self.progress = progress
        self.precision = runtime.resolve_precision(config.precision, device)
        self.saved = checkpoint.load(directory, config)
        settings = runtime.settings(config, device, self.precision)
        notes = self._transforms_changed(settings["transforms"])
        self.tail_lost, self.energy_before = self._take_over(earlier)
        self.record = records.new(config, device, earlier.started if earlier else None)
        self.record.settings, self.record.warnings = settings, notes
        self.record.resumed = earlier is not None or self.saved is not None
        self.began = False
        self.meter = EnergyMeter()
        self.clock = StepClock(device)
        self.memory = PeakMemory(device)
        self._joules: tuple[float, float | None] = (0.0, None)

    def _transforms_changed(self, now: str) -> list[str]:
        """A warning where other code than before computes the transforms.

        Raises `TrainingError` where the run must repeat itself exactly; the folder stays as it is.
        """
        if self.saved is None or self.saved.transforms == now:
            return []
        before = self.saved.transforms
        if self.config.determinism == "exact":
            raise TrainingError(
                f"the run in {self.directory} began with transforms by {before}, but here they "
                f"go by {now}, which rounds otherwise; give another folder to start anew, or use "
                "determinism=fast there"
            )
        return [f"transforms begun by {before}, continued by {now}"]

    def _take_over(self, earlier: RunRecord | None) -> tuple[bool, dict[str, Any]]:
        """Whether work was lost unmeasured, and the energy of the pieces before this one.

        A record says that the last piece ended and holds all the energy so far. It is taken out of
        the folder once the checkpoint knows that energy, so that a piece that never ends is seen.
        """
        saved = self.saved
        if saved is None:
            return False, dict(earlier.energy) if earlier else {}
        if earlier is not None:
            tail_lost, energy = saved.tail_lost, dict(earlier.energy)
        else:
            tail_lost = True
            energy = segments.after_a_kill(saved.energy_before, saved.energy_now)
        saved.tail_lost, saved.energy_before, saved.energy_now = tail_lost, energy, {}
        saved.save(self.directory)
        (self.directory / "record.json").unlink(missing_ok=True)
        return tail_lost, energy

    def restore(self, model: nn.Module, stepper: Stepper, checksum: str) -> int:
        """Put the checkpoint's state into `model` and `stepper`; the number of epochs it has done.

        Raises `TrainingError` where the data is no longer the same.
        """
        saved, record = self.saved, self.record
        if saved is None:
            return 0
        if saved.data_checksum != checksum:
            raise TrainingError(
                f"the data has changed since the run in {self.directory} was stopped; give "
                "another folder to start anew"
            )
        if saved.device != record.device:
            record.warnings.append(f"begun on {saved.device}, continued on {record.device}")
        torch.set_num_threads(saved.threads)
        model.load_state_dict(saved.model)
        stepper.load_state_dict(saved.stepper)
        self.clock.seconds[:] = saved.step_seconds
        record.epochs = list(saved.epochs)
        return saved.epoch

    def save(self, epoch: int, model: nn.Module, stepper: Stepper) -> None:
        """Write the checkpoint and `epochs.jsonl` after a finished epoch."""
        lines = "".join(dumps(entry) + "\n" for entry in self.record.epochs)
        write_atomic(self.directory / "epochs.jsonl", lines)
        Checkpoint(
            config_hash=self.config.hash,
            data_checksum=self.record.data["checksum"],
            device=self.record.device,
            threads=torch.get_num_threads(),
            transforms=self.record.settings["transforms"],
            epoch=epoch,
            model=model.state_dict(),
            stepper=stepper.state_dict(),
            epochs=self.record.epochs,
            step_seconds=self.clock.seconds,
            memory=self.memory_so_far(),
            energy_before=self.energy_before,
            energy_now=self.meter.to_dict(),
            tail_lost=self.tail_lost,
        ).save(self.directory)

    def save_weights(self, model: nn.Module) -> None:
        """Write `model.safetensors`: the state dict, in torch's usual layout."""
        state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
        content = save(state, {"format": "pt", "config_hash": self.config.hash})
        write_atomic(self.directory / "model.safetensors", content)

    def memory_so_far(self) -> dict[str, float | None]:
        """Peaks of this piece of the run and of those before it."""
        now = self.memory.read()
        return larger(self.saved.memory, now) if self.saved else now

    def joules(self, window: Window) -> float | None:
        """The energy of `window` for a progress line, read at most once a second."""
        when, joules = self._joules
        if time.monotonic() - when >= JOULES_SECONDS:
            joules = window.joules_so_far()
            self._joules = (time.monotonic(), joules)
        return joules

    def close(self, status: str, reason: str | None = None) -> RunRecord:
        """Fill in what is known at the end, and write the record."""
        with contextlib.suppress(Exception):  # a broken terminal must not cost the record
            self.progress.finish()
        record = self.record
        record.status, record.reason = status, reason
        record.memory = self.memory_so_far()
        record.energy = segments.joined(self.energy_before, self.meter.to_dict())
        record.settings["energy_meter"] = self.meter.provenance()
        if self.tail_lost:
            record.warnings.append(segments.LOST)
        record.metrics["epochs_done"] = len(record.epochs)
        record.metrics.update(
            records.time_metrics(
                self.clock,
                record.energy,
                records.step_images(self.config, record.data),
                self.tail_lost,
            )
        )
        record.save(self.directory)
        return record
