"""Launching: from a plan's steps to the kernels, on the tensor's own device and stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from . import tables
from .lines import lanes, rows
from .maps import maps
from .plan import Step
from .planes import planes

_KERNELS: dict[str, Any] = {"planes": planes, "maps": maps, "rows": rows, "lanes": lanes}
#: The largest grid along its first axis.
_LARGEST_GRID = 2**31 - 1


def run(steps: Sequence[Step], x: torch.Tensor, out: torch.Tensor) -> None:
    """Run the steps from x to out, of equal strides; out may be x. What lies between is fp32."""
    work = out
    if len(steps) > 1 and out.dtype != torch.float32:
        work = torch.empty_like(out, dtype=torch.float32)
    source = x
    for k, step in enumerate(steps):
        target = out if k == len(steps) - 1 else work
        launch(step, source, target)
        source = target


def launch(step: Step, x: torch.Tensor, y: torch.Tensor) -> None:
    """One step, x and y dense in the step's dtypes."""
    grid = min(step.blocks, _LARGEST_GRID)
    if step.share.programs and x.is_cuda:
        chip = torch.cuda.get_device_properties(x.device).multi_processor_count
        grid = min(grid, chip * step.share.programs)
    share = step.share
    _KERNELS[step.kernel][(grid,)](
        x, y, *_matrices(step, x.device), *_counts(step), step.scale, **constants(step),
        num_warps=share.warps, num_stages=share.stages, enable_fp_fusion=True,
    )  # fmt: skip


def _counts(step: Step) -> tuple[int, ...]:
    if step.kernel in ("planes", "rows"):
        return (step.outer,)
    if step.inner == 1:  # rows as lanes
        return 1, step.outer // _grain(step)
    return step.outer, step.inner // _grain(step)


def _grain(step: Step) -> int:
    """A power of two that divides `inner`: the compiler has to know it to read more at a time."""
    inner = step.outer if step.inner == 1 else step.inner
    return min(16, inner & -inner)


def _matrices(step: Step, device: torch.device) -> list[torch.Tensor]:
    exact = step.x_pieces == 1 and step.source == torch.float16
    dtype = torch.float16 if exact else torch.bfloat16
    count = step.matrix_pieces
    if len(step.axes) == 1:
        return [tables.table(step.axes[0], count, step.kernel == "rows", dtype, device)]
    left, right = step.axes
    if step.joint:
        return [
            tables.joint(left.size, left.norm, "left", count, left.pad, dtype, device),
            tables.joint(right.size, right.norm, "right", count, right.pad, torch.bfloat16, device),
        ]
    turned = step.kernel == "planes"
    return [
        tables.table(left, count, False, dtype, device),
        tables.table(right, count, turned, torch.bfloat16, device),
    ]


def constants(step: Step) -> dict[str, Any]:
    """The kernel's compile-time arguments."""
    first = step.axes[0]
    found: dict[str, Any] = {
        "way_in": first.way_in,
        "way_out": first.way_out,
        "matrix_sets": 2 if step.joint else first.sets,
        "x_pieces": step.x_pieces,
        "matrix_pieces": step.matrix_pieces,
        "stages": step.share.stages,
    }
    if step.kernel in ("maps", "lanes"):
        found["grain"] = _grain(step)
    if step.kernel == "lanes":
        found["turned"] = step.inner == 1
    if len(step.axes) == 1:
        names = {"size_in": first.inside, "size_out": first.outside, "parts": first.parts,
                 "pad": first.pad, "block": step.share.block}  # fmt: skip
        return found | names
    second = step.axes[1]
    block = "together" if step.kernel == "planes" else "lanes"
    return found | {
        "rows_in": first.inside, "cols_in": second.inside,
        "rows_out": first.outside, "cols_out": second.outside,
        "row_parts": first.parts, "col_parts": second.parts,
        "row_pad": first.pad, "col_pad": second.pad, block: step.share.block,
        "joint": step.joint, "between_pieces": step.between_pieces,
    }  # fmt: skip
