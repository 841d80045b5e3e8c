"""What Triton's compiler makes of a kernel for a GPU that need not be there: registers, spills,
shared memory, and whether loads run ahead."""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..transforms.gpu import plan

#: Registers and bytes of shared memory of one multiprocessor of compute capability 9.0, and what
#: one program may take of the latter.
REGISTERS, SHARED, LARGEST_SHARED = 65536, 228 * 1024, 227 * 1024


@dataclass(frozen=True)
class Compiled:
    """One kernel: registers a thread, bytes that did not fit them, shared bytes, and how many
    programs a multiprocessor holds at a time."""

    kernel: str
    registers: int
    spilled_bytes: int
    shared_bytes: int
    warps: int
    programs: int
    matrix_instructions: int
    warpgroup_instructions: int
    asynchronous_copies: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


def compiled(step: plan.Step, capability: int = 90) -> Compiled:
    """Compile one launch for `capability`; needs Triton, but no GPU."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, make_backend

    target = GPUTarget("cuda", capability, 32)
    kernel, options, signature, constants, attributes = _specialised(step, make_backend(target))
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    made = triton.compile(source, target=target, options=options.__dict__)
    registers, spilled = _resources(made.asm["cubin"])
    ptx, shared = made.asm["ptx"], made.metadata.shared
    by_registers = REGISTERS // (-(-registers // 8) * 8 * 32 * step.share.warps)
    by_shared = SHARED // (shared + 1024)
    return Compiled(
        kernel=step.kernel,
        registers=registers,
        spilled_bytes=spilled,
        shared_bytes=shared,
        warps=step.share.warps,
        programs=min(by_registers, by_shared, 64 // step.share.warps, 32),
        matrix_instructions=ptx.count("mma.sync"),
        warpgroup_instructions=ptx.count("wgmma.mma_async"),
        asynchronous_copies=ptx.count("cp.async.c"),
    )


def _specialised(step: plan.Step, backend: Any) -> tuple[Any, ...]:
    """The kernel, and its options, signature, constants and attributes as Triton's own launcher
    takes them from the values of a call whose tensors are aligned.

    A count that 16 divides, and one that is 1, makes other code. What this compiles, a later
    launch finds in Triton's cache.
    """
    from triton.runtime.jit import MockTensor, create_function_from_signature

    from ..transforms.gpu import launch

    kernel, given = launch._KERNELS[step.kernel], launch.constants(step)
    values = [
        MockTensor(step.source),
        MockTensor(step.target),
        *(MockTensor(one.dtype) for one in launch._matrices(step, torch.device("cpu"))),
        *launch._counts(step),
        step.scale,
    ]
    options = {"num_warps": step.share.warps, "num_stages": step.share.stages,
               "enable_fp_fusion": True, "debug": False}  # fmt: skip
    bind = create_function_from_signature(kernel.signature, kernel.params, backend)
    bound, found, named = bind(*values, **given, **options)
    return kernel, *kernel._pack_args(backend, {**given, **options}, bound, found, named)


def _resources(cubin: bytes) -> tuple[int, int]:
    """Registers a thread and bytes of stack, from the compiled code itself."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        found = subprocess.run(
            [_tool("cuobjdump"), "-res-usage", file.name],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    line = next(line for line in found.stdout.splitlines() if "REG:" in line)
    values = dict(word.split(":", 1) for word in line.split() if ":" in word)
    return int(values["REG"]), int(values["STACK"]) + int(values.get("LOCAL", 0))


def assembler() -> str:
    """The version of the assembler that Triton brings, for it chooses the registers."""
    found = subprocess.run(
        [_tool("ptxas"), "--version"], capture_output=True, text=True, check=True
    )
    return next(line for line in found.stdout.splitlines() if "release" in line)


def _tool(name: str) -> str:
    import triton

    return str(Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name)
