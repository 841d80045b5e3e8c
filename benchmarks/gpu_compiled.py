"""What the compiler makes of every kernel that the maps of ResNet-50 take, without a GPU.

    python benchmarks/gpu_compiled.py --out benchmarks/results/sm90-compiled.json

Registers, bytes spilled, shared memory and programs a multiprocessor for compute capability 9.0,
of the code that a call would launch: what can be known of the tuning table before a GPU is at hand.
Another Triton's code is seen by putting it first:

    pip install --target triton-3.6 --no-deps triton==3.6.0
    PYTHONPATH=triton-3.6:src python benchmarks/gpu_compiled.py
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import torch
import triton

from orthowatt.bench import cases, compiler, machine
from orthowatt.bench.pool import outcomes
from orthowatt.bench.routes import steps_of
from orthowatt.record import dumps, write_atomic


def main() -> int:
    """Print the table and write it; 1 if a kernel does not compile, or needs more shared memory
    than there is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes; 0: this one"
    )
    options = parser.parse_args()
    jobs = [
        ({"case": name, "pass": k, "dtype": str(case.dtype).removeprefix("torch.")}, step)
        for name, _, case in cases.gpu_cases((torch.bfloat16, torch.float32))
        if options.only in name
        for k, step in enumerate(_steps(name, case))
    ]
    rows: list[dict[str, Any] | None] = [None] * len(jobs)
    steps = [step for _, step in jobs]
    for one in outcomes(compiler.compiled, steps, workers=options.workers):
        row = {**jobs[one.index][0], "error": one.error}
        row |= {} if one.error else one.found.to_dict()
        print(*row.values(), flush=True)
        rows[one.index] = row
    if options.out:
        result = {**machine.describe(torch.device("cpu")), "capability": "9.0"}
        result["command"] = " ".join(["python", "benchmarks/gpu_compiled.py", *sys.argv[1:]])
        result |= {"triton": triton.__version__, "ptxas": compiler.assembler(), "rows": rows}
        write_atomic(options.out, dumps(result, indent=1) + "\n")
    return int(any(
        row is None or row["error"] or row["shared_bytes"] > compiler.LARGEST_SHARED
        for row in rows
    ))  # fmt: skip


def _steps(name: str, case: cases.Case) -> tuple[Any, ...]:
    steps = steps_of(case)
    if isinstance(steps, str):
        print(name, steps)
        return ()
    return steps


if __name__ == "__main__":
    sys.exit(main())
