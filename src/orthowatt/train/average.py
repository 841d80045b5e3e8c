"""The moving average of a network's weights over its steps."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """A copy of the network whose weights follow `decay · average + (1 − decay) · weights`.

    The decay is (1 + t) / (10 + t) at step t until that exceeds `decay`, so that the first steps,
    far from the end, are forgotten. Running statistics of norms are averaged likewise; whole
    numbers (a norm's count of batches) are copied.

    >>> network = nn.Linear(1, 1, bias=False)
    >>> average = Average(network, 0.9)
    >>> _ = network.weight.data.add_(1.0)
    >>> average.update(network)
    >>> round((network.weight - average.model.weight).item(), 3)   # a tenth of the way is left
    0.1
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.steps = decay, 0
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """After a step: let the average follow the weights of `model`."""
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        self.steps += 1
        averages, weights = [], []
        for average, weight in zip(_state(self.model), _state(model), strict=True):
            if average.is_floating_point():
                averages.append(average)
                weights.append(weight)
            else:
                average.copy_(weight)
        torch._foreach_lerp_(averages, weights, 1 - decay)  # type: ignore[attr-defined]

    def state_dict(self) -> dict[str, Any]:
        """The averaged weights and the number of steps they rest on."""
        return {"model": self.model.state_dict(), "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.model.load_state_dict(state["model"])
        self.steps = state["steps"]


def _state(model: nn.Module) -> list[Tensor]:
    return [*(p.detach() for p in model.parameters()), *model.buffers()]
