"""Whether a run fits into the memory of its device: the estimate, the verdict, what would fit."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..config import RunConfig
from ..data.host import free_bytes
from ..errors import InputError, TrainingError
from . import prepare
from .accumulate import has_batch_norm
from .cards import Card
from .footprint import Footprint, footprint

if TYPE_CHECKING:
    from ..data.sources import Dataset
    from .run import Run

#: What cuBLAS and the chosen cuDNN algorithms take beside the tensors: an allowance, not counted.
WORKSPACE = 96 * 2**20
#: What the driver's context and the loaded kernels take of a GPU outside torch's allocator.
CONTEXT = 640 * 2**20
#: The part of a device that `auto_batch` plans with: the rest is for fragments of the allocator.
USABLE = 0.9


@dataclass(frozen=True)
class Room:
    """The memory of a device in bytes: all that a run could ever have, and what is free now.

    `free` is None on a GPU that is only planned for; `total` is None where it is not known.
    """

    name: str
    total: int | None
    free: int | None
    workspace: int = 0


@dataclass(frozen=True)
class Plan:
    """The memory that a run needs, beside what its device has.

    `micro_batch` is the number of images at once where that is not the whole batch; `batch_fits`
    the largest batch that would fit where this one does not (0: not even one image), None where
    this one does or nothing is known.
    """

    room: Room
    need: Footprint
    batch_size: int
    micro_batch: int | None
    batch_fits: int | None
    compiled: bool

    @property
    def total(self) -> int:
        """The estimated peak, an allowance for workspaces included."""
        return self.need.total + self.room.workspace

    @property
    def limit(self) -> int | None:
        """What is there for it: free now, or on a planned GPU all of it."""
        return self.room.total if self.room.free is None else self.room.free

    @property
    def fits(self) -> bool | None:
        """Whether the estimate is within the limit.

        None where no limit is known, and where `torch.compile`, whose savings nobody has counted,
        may bring the estimate within it: only what it cannot save is sure not to fit.
        """
        if self.limit is None or self.total <= self.limit:
            return None if self.limit is None else True
        need = self.need
        least = need.weights + need.gradients + need.optimizer + need.average + need.data
        return None if self.compiled and least <= self.limit else False

    def sentence(self) -> str:
        """What is needed, what is there, and what would fit."""
        need = self.need
        parts = {
            "weights and optimiser": need.weights + need.optimizer + need.average,
            f"a step of {need.images} images": need.step,
            "the data": need.data,
            "workspaces": self.room.workspace,
        }
        listed = ", ".join(f"{name} {_size(size)}" for name, size in parts.items() if size)
        text = f"about {_size(self.total)} ({listed})"
        if self.limit is None:
            return f"{text}; how much {self.room.name} has is not known"
        have = "free" if self.room.free is not None else "in all"
        text += f"; {self.room.name} has {_size(self.limit)} {have}"
        if self.fits:
            return text
        if self.fits is None:
            text += ", which is too little without torch.compile; what that saves is not known"
            return f"{text}, but {self._mend()}"
        return f"{text}, which is too little: {self._mend()}"

    def _mend(self) -> str:
        fits = self.batch_fits
        if not fits:
            files = ", or cache=stream for images that are files" if self.need.data else ""
            return f"no batch fits, so choose a smaller image_size or model{files}"
        if self.micro_batch is not None:
            return f"with batch_size and micro_batch {fits} it fits"
        return (
            f"a batch_size of {fits} fits; auto_batch keeps {self.batch_size} and sums the "
            "gradients of parts"
        )

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON-ready values, bytes throughout."""
        return {
            "device": self.room.name,
            "estimate_bytes": self.total,
            "free_bytes": self.room.free,
            "device_bytes": self.room.total,
            "fits": self.fits,
            "batch_size": self.batch_size,
            "micro_batch": self.micro_batch,
            "batch_that_fits": self.batch_fits,
            "workspace_allowance_bytes": self.room.workspace,
            "upper_bound": self.compiled,
            "parts": self.need.to_dict(),
        }


def room(device: torch.device | Card) -> Room:
    """The memory of a device, or of a GPU that is not here."""
    if isinstance(device, Card):
        return Room(device.name, device.memory_bytes - CONTEXT, None, WORKSPACE)
    if device.type != "cuda":
        return Room("this machine", None, free_bytes())
    free, total = torch.cuda.mem_get_info(device)
    # blocks that torch keeps for reuse are free too; what the caller holds in them is not
    reusable = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return Room(
        torch.cuda.get_device_name(device), total - CONTEXT, min(total, free + reusable), WORKSPACE
    )


