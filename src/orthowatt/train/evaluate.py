"""Loss and accuracy: running sums on the device, and a whole part of a set."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.loader import Batches
from .runtime import autocast


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats and the fraction that is right, over `count` images."""

    loss: float
    accuracy: float
    count: int


class Tally:
    """Sums of loss and right answers, kept on the device until `read`."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), device=device, dtype=torch.float64)
        self.right = torch.zeros((), device=device, dtype=torch.int64)
        self.count = 0

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add a batch with mean loss `loss`."""
        self.loss += loss.detach() * len(labels)
        self.right += (logits.argmax(1) == labels).sum()
        self.count += len(labels)

    def read(self) -> Score:
        """The means so far; waits for the device."""
        count = max(1, self.count)
        return Score(self.loss.item() / count, self.right.item() / count, self.count)


@torch.inference_mode()
def evaluate(model: nn.Module, batches: Batches, precision: str) -> Score | None:
    """The plain score (one pass an image, no smoothing) in evaluation mode; None for no images."""
    if not len(batches):
        return None
    device = batches.labels.device
    tally = Tally(device)
    training = model.training
    model.eval()
    for images, labels in batches:
        with autocast(precision, device):
            logits = model(images)
        tally.add(F.cross_entropy(logits.float(), labels), logits, labels)
    model.train(training)
    return tally.read()
