"""What a transform costs inside a training step: ResNet-50 with and without, interleaved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from ..models.zoo import paper_resnet50
from .timing import Call, interleaved

#: Variants: transform and pad. With "keep" the late map stays 16 × 16, and what follows it works
#: on a larger one: that work is counted beside the time.
VARIANTS = {"none": None, "wht early+late, crop": "crop", "wht early+late, keep": "keep"}
#: How much longer a step with the cropped transform may take.
BAR = 0.02


@dataclass(frozen=True)
class StepRow:
    """One variant: milliseconds a step, more time than without, multiply-adds of one image."""

    variant: str
    milliseconds: float
    low: float
    high: float
    rounds: int
    more: float
    bar: float | None
    macs: int
    added_macs: int
    batch: int
    image_size: int
    peak_bytes: int | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


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
    channels_last, SGD with momentum."""
    models = {name: _model(pad, device) for name, pad in VARIANTS.items()}
    calls = {name: _step(model, device, batch, image_size) for name, model in models.items()}
    peaks = {name: _peak(call, device) for name, call in calls.items()}
    found = interleaved(calls, device=device, seconds=seconds, least_rounds=rounds)
    macs = {name: _macs(model, device, image_size) for name, model in models.items()}
    rows = []
    for name, timing in found.items():
        row = StepRow(
            variant=name,
            milliseconds=timing.seconds * 1e3,
            low=timing.low * 1e3,
            high=timing.high * 1e3,
            rounds=timing.rounds,
            more=timing.seconds / found["none"].seconds - 1,
            bar=BAR if VARIANTS[name] == "crop" and device.type == "cuda" else None,
            macs=macs[name],
            added_macs=macs[name] - macs["none"],
            batch=batch,
            image_size=image_size,
            peak_bytes=peaks[name],
        )
        rows.append(row)
        if progress:
            progress(row)
    return rows


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
    if device.type != "cuda":
        return None
    call()
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
