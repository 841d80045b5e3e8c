"""What the steps of a run change, and what they are taken with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from .average import Average
from .optimise import Stepper
from .prepare import Parts
from .ranks import Ranks


@dataclass
class Work:
    """A run's network with what changes it; `forward` is it compiled, or over several GPUs."""

    model: nn.Module
    forward: Callable[[Tensor], Tensor]
    stepper: Stepper
    average: Average | None
    parts: Parts

    @property
    def scored(self) -> nn.Module:
        """The weights that are scored and kept: the average where there is one."""
        return self.model if self.average is None else self.average.model

    def state(self) -> dict[str, Any]:
        """The tensors and numbers that a checkpoint holds."""
        return {
            "model": self.model.state_dict(),
            "stepper": self.stepper.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
        }

    def load(self, model: dict[str, Any], stepper: dict[str, Any], average: Any) -> None:
        """Take over what `state` gave."""
        self.model.load_state_dict(model)
        self.stepper.load_state_dict(stepper)
        if self.average is not None and average is not None:
            self.average.load_state_dict(average)

    def one_state(self, ranks: Ranks) -> None:
        """Before a score: batch statistics, which each process keeps its own, as the first has."""
        for model in (self.model, self.scored):
            ranks.from_first([buffer for buffer in model.buffers() if buffer.numel()])
