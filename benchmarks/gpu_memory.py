"""The planned memory of training against the measured peak, on one device.

    python benchmarks/gpu_memory.py [--device cuda] [--out FILE.json]

For ResNet-18 and ResNet-50 at 224 pixels and three batch sizes each, in the precision that the
device computes best and in fp32, it trains a few steps as a run does and compares the peak of
torch's allocator with the plan. The first steps are kept apart: cuDNN's search for the fastest
algorithms takes workspaces then that it gives back. On the CPU, smaller batches are used and the
allocator is watched by torch's profiler, without oneDNN, whose workspaces a GPU does not have.
The exit code is 1 where an estimate is off by more than 15 %.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from orthowatt.bench.machine import describe
from orthowatt.config import RunConfig
from orthowatt.models.zoo import build
from orthowatt.record import dumps, write_atomic
from orthowatt.train.accumulate import parts
from orthowatt.train.optimise import Stepper
from orthowatt.train.planner import plan, room
from orthowatt.train.runtime import autocast, resolve_device, resolve_precision

LIMIT = 0.15
SIZES = {"cuda": (32, 64, 128), "cpu": (4, 12, 24)}
WARM_UP, STEPS = 5, 3


def main() -> int:
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--device", default="auto")
    options.add_argument("--out", type=Path)
    options.add_argument("--models", nargs="+", default=["resnet18", "resnet50"])
    options.add_argument("--image-size", type=int, default=224)
    given = options.parse_args()
    device = resolve_device(given.device)
    precisions = dict.fromkeys((resolve_precision("auto", device), "fp32"))
    rows = []
    for name in given.models:
        for batch in SIZES[device.type]:
            for precision in precisions:
                for micro in (None, batch // 2):
                    config = RunConfig(
                        model=name, image_size=given.image_size, batch_size=batch,
                        micro_batch=micro, precision=precision,
                    )  # fmt: skip
                    rows.append(compare(config, device))
                    print(json.dumps(rows[-1]), flush=True)
    worst = max(abs(row["error"]) for row in rows)
    found = {"machine": describe(device), "limit": LIMIT, "worst_error": worst, "rows": rows}
    found["machine"]["command"] = " ".join(["python", *sys.argv])
    if given.out is not None:
        write_atomic(given.out, dumps(found, indent=1) + "\n")
    print(f"worst error {worst:.1%}, limit {LIMIT:.0%}")
    return int(worst > LIMIT)


def compare(config: RunConfig, device: torch.device) -> dict[str, Any]:
    """Plan and measure one configuration."""
    model = build(config.model, num_classes=100).to(device).to(memory_format=torch.channels_last)
    planned = plan(model, config, room(device), channels=3, precision=config.precision)
    stepper = Stepper(model, config, device, config.precision)
    measure = _on_gpu if device.type == "cuda" else _on_cpu
    peak = measure(lambda: _step(model, stepper, config, device), model, device)
    return {
        "model": config.model,
        "batch_size": config.batch_size,
        "micro_batch": config.micro_batch,
        "precision": config.precision,
        "estimate_bytes": planned.total,
        **peak,
        "error": planned.total / peak["peak_allocated_bytes"] - 1,
    }


def _step(model: Any, stepper: Stepper, config: RunConfig, device: torch.device) -> None:
    size = config.image_size
    images = torch.zeros(config.batch_size, 3, size, size, device=device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.zeros(config.batch_size, dtype=torch.int64, device=device)
    model.train()
    for some, theirs, share in parts(images, labels, config.micro_batch):
        with autocast(config.precision, device):
            logits = model(some)
        stepper.backward(F.cross_entropy(logits.float(), theirs) * share)
    stepper.update(1e-4)


def _on_gpu(step: Any, model: Any, device: torch.device) -> dict[str, int]:
    torch.backends.cudnn.benchmark = True  # as a run with determinism=fast
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    for _ in range(WARM_UP):
        step()
    first = torch.cuda.max_memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    for _ in range(STEPS):
        step()
    free, total = torch.cuda.mem_get_info(device)
    return {
        "first_steps_peak_bytes": first,
        "peak_allocated_bytes": torch.cuda.max_memory_allocated(device),
        "peak_reserved_bytes": torch.cuda.max_memory_reserved(device),
        "driver_bytes": total - free,
    }


def _on_cpu(step: Any, model: Any, device: torch.device) -> dict[str, int]:
    held = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    torch._C._set_mkldnn_enabled(False)
    try:
        with profile(
            activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True
        ) as found:
            step()
            step()
    finally:
        torch._C._set_mkldnn_enabled(True)
    live = peak = 0
    for event in found.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            live += event.nbytes()
            peak = max(peak, live)
    return {"peak_allocated_bytes": held + peak}


if __name__ == "__main__":
    sys.exit(main())
