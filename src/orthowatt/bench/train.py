"""The program's training loop against a bare loop on one batch, and against timm's parts."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..config import RunConfig
from ..data import sources
from ..data.sources import Dataset
from ..train import epoch, loop, prepare, records, runtime
from ..train.optimise import Stepper
from ..train.position import Position
from ..train.progress import Silent
from ..train.ranks import Ranks
from ..train.run import Run
from ..train.stop import Signals
from .timing import interleaved

#: What the program's loop is held to: at least this part of the bare loop's images a second.
BAR = 0.97
#: Pixels a side of the stored images (CIFAR's), and their classes.
STORED, CLASSES = 32, 100


@dataclass(frozen=True)
class Row:
    """One loop: images a second (median over the rounds, with quartiles) and its part of the bare
    loop's; where the loop tells, the share of a step that waits for data, and the host's time."""

    name: str
    images_per_second: float
    low: float
    high: float
    ratio: float
    bar: float | None = None
    data_wait_share: float | None = None
    host_share: float | None = None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-ready values."""
        return dataclasses.asdict(self)


def run(
    config: RunConfig, *, steps: int = 20, rounds: int = 7, peers: bool = True
) -> tuple[list[Row], dict[str, Any]]:
    """Time the loops, interleaved, `steps` training steps a round; the rows and the settings.

    `config` gives the model, `image_size`, `batch_size`, precision, layout, optimiser and
    `compile`; images are random ones of 32×32, resized on the device. "bare loop" computes the
    same step on one batch that is there already. Every loop has a network of its own from the same
    seed. Raises `InputError` as a run does.

    >>> config = RunConfig(batch_size=2, image_size=16, device="cpu")
    >>> rows, _ = run(config, steps=1, rounds=2, peers=False)
    >>> [row.name for row in rows]
    ['bare loop', 'orthowatt']
    """
    config = config.replace(
        validation=0.0, epochs=10**6, schedule="constant", checkpoint_seconds=1e12
    )
    dataset = _random_images(config, steps)
    with contextlib.ExitStack() as stack:
        trained = stack.enter_context(_our_loop(config, dataset))
        device = trained.run.device
        stack.enter_context(runtime.current(device))
        stack.enter_context(runtime.determinism(config.determinism, device))
        calls: dict[str, Callable[[], object]] = {
            "bare loop": _bare_loop(config, dataset, trained, steps),
            "orthowatt": trained.epoch,
        }
        note = ""
        if peers:
            try:
                calls["timm's parts"] = _timm_loop(config, dataset, trained, steps)
            except (ImportError, TypeError, AttributeError) as error:  # another version of timm
                note = f"timm's parts do not run here: {error}"
        stack.enter_context(runtime.own_randomness(device))
        found = interleaved(
            calls, device=device, seconds=0.0, least_rounds=rounds, most_rounds=rounds
        )
        whole = len(dataset.train_labels)
        bare = found["bare loop"].seconds
        rows = [
            Row(
                name,
                whole / timing.seconds,
                whole / timing.high,
                whole / timing.low,
                bare / timing.seconds,
                **(trained.facts() if name == "orthowatt" else {}),
            )
            for name, timing in found.items()
        ]
        settings = {
            **trained.run.record.settings, "model": config.model, "image_size": config.image_size,
            "batch_size": config.batch_size, "optimizer": config.optimizer, "steps": steps,
            "rounds": rounds, "slug": trained.run.record.device, "note": note,
        }  # fmt: skip
    return rows, settings


