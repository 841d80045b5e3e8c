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


class Launch:
    """One step on one device, ready to run: compiled once for each alignment of its tensors.

    The grid is as many programs as the device holds at a time, each taking block after block, so
    that matrices are read once a program; the results do not depend on how many there are.
    """

    def __init__(self, step: Step, device: torch.device):
        self.step, self.device = step, device
        kernel = _KERNELS[step.kernel]
        given = constants(step)
        self._first = (*_matrices(step, device), *_counts(step), step.scale)
        ordered = [given[name] for name in kernel.arg_names if name in given]
        self._arguments = (*self._first, *ordered)
        self._kernel, self._named = kernel, given
        self._compiled: dict[tuple[bool, bool], Any] = {}
        self._grid = (min(step.blocks, _LARGEST_GRID), 1, 1)

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Transform x into y, both dense in the step's dtypes."""
        # What the compiler was told of the addresses; everything else is the same at every call.
        aligned = (x.data_ptr() % 16 == 0, y.data_ptr() % 16 == 0)
        ready = self._compiled.get(aligned)
        if ready is not None:
            ready(x, y, *self._arguments)
            return
        share = self.step.share
        made = self._kernel[self._grid](
            x, y, *self._first, **self._named, num_warps=share.warps, num_stages=share.stages,
            enable_fp_fusion=True,
        )  # fmt: skip
        if made is not None:  # the interpreter compiles nothing
            held = share.programs or _held(made, share.warps, self.device)
            self._grid = (min(self._grid[0], held * _multiprocessors(self.device)), 1, 1)
            self._compiled[aligned] = made[self._grid]


def _multiprocessors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count


def _held(made: Any, warps: int, device: torch.device) -> int:
    """How many programs one multiprocessor holds, by registers, shared memory and threads."""
    chip = torch.cuda.get_device_properties(device)
    registers = -(-made.n_regs // 8) * 8 * 32 * warps
    shared = made.metadata.shared + 1024  # the system keeps one KB a program
    most = getattr(chip, "max_threads_per_multi_processor", 2048) // (32 * warps)
    return max(1, min(
        getattr(chip, "regs_per_multiprocessor", 65536) // registers,
        getattr(chip, "shared_memory_per_multiprocessor", 228 * 1024) // shared,
        most, 32,
    ))  # fmt: skip


def run(launches: Sequence[Launch], x: torch.Tensor, out: torch.Tensor) -> None:
    """Run launches from x to out, of equal strides; out may be x. What lies between is fp32."""
    work = out
    if len(launches) > 1 and out.dtype != torch.float32:
        work = torch.empty_like(out, dtype=torch.float32)
    source = x
    for k, one in enumerate(launches):
        target = out if k == len(launches) - 1 else work
        one(source, target)
        source = target


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
