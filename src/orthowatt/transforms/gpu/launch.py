"""Launching: from a plan's steps to the kernels, on the tensor's own device and stream."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from ...errors import InputError
from . import tables, tuning
from .axis import JointPlane
from .lines import lanes, rows
from .maps import maps
from .mirror import mirror
from .plan import Step
from .planes import planes

_KERNELS: dict[str, Any] = {
    "planes": planes, "maps": maps, "rows": rows, "lanes": lanes, "mirror": mirror,
}  # fmt: skip
#: The largest grid along its first axis.
_LARGEST_GRID = 2**31 - 1


class Launch:
    """One step on one device, ready to run: compiled once for each alignment of its tensors.

    The grid is as many programs as the device holds at a time, each taking block after block, so
    that matrices are read once a program; the results do not depend on how many there are.
    """

    def __init__(self, step: Step, device: torch.device):
        _refuse_capture(device)
        self.step, self.device = step, device
        kernel = _KERNELS[step.kernel]
        given = constants(step)
        self._first = (*_matrices(step, device), *_counts(step), step.scale)
        self._kernel, self._named = kernel, given
        self._arguments = (*self._first, *self._ordered())
        self._made: set[tuple[bool, bool]] = set()
        self._compiled: dict[tuple[bool, bool], Any] = {}
        self._grid = (min(step.blocks, _LARGEST_GRID), 1, 1)

    def __call__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        """Transform x into y, both dense in the step's dtypes."""
        # What the compiler was told of the addresses; everything else is the same at every call.
        aligned = (x.data_ptr() % 16 == 0, y.data_ptr() % 16 == 0)
        ready = self._compiled.get(aligned)
        if ready is not None and not indirect:
            try:
                ready(x, y, *self._arguments)
                return
            except Exception as error:  # of many kinds; the ordinary launch raises it if it is real
                _launch_indirectly(error)
        if aligned not in self._made:
            _refuse_capture(self.device)
        try:
            made = self._launch(x, y)
        except Exception as error:
            if self._named.get("stages", 1) == 1 or type(error).__name__ != "OutOfResources":
                raise
            # Loads ahead take shared memory, of which other GPUs have less.
            self._named["stages"] = 1
            self._arguments = (*self._first, *self._ordered())
            made = self._launch(x, y)
        self._made.add(aligned)
        if made is not None and not indirect:  # the interpreter compiles nothing
            self._keep(aligned, made)

    def _launch(self, x: torch.Tensor, y: torch.Tensor) -> Any:
        return self._kernel[self._grid](
            x, y, *self._first, **self._named, num_warps=self.step.share.warps,
            num_stages=self._named.get("stages", 1), enable_fp_fusion=True,
        )  # fmt: skip

    def _ordered(self) -> list[Any]:
        """The compile-time arguments as the kernel's signature has them."""
        return [self._named[name] for name in self._kernel.arg_names if name in self._named]

    def _keep(self, aligned: tuple[bool, bool], made: Any) -> None:
        """Launch what was compiled without Triton's binding of arguments from now on."""
        share = self.step.share
        try:
            held = share.programs or _held(made, share.warps, self.device)
            self._grid = (min(self._grid[0], held * _multiprocessors(self.device)), 1, 1)
            self._compiled[aligned] = made[self._grid]
        except Exception as error:  # another version of Triton: only the shortcut is lost
            _launch_indirectly(error)


#: Why kernels are launched the ordinary way, which costs more time a call; empty as a rule.
indirect: list[str] = []


def _launch_indirectly(error: Exception) -> None:
    indirect.append(f"{type(error).__name__}: {error}")
    warnings.warn(
        f"orthowatt's kernels are launched the slower way with this version of Triton "
        f"({indirect[-1]}); results are the same",
        stacklevel=2,
    )


def _refuse_capture(device: torch.device) -> None:
    """The first call compiles, loads and copies, none of which a CUDA graph can hold."""
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        raise InputError(
            "this transform is captured in a CUDA graph before it ever ran on such a tensor; "
            "call it once outside the capture first, on a tensor of the same shape and layout"
        )


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


