"""What the parts of one run share, and its way into a checkpoint and back."""

from __future__ import annotations

import functools
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from ..config import RunConfig
from ..energy import EnergyMeter, Window
from ..errors import InputError, TrainingError
from ..record import RunRecord, dumps, write_atomic
from . import checkpoint, conditions, last_words, machines, records, runtime, segments
from .budget import Budget
from .checkpoint import Checkpoint
from .clock import StepClock
from .memory import PeakMemory, larger, side_by_side
from .position import Position
from .progress import Progress, Silent
from .ranks import Ranks
from .stop import Signals
from .work import Work

#: Seconds between two readings of the energy for the progress line.
JOULES_SECONDS = 1.0
#: Steps between two looks at the loss on a GPU, where each look costs a copy to the host, and
#: seconds after which one process alone looks all the same: a signal must not wait for long steps.
LOOK_EVERY, LOOK_SECONDS = 20, 2.0


class Run:
    """One run in one folder: a new one, or the continuation of one that was stopped there.

    Making it reads the folder; `begin` is the first to write there.
    """

    def __init__(
        self,
        config: RunConfig,
        directory: Path,
        device: torch.device,
        progress: Progress,
        earlier: RunRecord | None,
        ranks: Ranks,
        signals: Signals,
    ) -> None:
        self.config, self.directory, self.device = config, directory, device
        self.ranks, self.signals, self.earlier = ranks, signals, earlier
        #: the readings of the energy, second by second, until the run is finished
        self.journal = directory / f"energy-{config.hash}.jsonl"
        self.progress = progress if ranks.first else Silent()
        self.precision = runtime.resolve_precision(config.precision, device)
        self.saved, notes = checkpoint.load(directory, config)
        before = self.saved.notes if self.saved else []
        self.notes = list(dict.fromkeys([*before, *notes]))  # of every piece of the run
        settings = runtime.settings(config, device, self.precision)
        settings["ranks"] = ranks.size
        self.record = records.new(config, device, earlier.started if earlier else None)
        self.record.settings, self.record.warnings = settings, list(self.notes)
        self.conditions: dict[str, Any] = {}
        here = conditions.here(device, self.precision, settings["transforms"], ranks.size)
        if not ranks.first:  # a checkpoint names the first one's device
            here.pop("device", None)
        self.goes_on_with(**here)
        self.record.resumed = earlier is not None or self.saved is not None
        self.tail_lost, self.energy_before = False, {}
        # a record or checkpoint of other numerics is no beginning of this run
        stale = self.saved is None and earlier is None
        self.fresh = stale and (directory / "record.json").exists()
        self.began = False
        self.meter = EnergyMeter()
        self.clock = StepClock(device)
        self._take_back()
        self.budget = Budget(config)
        self.memory = PeakMemory(device)
        self.agreed = False  # whether all processes stop at the same step
        self.micro_batch: int | None = None  # images of one backward pass; None: the whole batch
        self.steps = 0  # an epoch
        self._joules: tuple[float, float | None] = (0.0, None)
        self._saved_at = self._looked_at = time.monotonic()

    def goes_on_with(self, **now: Any) -> None:
        """Note in the record what of `now` (conditions by name) is not as the run began.

        Raises `TrainingError` where it must repeat itself exactly; the folder stays as it is.
        """
        if self.saved is not None:
            exact = self.config.determinism == "exact"
            found = conditions.changes(self.saved.all_conditions, now, self.directory, exact)
            self.notes += found
            self.record.warnings += found
        self.conditions |= now

    def as_begun(self, share: int) -> RunConfig:
        """The configuration with the micro-batch that the run began with.

        `share` is the number of images that this process takes a step.
        """
        saved = self.saved
        known = saved is not None and "micro_batch" in saved.conditions
        if saved is None or not known or saved.ranks != self.ranks.size:
            return self.config
        part = saved.conditions["micro_batch"]
        return self.config.replace(batch_size=share, micro_batch=part, auto_batch=False)

    def _take_back(self) -> None:
        """What earlier pieces wrote down is in the record however early this one ends."""
        saved = self.saved
        if saved is not None:
            self.record.epochs = list(saved.epochs)
            self.clock.load(saved.times or {"seconds": saved.step_seconds})
        elif self.earlier is not None:
            self.record.epochs = list(self.earlier.epochs)

    def begin(self, checksum: str) -> None:
        """Take the folder over, while no window is open.

        Raises `TrainingError`, before anything is written, where the data is no longer the same.
        """
        if self.saved is not None and self.saved.data_checksum != checksum:
            raise TrainingError(
                f"the data has changed since the run in {self.directory} was stopped; give "
                "another folder to start anew"
            )
        if self.ranks.first:
            said = last_words.take_back(self.directory)
            self.notes += said
            self.record.warnings += said
        # all have read the folder before it changes
        self.record.hardware = machines.together(self.ranks.gather(self.record.hardware))
        self.tail_lost, self.energy_before = self._before()
        self.record.resumed = self.record.resumed or self.tail_lost
        if self.ranks.first:
            self._take_over()
        self.began = True

    def _before(self) -> tuple[bool, dict[str, Any]]:
        """Whether work was lost unmeasured, and the energy of the pieces before this one.

        A record says that the last piece ended and holds all the energy so far.
        """
        saved, earlier = self.saved, self.earlier
        if earlier is not None:
            return bool(saved and saved.tail_lost), dict(earlier.energy)
        if not self.fresh:
            found = segments.killed(self.journal, saved)
            if found is not None:
                return True, found
        return False, {}

    def _take_over(self) -> None:
        """Write that a piece has begun, so that one which never ends is seen.

        The earlier record is taken out once the checkpoint knows the energy that it holds, and
        all else is written that a full disk may refuse.
        """
        checkpoint.sweep(self.directory)
        if self.saved is not None:
            self.saved.tail_lost, self.saved.energy_before = self.tail_lost, self.energy_before
            self.saved.energy_now = {}
            self.saved.save(self.directory)
        if self.fresh:
            self.journal.unlink(missing_ok=True)
        self.meter.journal(self.journal)
        if self.saved is not None:
            (self.directory / "record.json").unlink(missing_ok=True)

    def restore(self, work: Work) -> Position:
        """Put the checkpoint's state into `work`; where the run stands."""
        saved, record = self.saved, self.record
        if saved is None:
            record.epochs = []  # no checkpoint: what is in an earlier record is done anew
            return Position()
        if saved.device != record.device:
            self.notes.append(f"begun on {saved.device}, continued on {record.device}")
            record.warnings.append(self.notes[-1])
        torch.set_num_threads(saved.threads)
        work.load(saved.model, saved.stepper, saved.average)
        position = Position.from_dict(saved.position or {"epoch": saved.epoch})
        if self.earlier is None:
            position.lose_cost(segments.LOST)
        if not self.ranks.first:
            position.sums = dict(Position().sums)  # the first process has those of all
        return position

    def looks(self, step: int, steps: int) -> bool:
        """Whether to look at the loss, at signals and at limits after step `step` of an epoch."""
        every = LOOK_EVERY if self.device.type == "cuda" else 1
        now = time.monotonic()
        # several processes look together, which only a count of steps tells them to
        late = self.ranks.size == 1 and now - self._looked_at >= LOOK_SECONDS
        found = not step % every or step == steps or self._due_by_steps(step) or late
        if found:
            self._looked_at = now
        return found

    def due(self, step: int) -> bool:
        """Whether a checkpoint inside the epoch is due after step `step` of it."""
        if self.config.checkpoint_steps:
            return self._due_by_steps(step)
        return time.monotonic() - self._saved_at >= self.config.checkpoint_seconds

    def _due_by_steps(self, step: int) -> bool:
        every = self.config.checkpoint_steps
        return bool(every) and not step % every

    def save(self, work: Work, position: Position) -> None:
        """Write `epochs.jsonl` and the checkpoint, whose position may lie inside an epoch."""
        self._saved_at = time.monotonic()
        memory = self.memory_so_far()
        if not self.ranks.first:
            return
        lines = "".join(dumps(entry) + "\n" for entry in self.record.epochs)
        with checkpoint.writing(self.directory / "epochs.jsonl"):
            write_atomic(self.directory / "epochs.jsonl", lines)
        Checkpoint(
            config_hash=self.config.hash,
            data_checksum=self.record.data["checksum"],
            device=self.record.device,
            threads=torch.get_num_threads(),
            transforms=self.record.settings["transforms"],
            epoch=position.epoch,
            **work.state(),
            epochs=self.record.epochs,
            **memory,
            energy_before=self.energy_before,
            energy_now=self.meter.to_dict(),
            tail_lost=self.tail_lost,
            position=position.to_dict(),
            times=self.clock.state(),
            ranks=self.ranks.size,
            conditions=self.conditions,
            notes=self.notes,
        ).save(self.directory)

    def save_weights(self, model: nn.Module) -> None:
        """Write `model.safetensors`: the state dict, in torch's usual layout."""
        if not self.ranks.first:
            return
        state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
        content = save(state, {"format": "pt", "config_hash": self.config.hash})
        with checkpoint.writing(self.directory / "model.safetensors"):
            write_atomic(self.directory / "model.safetensors", content)

    def memory_so_far(self, asked: bool = True) -> dict[str, Any]:
        """Peaks of this piece of the run and of those before it.

        `memory` is the highest of all processes, `memory_by_rank` those of each. Where the others
        are not `asked` (which waits for all of them) theirs are unknown, and so is the highest.
        """
        own, saved = self.memory.read(), self.saved
        if asked:
            now = self.ranks.gather(own)
        else:
            now = [own if n == self.ranks.rank else None for n in range(self.ranks.size)]
        highest = functools.reduce(larger, now)
        if saved is None:
            return {"memory": highest, "memory_by_rank": now}
        return {
            "memory": larger(saved.memory, highest),
            "memory_by_rank": side_by_side(saved.memory_by_rank, now),
        }

    def joules(self, window: Window) -> float | None:
        """The energy of `window` so far and of the pieces before it, read at most once a second.

        What is unknown of the earlier pieces counts as its floor.
        """
        when, joules = self._joules
        if time.monotonic() - when >= JOULES_SECONDS:
            joules = window.joules_so_far()
            if joules is not None:
                earlier = segments.joined(self.energy_before, self.meter.to_dict())
                before = earlier.get("run", {}).get("energy", {})
                joules += before.get("joules") or before.get("at_least_joules") or 0.0
            self._joules = (time.monotonic(), joules)
        return joules

    def check_budget(self, window: Window) -> None:
        """Raise `InputError` where a budget is set and cannot be watched."""
        if self.config.budget_joules is None:
            return
        given = f"budget_joules is {self.config.budget_joules}"
        if self.ranks.size > 1:
            raise InputError(f"{given}, but a budget is watched over one process only")
        if self.joules(window) is None:
            raise InputError(
                f"{given}, but the energy of this run cannot be measured here; `orthowatt doctor` "
                "says why"
            )
