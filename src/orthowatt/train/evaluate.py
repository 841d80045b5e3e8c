"""Loss and accuracy: running sums on the device, and a whole part of a set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.loader import Batches
from .ranks import Ranks
from .runtime import autocast

ALONE = Ranks()


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats and the fraction that is right, over `count` images."""

    loss: float
    accuracy: float
    count: int


class Tally:
    """Sums of loss and right answers, kept on the device until `read`.

    `sums` are those of steps that were taken before, as `state` gave them.
    """

    def __init__(self, device: torch.device, sums: Mapping[str, float] | None = None) -> None:
        sums = sums or {"loss": 0.0, "right": 0, "count": 0}
        self.loss = torch.tensor(sums["loss"], device=device, dtype=torch.float64)
        self.right = torch.tensor(sums["right"], device=device, dtype=torch.int64)
        self.count = int(sums["count"])
        self._coming: tuple[Tensor, int, torch.cuda.Event] | None = None
        self._seen: Score | None = None

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch with mean loss `loss`."""
        self.loss += loss.detach() * len(labels)
        self.right += (logits.argmax(1) == labels).sum()
        self.count += len(labels)

    def read(self) -> Score:
        """The means so far; waits for the device."""
        return self._score(self.loss.item(), self.right.item(), self.count)

    def peek(self) -> Score | None:
        """The newest means that cost no wait: on a GPU those of an earlier call, if any."""
        if self.loss.device.type != "cuda":
            return self.read()
        if self._coming is not None and self._coming[2].query():
            loss, right = self._coming[0].tolist()
            self._seen, self._coming = self._score(loss, right, self._coming[1]), None
        if self._coming is None:
            there = torch.stack([self.loss, self.right.double()])
            here = torch.empty(2, dtype=torch.float64, pin_memory=True)
            here.copy_(there, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record()
            self._coming = (here, self.count, arrived)
        return self._seen

    def state(self) -> dict[str, float]:
        """The sums so far; waits for the device."""
        return {"loss": self.loss.item(), "right": int(self.right.item()), "count": self.count}

    def over(self, ranks: Ranks) -> Tally:
        """The sums of all processes."""
        if ranks.size == 1:
            return self
        whole = Tally(self.loss.device)
        whole.loss, whole.right = self.loss.clone(), self.right.clone()
        count = torch.tensor(float(self.count), dtype=torch.float64, device=self.loss.device)
        ranks.sum(whole.loss, whole.right, count)
        whole.count = round(count.item())
        return whole

    @staticmethod
    def _score(loss: float, right: float, count: int) -> Score:
        return Score(loss / max(1, count), right / max(1, count), count)


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    batches: Batches,
    precision: str,
    *,
    ranks: Ranks = ALONE,
    mirrored: bool = False,
) -> Score | None:
    """The plain score (one pass an image, no smoothing) in evaluation mode; None for no images.

    `mirrored` scores the mean of the logits of each image and its mirror image instead. With
    several processes `batches` are this one's, and the score is that of all.
    """
    device = batches.labels.device
    tally = Tally(device)
    training = model.training
    model.eval()
    for images, labels in batches:
        with autocast(precision, device):
            logits = model(images)
            if mirrored:
                logits = (logits.float() + model(images.flip(3)).float()) / 2
        tally.add(F.cross_entropy(logits.float(), labels), logits, labels)
    model.train(training)
    tally = tally.over(ranks)
    return tally.read() if tally.count else None