def _random_images(config: RunConfig, steps: int) -> Dataset:
    """As many random images as `steps` batches hold, and a few for a test set."""
    generator = torch.Generator().manual_seed(config.seed)

    def part(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        size = (count, 3, STORED, STORED)
        images = torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
        return images, torch.arange(count) % CLASSES

    names = tuple(str(number) for number in range(CLASSES))
    return sources.assemble("random", part(steps * config.batch_size), part(8), names)


@dataclass
class _Trained:
    """The program's own loop, one epoch a call."""

    run: Run
    work: Any
    window: Any

    def __post_init__(self) -> None:
        self.numbers = itertools.count()

    def epoch(self) -> None:
        self.work.model.train()
        position = Position(epoch=next(self.numbers))
        epoch.train(self.run, self.work, position, self.window, self.window)
        self.run.clock.collect()

    def facts(self) -> dict[str, Any]:
        found = self.run.clock.metrics()
        host, step = found["host_seconds"], found["step_seconds"]
        return {
            "bar": BAR,
            "data_wait_share": found["data_wait_share"],
            "host_share": host / step if host is not None and step else None,
        }


@contextlib.contextmanager
def _our_loop(config: RunConfig, dataset: Dataset) -> Iterator[_Trained]:
    """A run as `train_run` makes it, that writes nothing."""
    device = runtime.resolve_device(config.device)
    with tempfile.TemporaryDirectory() as folder, runtime.own_threads():
        made = Run(config, Path(folder), device, Silent(), None, Ranks(), Signals())
        with made.meter:
            train = torch.arange(len(dataset.train_labels))
            parts = (train, train[:0], torch.arange(len(dataset.test_labels)))
            made.record.data = records.describe(dataset, *parts, config)
            whole = dataset.channels_together().to(device)
            statistics = (dataset.mean, dataset.std)
            batches = prepare.batches(config, whole, parts, *statistics)
            with runtime.own_randomness(device):
                work = loop.build(made, whole, batches)
            made.restore(work)
            with made.meter.window("bench", align=False) as window:
                yield _Trained(made, work, window)


def _network(config: RunConfig, dataset: Dataset, trained: _Trained) -> nn.Module:
    """A network of its own, as the program's loop has it."""
    device = trained.run.device
    with runtime.own_randomness(device):
        probe = trained.work.parts.probe
        return prepare.prepare(config, dataset, probe, device).model.train()


def _bare_loop(
    config: RunConfig, dataset: Dataset, trained: _Trained, steps: int
) -> Callable[[], None]:
    """The same network, compile, optimiser and layout on one batch that lies on the device."""
    device, precision = trained.run.device, trained.run.precision
    model = _network(config, dataset, trained)
    forward = torch.compile(model, dynamic=False) if config.compile else model
    optimizer = Stepper(model, config, device, precision).optimizer
    images, labels = next(trained.work.parts.train.epoch(1))
    images = images.clone(memory_format=torch.preserve_format)

    def train() -> None:
        for _ in range(steps):
            with runtime.autocast(precision, device):
                logits = forward(images)
            loss = F.cross_entropy(logits.float(), labels)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return train


def _timm_loop(
    config: RunConfig, dataset: Dataset, trained: _Trained, steps: int
) -> Callable[[], None]:
    """A step put together from timm's loader, loss and optimiser, as its train script does.

    The loader gets images that are resized already, from memory, by workers on a GPU; no decoding.
    """
    from timm.data.loader import PrefetchLoader, fast_collate
    from timm.loss import LabelSmoothingCrossEntropy  # type: ignore[attr-defined]
    from timm.optim import create_optimizer_v2  # type: ignore[attr-defined]

    device, precision = trained.run.device, trained.run.precision
    model = _network(config, dataset, trained)
    forward = torch.compile(model, dynamic=False) if config.compile else model
    optimizer = create_optimizer_v2(
        model, opt=config.optimizer, lr=config.learning_rate, momentum=config.momentum
    )
    criterion = LabelSmoothingCrossEntropy(0.1)
    images = _Resized(config.image_size, steps * config.batch_size)
    workers = 8 if device.type == "cuda" else 0
    plain = torch.utils.data.DataLoader(
        images, config.batch_size, num_workers=workers, collate_fn=fast_collate, drop_last=True,
        pin_memory=device.type == "cuda", persistent_workers=workers > 0,
    )  # fmt: skip
    loader = PrefetchLoader(plain, device=device, channels=3)

    def train() -> None:
        for shown, labels in loader:
            if config.channels_last:
                shown = shown.contiguous(memory_format=torch.channels_last)
            with runtime.autocast(precision, device):
                loss = criterion(forward(shown), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return train


class _Resized(torch.utils.data.Dataset):
    """Images of the size that the network sees, uint8 (3, size, size), a few of them repeated."""

    def __init__(self, size: int, count: int) -> None:
        generator = np.random.default_rng(0)
        self.images = generator.integers(0, 256, (16, 3, size, size), dtype=np.uint8)
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        if index >= self.count:
            raise IndexError(index)
        return self.images[index % len(self.images)], index % CLASSES
