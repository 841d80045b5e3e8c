"""The steps of one epoch, from any step on, and the sizes and batches that they are taken with."""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from ..config import RunConfig
from ..data.seeds import derive
from ..energy import Window
from ..errors import TrainingError
from . import accumulate, runtime
from .budget import image_areas
from .evaluate import Score, Tally
from .optimise import learning_rate
from .position import Position
from .run import Run
from .work import Work


class Diverged(TrainingError):
    """The loss is not finite: a result of the run, which the same command would show again."""


def image_size(config: RunConfig, epoch: int) -> int:
    """Pixels a side in epoch `epoch` (from 1): equal parts of the epochs, the largest last.

    Where there are more sizes than epochs the first ones are left out.

    >>> config = RunConfig(train_sizes=(16, 24), image_size=32, epochs=5)
    >>> [image_size(config, epoch) for epoch in range(1, 6)]
    [16, 16, 24, 24, 32]
    """
    sizes = (*config.train_sizes, config.image_size)[-max(1, config.epochs) :]
    return sizes[(epoch - 1) * len(sizes) // max(1, config.epochs)]


def train(
    run: Run, work: Work, position: Position, window: Window, training: Window
) -> Score | None:
    """The epoch after `position`, whose step and sums move on; None where it was left early.

    `window` is the run's, `training` this epoch's; its first steps, in which a network is compiled
    and algorithms are searched, are a "warm-up" of their own within it.

    Nothing in a step waits for the device: the loss is summed there, and looked at (every step on
    the CPU, every 20 on a GPU) by a copy that arrives later. It is left early for a signal
    (`run.signals.asked`) and for the budget (`position.stopped`), after a whole step.
    """
    config, batches = run.config, work.parts.train
    epoch, steps = position.epoch + 1, len(batches)
    size, total = image_size(config, epoch), config.epochs * steps
    tally = Tally(run.device, position.sums)
    pace = _Pace(tally.count)
    if epoch == 1 or size != image_size(config, epoch - 1):
        run.clock.warm_up()
    warm = position.step + run.clock.to_skip
    with contextlib.ExitStack() as warming:
        if run.clock.to_skip:
            warming.enter_context(training.window("warm-up", align=False))
        run.clock.start()
        for images, labels in batches.epoch(epoch, position.step, size):
            run.clock.ready()
            _step(run, work, images, labels, position.epoch * steps + position.step, total, tally)
            run.clock.tick()
            position.step += 1
            if position.step == warm:
                warming.close()
            if run.looks(position.step, steps):
                _look(run, tally, pace, position, window)
                if _leave(run, work, tally, position, window):
                    return None
                run.clock.start()  # a checkpoint is no part of the next step
    whole = tally.over(run.ranks)
    return _finite(whole.read(), epoch, position.epoch * steps + steps)


def _step(
    run: Run, work: Work, images: Tensor, labels: Tensor, step: int, total: int, tally: Tally
) -> None:
    """A forward and a backward pass (or one for each part of the batch), and one update."""
    config = run.config
    names = ("step", step + 1) if run.ranks.first else ("step", step + 1, run.ranks.rank)
    runtime.seed_globals(derive(config.seed, *names), run.device)  # what dropout draws from
    for some, theirs, share, last in accumulate.parts(images, labels, run.micro_batch):
        with accumulate.keeping(work.forward, last):
            with runtime.autocast(run.precision, run.device):
                logits = work.forward(some)
            loss = F.cross_entropy(logits.float(), theirs, label_smoothing=config.label_smoothing)
            work.stepper.backward(loss if share == 1 else loss * share)
        tally.add(loss, logits, theirs)
    work.stepper.update(learning_rate(config, step, total))
    if work.average is not None:
        work.average.update(work.model)


@dataclass
class _Pace:
    """Where the images were counted from, for a speed."""

    count: int

    def __post_init__(self) -> None:
        self.began = time.monotonic()

    def speed(self, count: int) -> float:
        return (count - self.count) / max(1e-9, time.monotonic() - self.began)


def _look(run: Run, tally: Tally, pace: _Pace, position: Position, window: Window) -> None:
    """Tell how it goes; raises `Diverged` for a loss that is not finite."""
    score = tally.peek()
    if score is None:
        return
    epoch = position.epoch + 1
    step = position.epoch * run.steps + position.step
    score = _finite(score, epoch, step)
    speed = pace.speed(tally.count) * run.ranks.size
    joules = run.joules(window)
    run.progress.update(epoch, step, score.loss, score.accuracy, speed, joules)


def _leave(run: Run, work: Work, tally: Tally, position: Position, window: Window) -> bool:
    """Whether to leave the epoch; all processes agree. Writes a checkpoint where one is due."""
    config = run.config
    step = position.epoch * run.steps + position.step
    joules = run.joules(window) if config.budget_joules is not None else None
    over = run.budget.spent(joules, _trained(run, position), run.record.data)
    due = run.ranks.first and position.step < run.steps and run.due(position.step)
    asked, over, due = run.ranks.agree(run.signals.asked is not None, over, due)
    if asked or over or due:
        position.sums = tally.over(run.ranks).state()
    if over and not asked:
        position.stopped = {
            "by": "budget_joules", "limit": config.budget_joules, "value": joules,
            "epoch": position.epoch + 1, "step": step,
        }  # fmt: skip
    elif due and not asked:
        run.save(work, position)
    return asked or over


def _trained(run: Run, position: Position) -> float:
    """Images trained on so far, as images of the largest size."""
    epochs = range(1, position.epoch + 2)
    each = min(run.config.batch_size, run.record.data["train"])
    images = [run.steps * each] * position.epoch + [position.step * each]
    sizes = [image_size(run.config, epoch) for epoch in epochs]
    return image_areas(sizes, images, run.config.image_size)


def _finite(score: Score, epoch: int, step: int) -> Score:
    if math.isfinite(score.loss):
        return score
    raise Diverged(
        f"the loss is {score.loss} in epoch {epoch}, by step {step}, so the run stopped; lower "
        "learning_rate, give it a warmup, or compute in precision=fp32"
    )
