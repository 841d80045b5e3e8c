"""What a transform costs inside a training step: ResNet-50 with and without, interleaved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from ..models.zoo import paper_resnet50
from ..train.runtime import determinism
from .pool import reason
from .timing import Call, interleaved

#: Variants: transform and pad. With "keep" the late map stays 16 × 16, and what follows it works
#: on a larger one: that work is counted beside the time.
VARIANTS = {"none": None, "wht early+late, crop": "crop", "wht early+late, keep": "keep"}
#: How much longer a step with the cropped transform may take.
BAR = 0.02


@dataclass(frozen=True)
class StepRow:
    """One variant: milliseconds a step, more time than without, multiply-adds of one image; None
    where it failed, or what it is compared with did."""

    variant: str
    milliseconds: float | None
    low: float | None
    high: float | None
    rounds: int | None
    more: float | None
    bar: float | None
    macs: int | None
    added_macs: int | None
    batch: int
    image_size: int
    peak_bytes: int | None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)

    def describe(self) -> str:
        """The row in one line."""
        if self.milliseconds is None:
            return f"{self.variant}: failed: {self.error}"
        text = f"{self.variant}: {self.milliseconds:.1f} ms"
        if self.more is not None and self.added_macs is not None:
            text += f", {self.more:+.2%}, {self.added_macs / 1e6:+.0f} M multiply-adds"
        return text if self.bar is None else f"{text}, bar {self.bar:+.0%}"


def run(
    device: torch.device,
    *,
    batch: int = 256,
    image_size: int = 224,
    seconds: float = 30.0,
    rounds: int = 7,
    progress: Callable[[StepRow], None] | None = None,
) -> list[StepRow]:
    """Time the training step of every variant, at least `rounds` times; bf16 autocast,
    channels_last, SGD with momentum, and the fastest convolutions as the fast mode of training."""
    variants: dict[str, tuple[Call, int | None, int]] = {}
    rows = []
    with determinism("fast", device):
        for name, pad in VARIANTS.items():
            try:
                model = _model(pad, device)
                call = _step(model, device, batch, image_size)
                variants[name] = call, _peak(call, device), _macs(model, device, image_size)
            except Exception as error:  # one variant's, mostly a lack of memory
                rows.append(_failed(name, batch, image_size, reason(error)))
        calls = {name: call for name, (call, *_) in variants.items()}
        found = interleaved(calls, device=device, seconds=seconds, least_rounds=rounds)
    for name, timing in found.items():
        _, peak, macs = variants[name]
        plain = "none" in found
        row = StepRow(
            variant=name,
            milliseconds=timing.seconds * 1e3,
            low=timing.low * 1e3,
            high=timing.high * 1e3,
            rounds=timing.rounds,
            more=timing.seconds / found["none"].seconds - 1 if plain else None,
            bar=BAR if VARIANTS[name] == "crop" and device.type == "cuda" else None,
            macs=macs,
            added_macs=macs - variants["none"][2] if plain else None,
            batch=batch,
            image_size=image_size,
            peak_bytes=peak,
        )
        rows.append(row)
    for row in rows:
        if progress:
            progress(row)
    return rows


def _failed(variant: str, batch: int, image_size: int, error: str) -> StepRow:
    return StepRow(
        variant, None, None, None, None, None, None, None, None, batch, image_size, None, error
    )


def _model(pad: str | None, device: torch.device) -> torch.nn.Module:
    model = paper_resnet50(
        "none" if pad is None else "wht", "early+late", pad=pad or "crop", pretrained=False
    )
    return model.to(device).to(memory_format=torch.channels_last).train()


def _step(model: torch.nn.Module, device: torch.device, batch: int, image_size: int) -> Call:
    generator = torch.Generator(device).manual_seed(0)
    images = torch.randn(batch, 3, image_size, image_size, generator=generator, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 100, (batch,), generator=generator, device=device)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimiser.step()

    return step


def _peak(call: Call, device: torch.device) -> int | None:
    call()  # plans, allocates, and looks for the fastest convolutions
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    call()
    return torch.cuda.max_memory_allocated(device)


def _macs(model: torch.nn.Module, device: torch.device, image_size: int) -> int:
    """Multiply-adds of convolutions and products for one image, forward."""
    counter = FlopCounterMode(display=False)
    was_training = model.training
    x = torch.zeros(1, 3, image_size, image_size, device=device)
    with torch.no_grad(), counter:
        model.eval()(x)
    model.train(was_training)
    return counter.get_total_flops() // 2