def plan(
    model: nn.Module,
    config: RunConfig,
    where: Room,
    *,
    channels: int,
    precision: str,
    data_bytes: int = 0,
    stored_bytes: int = 0,
    batch_size: int | None = None,
    processes: int = 1,
) -> Plan:
    """The memory that `config` takes with `model`, which may lie on any device, "meta" too.

    `batch_size` is this process's part of a step (default: all of it), of `processes`. With
    `auto_batch` the micro-batch is the largest divisor of it that takes at most 0.9 of the whole
    device, so that it depends on nothing else that runs there. What `torch.compile` saves is not
    taken off.
    """
    batch = batch_size or config.batch_size
    size = max(config.image_size, *config.train_sizes, 0)

    def need(batch_size: int, micro_batch: int | None) -> Footprint:
        return footprint(
            model,
            (channels, size, size),
            batch_size=batch_size,
            micro_batch=micro_batch,
            precision=precision,
            optimizer=config.optimizer,
            momentum=config.momentum,
            average=config.ema > 0,
            data_bytes=data_bytes,
            stored_bytes=stored_bytes,
            buckets=processes > 1,
        )

    def total(images: int, part: int | None = None) -> float:
        try:
            return need(images, part).total + where.workspace
        except InputError:  # a batch norm does not train on one image
            return math.inf

    micro = config.micro_batch if config.micro_batch and config.micro_batch < batch else None
    whole = where.total if where.total is not None else where.free
    if config.auto_batch and whole is not None:
        micro = _largest_part(batch, total, USABLE * whole)
    found = Plan(where, need(batch, micro), batch, micro, None, config.compile)
    if found.limit is None or found.fits:
        return found
    fits = _largest_batch(batch, total, float(found.limit))
    return Plan(where, found.need, batch, micro, fits, config.compile)


def check(found: Plan) -> None:
    """Raise `TrainingError` where the plan does not fit, with the estimate and what would fit."""
    if found.fits is False:
        raise TrainingError(f"the run needs {found.sentence()}")


def _guess(batch: int, total: Callable[..., float], limit: float) -> int:
    """Images that take about `limit`, by the line through a whole and half a batch.

    The peak is the highest of several lines, so between these two the guess is never too high.
    """
    half = max(2, batch // 2)
    if half >= batch:
        return batch - 1
    at_half = total(half)
    slope = (total(batch) - at_half) / (batch - half)
    return max(0, min(batch, math.floor(half + (limit - at_half) / max(1.0, slope))))


def _largest_part(batch: int, total: Callable[..., float], limit: float) -> int | None:
    """The largest divisor of `batch` that fits; None for the whole, the smallest where none does.

    Not 1 where a batch norm needs more.
    """
    if total(batch) <= limit:
        return None
    low = [n for n in range(1, math.isqrt(batch) + 1) if batch % n == 0]
    divisors = sorted({*low, *(batch // n for n in low)} - {batch}, reverse=True)
    guess = _guess(batch, total, limit)
    likely = [n for n in divisors if n <= guess]
    likely = divisors[max(0, len(divisors) - len(likely) - 1) :]  # and the next larger one
    for part in likely:
        if total(batch, part) <= limit:
            return part
    return next((part for part in reversed(divisors) if total(batch, part) < math.inf), None)


def _largest_batch(batch: int, total: Callable[..., float], limit: float) -> int:
    """The largest batch below `batch` that fits, above 32 a multiple of 8; 0 for none."""
    guess = min(batch - 1, _guess(batch, total, limit))
    while guess > 0:
        guess -= guess % 8 if guess > 32 else 0
        if total(guess) <= limit:
            break
        guess -= max(1, guess // 16)
    return guess


def _size(count: int) -> str:
    return f"{count / 2**30:.2f} GiB" if count >= 2**29 else f"{count / 2**20:.1f} MiB"


def settle(run: Run, dataset: Dataset) -> None:
    """Plan the memory of a run, and say so in its record, before anything is on the device.

    `dataset` is as it was loaded, in this machine's memory. Sets the run's micro-batch and what
    batch norm sees. A run that goes on keeps its micro-batch, unless it no longer fits and
    auto_batch may choose another. Raises `TrainingError` where the run does not fit, with the
    estimate, what is free and the batch size that fits.
    """
    config, record = run.config, run.record
    model = prepare.outline(config, len(dataset.classes), dataset.channels)
    share = min(run.ranks.share(config.batch_size), record.data["train"])
    where = room(run.device)
    if run.device.type != "cuda" and where.free is not None:
        where = replace(where, free=where.free + dataset.held_bytes)  # it is there already
    estimate = functools.partial(
        plan,
        model,
        where=where,
        channels=dataset.channels,
        precision=run.precision,
        data_bytes=dataset.held_bytes,
        stored_bytes=math.prod(dataset.train_images.shape[1:]),
        batch_size=share,
        processes=run.ranks.size,
    )
    found = estimate(run.as_begun(share))
    if config.auto_batch and found.fits is False:
        found = estimate(config)
    run.goes_on_with(micro_batch=found.micro_batch)
    run.micro_batch = found.micro_batch
    _note(run, found, has_batch_norm(model))
    check(found)
    if found.fits is None and found.limit is not None:
        record.warnings.append(f"memory may be short: {found.sentence()}")


def _note(run: Run, found: Plan, norms: bool) -> None:
    """Put the plan into the record, and what a batch norm sees, where there are `norms`."""
    config, record = run.config, run.record
    seen = (found.micro_batch or found.batch_size) * (run.ranks.size if config.sync_bn else 1)
    record.settings |= {
        "memory_plan": found.to_dict(),
        "micro_batch": found.micro_batch,
        "batch_norm_images": seen if norms else None,
    }
    if norms and found.micro_batch is not None:
        record.warnings.append(
            f"batch norm saw micro-batches of {found.micro_batch} of each {found.batch_size} "
            "images, which is not the same as the whole batch"
        )