class Passes:
    """All launches of one call. What lies between two of them is fp32.

    Several go group by group: a group is so small that what lies between its launches stays in
    the L2 cache, instead of a trip to memory and back. The results do not depend on the groups.
    """

    def __init__(self, steps: Sequence[Step], device: torch.device, between: int | None = None):
        first, last = steps[0], steps[-1]
        # The last launch may write what it reads, except where it reads from places that it wrote.
        self._own = last.target != torch.float32 or last.kernel == "mirror"
        self.proven = len(steps) == 1  # whether every launch has run: none can fail any more
        self._each = first.elements // first.outer
        most = _between_bytes(device) if between is None else between
        self._group = _group(first.outer, 4 * self._each, most) if len(steps) > 1 else first.outer
        sizes = [self._group] if self._group < first.outer else []
        rest = first.outer % self._group or self._group
        self._launches = {
            size * self._each: [
                Launch(replace(step, outer=step.outer // first.outer * size), device)
                for step in steps
            ]
            for size in {*sizes, rest}
        }

    def __call__(self, x: torch.Tensor, out: torch.Tensor) -> None:
        """From x to out, both dense and of equal strides; out may be x."""
        if len(self._launches) == 1 and (launches := self._launches.get(x.numel())) is not None:
            work = out
            if len(launches) > 1 and self._own:
                work = torch.empty_like(out, dtype=torch.float32)
            _chain(launches, x, work, out)
            self.proven = True
            return
        size = self._group * self._each
        work = None
        if self._own:
            work = torch.empty(size, dtype=torch.float32, device=x.device)
        for a, b in zip(_flat(x).split(size), _flat(out).split(size), strict=True):
            _chain(self._launches[a.numel()], a, b if work is None else work, b)
        self.proven = True


def _chain(
    launches: Sequence[Launch], x: torch.Tensor, work: torch.Tensor, out: torch.Tensor
) -> None:
    for one in launches[:-1]:
        one(x, work)
        x = work
    launches[-1](x, out)


def _flat(x: torch.Tensor) -> torch.Tensor:
    return x.as_strided((x.numel(),), (1,))


def _group(outer: int, bytes_each: int, most: int) -> int:
    """How many of `outer` go together: groups of like size, of at most about `most` bytes."""
    if bytes_each > most or outer * bytes_each <= most:
        return outer
    groups = -(-outer * bytes_each // most)
    size = -(-outer // groups)
    return min(outer, -(-size // 8) * 8 if size > 8 else size)  # addresses stay aligned


def _between_bytes(device: torch.device) -> int:
    """Half of the L2 cache: the other half is for what is read and written."""
    if device.type != "cuda":
        return tuning.BETWEEN_BYTES
    chip = torch.cuda.get_device_properties(device)
    return getattr(chip, "L2_cache_size", 2 * tuning.BETWEEN_BYTES) // 2


def _counts(step: Step) -> tuple[int, ...]:
    if step.kernel in ("planes", "rows"):
        return (step.outer,)
    if step.inner == 1 and step.kernel != "mirror":  # rows as lanes
        return 1, step.outer // _grain(step)
    return step.outer, step.inner // _grain(step)


def _grain(step: Step) -> int:
    """A power of two that divides `inner`: the compiler has to know it to read more at a time.

    1 where `inner` takes 64 bits, for a product of two 32-bit numbers would not.
    """
    inner = step.outer if step.inner == 1 and step.kernel != "mirror" else step.inner
    return min(16, inner & -inner) if inner < 2**31 else 1


def _matrices(step: Step, device: torch.device) -> list[torch.Tensor]:
    if isinstance(step.axes[0], JointPlane):
        return []
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
    if isinstance(first, JointPlane):
        return {"rows": first.rows, "cols": first.cols, "pad": first.pad,
                "block": step.share.block, "grain": _grain(step),
                "flat": step.inner == 1}  # fmt: skip
    found: dict[str, Any] = {
        "way_in": first.way_in,
        "way_out": first.way_out,
        "sums": first.sums,
        "matrix_sets": 2 if step.joint else first.sets,
        "x_pieces": step.x_pieces,
        "matrix_pieces": step.matrix_pieces,
        "stages": step.share.stages,
    }
    if step.kernel in ("maps", "lanes"):
        found["grain"] = _grain(step)
    if step.kernel == "lanes":
        found["turned"] = step.inner == 1
        found["packed"] = step.packed
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
