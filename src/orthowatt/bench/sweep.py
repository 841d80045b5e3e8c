"""The neighbours of every entry of the kernels' tuning table, measured, best first.

The table itself stays fixed, so that results repeat; this says how it should be corrected.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator
from typing import Any

import torch

from ..transforms.gpu import plan, tuning
from ..transforms.gpu.axis import Axis, axis
from .cases import Case, gpu_cases
from .timing import interleaved

#: Rotating tensors of one case, at most so many bytes each way.
_BYTES = 256 * 2**20
#: Bytes between two launches that are tried, in MiB.
GROUPS = (0, 8, 12, 16, 20, 25, 32, 40)


def run(
    device: torch.device, *, deadline: float = float("inf"), small: bool = False
) -> list[dict[str, Any]]:
    """One row a case and neighbour that runs, sorted by time within its case."""
    rows: list[dict[str, Any]] = []
    for name, _, case in gpu_cases((torch.bfloat16, torch.float32), 1 if small else 64):
        if time.monotonic() > deadline:
            break
        layout = torch.channels_last if case.channels_last else torch.contiguous_format
        strides = torch.empty(case.shape, device="meta", memory_format=layout).stride()
        steps = plan.steps(case.shape, strides, case.dtype, case.kind, case.dims, "ortho", False)
        if isinstance(steps, str) or case.pad or (small and max(case.shape[-2:]) > 14):
            continue
        if len(steps) > 1 and not small:
            rows += _groups(name, steps, case, device, deadline)
        for k, step in enumerate(steps):
            if small:  # there is nothing to launch on: the list itself is rehearsed
                rows += [_row(name, k, one, None) for one in neighbours(step)]
            else:
                rows += _measured(name, k, step, case, device, deadline)
    return rows


def neighbours(step: plan.Step) -> Iterator[plan.Step]:
    """The step itself, then others of the same result: parts, warps, blocks, loads ahead."""
    share = step.share
    yield step
    blocks = sorted({max(1, share.block // 2), share.block, share.block * 2})
    warps = sorted({max(1, share.warps // 2), share.warps, min(16, share.warps * 2)})
    for axes, block, warp in itertools.product(_partings(step), blocks, warps):
        if step.kernel in ("rows", "lanes") and block < 16:
            continue
        if block * tuning.entries(*axes) > 2 * tuning.LARGEST_TILE:
            continue
        for stages in (1, 2):
            new = tuning.Share(block, warp, stages)
            found = dataclasses.replace(step, axes=axes, share=new)
            if found != step:
                yield found


def _partings(step: plan.Step) -> list[Any]:
    """The same axes in other numbers of parts."""
    choices = []
    for one in step.axes:
        found = [one]
        if isinstance(one, Axis):
            for part in (32, 64, 128):
                other = axis(one.kind, one.size, one.norm, one.transpose, part)
                if other is not None and other not in found:
                    found.append(other)
        choices.append(found)
    pairs = [tuple(axes) for axes in itertools.product(*choices)]
    return [axes for axes in pairs if len({(a.way_in, a.way_out) for a in axes}) == 1]


def _measured(
    name: str, k: int, step: plan.Step, case: Case, device: torch.device, deadline: float
) -> list[dict[str, Any]]:
    from ..transforms.gpu import launch

    x = case.tensor(device).to(step.source)
    count = max(1, _BYTES // (x.numel() * x.element_size()))
    inputs = [x, *(x.clone() for _ in range(count - 1))]
    outputs = [torch.empty_like(one, dtype=step.target) for one in inputs]
    rows = []
    for one in neighbours(step):
        if time.monotonic() > deadline:
            break
        turn = itertools.cycle(zip(inputs, outputs, strict=True))

        try:
            ready = launch.Launch(one, device)

            def call(ready: Any = ready, turn: Any = turn) -> None:
                ready(*next(turn))

            found = interleaved({"call": call}, device=device, seconds=0.05, most_rounds=20)
        except Exception as error:  # too many registers or bytes for this GPU: no candidate
            rows.append(_row(name, k, one, None, f"{type(error).__name__}: {error}"[:200]))
            continue
        rows.append(_row(name, k, one, found["call"].seconds * 1e3))
    rows.sort(key=lambda row: (row["milliseconds"] is None, row["milliseconds"] or 0.0))
    for row in rows[:4]:
        print(row, flush=True)
    return rows


def _groups(
    name: str, steps: tuple[plan.Step, ...], case: Case, device: torch.device, deadline: float
) -> list[dict[str, Any]]:
    """How much may lie between two launches: 0 stands for no groups at all."""
    from ..transforms.gpu import launch

    x = case.tensor(device)
    count = max(1, _BYTES // (x.numel() * x.element_size()))
    tensors = [(one, torch.empty_like(one)) for one in (x, *(x.clone() for _ in range(count - 1)))]
    rows = []
    for mebibytes in GROUPS:
        if time.monotonic() > deadline:
            break
        ready, turn = launch.Passes(steps, device, mebibytes * 2**20), itertools.cycle(tensors)

        def call(ready: Any = ready, turn: Any = turn) -> None:
            ready(*next(turn))

        found = interleaved({"call": call}, device=device, seconds=0.1, most_rounds=40)
        row = {
            "case": name,
            "dtype": str(case.dtype).removeprefix("torch."),
            "between_mebibytes": mebibytes,
            "milliseconds": found["call"].seconds * 1e3,
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def _row(
    name: str, k: int, step: plan.Step, milliseconds: float | None, error: str | None = None
) -> dict[str, Any]:
    return {
        "case": name,
        "pass": k,
        "dtype": str(step.source).removeprefix("torch."),
        "kernel": step.kernel,
        "parts": [axis.parts for axis in step.axes],
        "pads": [axis.pad for axis in step.axes],
        **dataclasses.asdict(step.share),
        "milliseconds": milliseconds,
        "error": error,
    }
