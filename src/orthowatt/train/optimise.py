"""Learning rates, the optimiser, the two kinds of decay, and one step of them."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..errors import InputError

#: One-cycle's rise where `warmup` is 0, its first rate and its last, as parts of the highest
#: (those of `torch.optim.lr_scheduler.OneCycleLR`).
ONE_CYCLE_RISE, ONE_CYCLE_FIRST, ONE_CYCLE_LAST = 0.3, 1 / 25, 1 / 25e4


def learning_rate(config: RunConfig, step: int, total: int) -> float:
    """The rate of step `step` (from 0) out of `total`: a function of the place alone.

    `warmup` is the part of all steps over which the rate rises: linearly for `constant` and for
    `cosine`, which then falls to 0; along half a cosine for `one-cycle` (a rise of 0.3 where
    `warmup` is 0), from 1/25 of the rate and down to 1/250,000 of it.

    >>> config = RunConfig(schedule="cosine", learning_rate=1.0)
    >>> [round(learning_rate(config, step, 4), 3) for step in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    peak = config.learning_rate
    if config.schedule == "one-cycle":
        return peak * _one_cycle(step, total, config.warmup or ONE_CYCLE_RISE)
    rise = config.warmup * total
    if step < rise:
        return peak * min(1.0, (step + 1) / rise)
    if config.schedule == "constant":
        return peak
    return peak * _half_cosine(1.0, 0.0, (step - rise) / (total - rise))


def _one_cycle(step: int, total: int, rise: float) -> float:
    top, end = rise * total - 1, total - 1
    if step <= top:
        return _half_cosine(ONE_CYCLE_FIRST, 1.0, step / top if top else 1.0)
    return _half_cosine(1.0, ONE_CYCLE_LAST, (step - top) / (end - top))


def _half_cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def decayed_weights(model: nn.Module) -> list[Tensor]:
    """The trained weights of convolutions and linear layers: what `l2` and `weight_decay` act on.

    Biases, norms and the factors of a transform's filter (1 at the start, not 0) are left alone.
    """
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    return [
        module.weight
        for module in model.modules()
        if isinstance(module, kinds) and module.weight.requires_grad
    ]


class Stepper:
    """One optimisation step: scaled backward, `l2`, decoupled decay, update.

    `l2` is Keras's: λ‖w‖² belongs to the loss. Its gradient 2λw is added to the gradients, which
    is the same and cheaper; a printed loss leaves the penalty out. It passes through Adam's
    moments. `weight_decay` is decoupled (AdamW, SGDW): w shrinks by the factor 1 − rate · decay
    beside the update. Raises `InputError` for `adam` with `weight_decay`.
    """

    def __init__(
        self, model: nn.Module, config: RunConfig, device: torch.device, precision: str
    ) -> None:
        if config.optimizer == "adam" and config.weight_decay:
            raise InputError(
                f"weight_decay is {config.weight_decay}, but adam has no decoupled decay; choose "
                "optimizer=adamw, or l2 for a penalty in the loss"
            )
        parameters = [p for p in model.parameters() if p.requires_grad]
        if not parameters:
            raise InputError(f"freeze is {config.freeze}, which leaves nothing to train")
        self.l2, self.decay = config.l2, config.weight_decay
        self.weights = decayed_weights(model)
        self.optimizer = _optimizer(config, parameters)
        self.optimizer.register_step_pre_hook(self._decay)
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "fp16")

    def step(self, loss: Tensor, rate: float) -> None:
        """Differentiate `loss` and update the parameters at learning rate `rate`."""
        self.backward(loss)
        self.update(rate)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of `loss` to those since the last update."""
        self.scaler.scale(loss).backward()

    def update(self, rate: float) -> None:
        """Update the parameters by the gradients, and forget these."""
        self.optimizer.param_groups[0]["lr"] = rate
        if self.scaler.is_enabled():
            self.scaler.unscale_(self.optimizer)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)

    @torch.no_grad()
    def _decay(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        shrink = 1 - optimizer.param_groups[0]["lr"] * self.decay
        overflow = getattr(optimizer, "found_inf", None)  # the scaler's, while the step lasts
        if overflow is not None:  # decided on the device, where the fused step skips itself too
            shrink = torch.where(overflow > 0, 1.0, shrink)
        weights = [weight for weight in self.weights if weight.grad is not None]
        if self.l2 and weights:
            gradients = [weight.grad for weight in weights]
            torch._foreach_add_(gradients, weights, alpha=2 * self.l2)  # type: ignore
        if self.decay and weights:
            torch._foreach_mul_(weights, shrink)  # type: ignore

    def state_dict(self) -> dict[str, Any]:
        """The optimiser's and the scaler's state."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; a scaler whose state is empty begins anew."""
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty where the precision needed none
            self.scaler.load_state_dict(state["scaler"])


def _optimizer(config: RunConfig, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if config.optimizer == "sgd":
        optimizer = torch.optim.SGD(
            parameters,
            lr=config.learning_rate,
            momentum=config.momentum,
            nesterov=config.nesterov,
            fused=True,
        )
        if config.momentum:
            # A fused first step that a scaler skips would leave its new buffers unset.
            for parameter in parameters:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        return optimizer
    # Adam and AdamW differ in their decay only, which `Stepper` applies
    return torch.optim.Adam(parameters, lr=config.learning_rate, fused=True)
