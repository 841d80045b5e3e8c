"""What the compiler makes of every kernel that the maps of ResNet-50 take, without a GPU.

    python benchmarks/gpu_compiled.py --out benchmarks/results/sm90-compiled.json

Registers, bytes spilled, shared memory and programs a multiprocessor for compute capability 9.0:
what can be known of the tuning table before a GPU is at hand.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

from orthowatt.bench import cases, compiler, machine
from orthowatt.record import dumps, write_atomic
from orthowatt.transforms.gpu import plan


def main() -> int:
    """Print the table and write it; 1 if a kernel needs more shared memory than there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    options = parser.parse_args()
    rows = []
    for name, _, case in cases.gpu_cases((torch.bfloat16, torch.float32)):
        if options.only in name:
            for row in _compiled(name, case):
                print(*row.values(), flush=True)
                rows.append(row)
    if options.out:
        result = {**machine.describe(torch.device("cpu")), "capability": "9.0", "rows": rows}
        result["command"] = " ".join(["python", "benchmarks/gpu_compiled.py", *sys.argv[1:]])
        write_atomic(options.out, dumps(result, indent=1) + "\n")
    return int(any(row["shared_bytes"] > compiler.LARGEST_SHARED for row in rows))


def _compiled(name: str, case: cases.Case) -> list[dict[str, Any]]:
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    strides = torch.empty(case.shape, device="meta", memory_format=layout).stride()
    if case.pad:
        full = case.result_shape[-2:]
        step = plan.resized(
            case.shape, strides, case.dtype, case.kind, case.dims, "ortho", False, full, full
        )
        steps = () if step is None else (step,)
    else:
        steps = plan.steps(case.shape, strides, case.dtype, case.kind, case.dims, "ortho", False)
    if isinstance(steps, str):
        print(name, steps)
        return []
    dtype = str(case.dtype).removeprefix("torch.")
    return [
        {"case": name, "pass": k, "dtype": dtype, **compiler.compiled(step).to_dict()}
        for k, step in enumerate(steps)
    ]


if __name__ == "__main__":
    sys.exit(main())
