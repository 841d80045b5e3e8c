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
_NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


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
    from triton.compiler import ASTSource

    from ..transforms.gpu import launch

    kernel = launch._KERNELS[step.kernel]
    constants = {(kernel.arg_names.index(k),): v for k, v in launch.constants(step).items()}
    source = ASTSource(
        fn=kernel, signature=_signature(step), constexprs=constants,
        attrs={(k,): [["tt.divisibility", 16]] for k in range(_pointers(step))},
    )  # fmt: skip
    options = {"num_warps": step.share.warps, "num_stages": step.share.stages,
               "enable_fp_fusion": True}  # fmt: skip
    made = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
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


def _pointers(step: plan.Step) -> int:
    """x, y and the matrices, the first arguments of a kernel."""
    return 2 if step.kernel == "mirror" else 2 + len(step.axes)


def _signature(step: plan.Step) -> dict[str, str]:
    from ..transforms.gpu import launch

    kernel, constants = launch._KERNELS[step.kernel], launch.constants(step)
    matrices = {"left": "*bf16", "right": "*bf16"}
    if step.x_pieces == 1 and step.source == torch.float16:
        matrices["right" if step.kernel == "rows" else "left"] = "*fp16"
    kinds = {"x": "*" + _NAMES[step.source], "y": "*" + _NAMES[step.target], "scale": "fp32"}
    return {
        name: "constexpr" if name in constants else (kinds | matrices).get(name, "i32")
        for name in kernel.arg_names
    }


def _resources(cubin: bytes) -> tuple[int, int]:
    """Registers a thread and bytes of stack, from the compiled code itself."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        found = subprocess.run(
            [str(tool), "-res-usage", file.name], capture_output=True, text=True, check=True
        )
    line = next(line for line in found.stdout.splitlines() if "REG:" in line)
    values = dict(word.split(":", 1) for word in line.split() if ":" in word)
    return int(values["REG"]), int(values["STACK"]) + int(values.get("LOCAL", 0))
