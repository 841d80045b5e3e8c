"""Everything that is measured of the transforms on a GPU, most valuable first, within N minutes.

    PYTHONPATH=src python benchmarks/gpu.py --minutes 9 --out benchmarks/results

Values of what is timed against fp64, gradients, opcheck and compile come first, in at most half of
the time; then the maps of ResNet-50 beside a copy of the same bytes, the training step, and the
rest of the table; then values of every other size. The result file is written after every section,
so what time cut short is kept. `--rehearse` runs the same code on the CPU with
small tensors. `--sweep` measures the neighbours of every entry of the kernels' tuning table.
It is the code of `orthowatt bench kernels`.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from orthowatt.bench import cases, kernels, machine, step, sweep, timed, values
from orthowatt.record import dumps, write_atomic

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Run the sections in order until the time is up; 1 if a value was wrong."""
    options = _options()
    device = torch.device("cpu" if options.rehearse else "cuda")
    run = Run(device, _folder(options), time.monotonic() + 60 * options.minutes, options.rehearse)
    sections: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "timed values": run.timed_values,
        "values": run.values,
        "first": run.first,
        "step": run.step,
        "rest": run.rest,
        "more values": run.values,
    }
    if options.sweep:
        sections = {"timed values": run.timed_values, "sweep": run.sweep}
    for name, section in sections.items():
        if name in (options.only or sections) and time.monotonic() < run.deadline:
            run.section(name, section)
    found = [run.result.get(f"{name}values", []) for name in ("timed ", "", "more ")]
    failed = [check["name"] for checks in found for check in checks if not check["passed"]]
    failed += [name for name in run.result if name.endswith(" failed")]
    print(f"{len(failed)} checks failed" + (": " + "; ".join(failed[:20]) if failed else ""))
    return 1 if failed else 0


class Run:
    """One run's device, deadline and result file."""

    def __init__(self, device: torch.device, folder: Path, deadline: float, rehearse: bool):
        self.device, self.deadline, self.rehearse = device, deadline, rehearse
        self.begin = time.monotonic()
        self.checks = values.checks(
            device,
            sizes=(7, 12, 28) if rehearse else values.SIZES,
            compiler="eager" if rehearse else "inductor",
        )
        name = "rehearsal" if rehearse else torch.cuda.get_device_name(device)
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        self.path = folder / f"{slug}-kernels.json"
        command = " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]])
        self.result: dict[str, Any] = {**machine.describe(device), "command": command}

    def section(self, name: str, work: Callable[[], list[dict[str, Any]]]) -> None:
        """Run one section and write what there is; an error is kept beside what came before."""
        begin = time.monotonic()
        try:
            self.result[name] = work()
        except Exception as error:  # the next section is worth running all the same
            self.result[f"{name} failed"] = f"{type(error).__name__}: {error}"
            print(f"{name} failed: {error}", file=sys.stderr)
        self.result.setdefault("seconds", {})[name] = time.monotonic() - begin
        self.result["complete"] = time.monotonic() < self.deadline
        write_atomic(self.path, dumps(self.result, indent=1) + "\n")
        print(f"-- {name}: {time.monotonic() - begin:.0f} s, written to {self.path}", flush=True)

    def timed_values(self) -> list[dict[str, Any]]:
        """Whether what is timed is right; as many processes compile, this takes a minute or two."""
        found = timed.run(
            self._entries(0, None),
            self.device,
            workers=2 if self.rehearse else max(2, min(8, (os.cpu_count() or 2) // 2)),
            progress=_print_wrong,
            deadline=self._part(0.3),
        )
        return _summed(found)

    def values(self) -> list[dict[str, Any]]:
        """Whether everything else is right; a second call goes on where the first had to stop."""
        first = "values" not in self.result
        deadline = self._part(0.5) if first else self.deadline
        return _summed(values.take(self.checks, _print_wrong, deadline))

    def _part(self, share: float) -> float:
        return self.begin + share * (self.deadline - self.begin)

    def first(self) -> list[dict[str, Any]]:
        """The Walsh-Hadamard transform in bf16 and fp32, and the cosine transform in bf16."""
        return self._rows(0, 3)

    def rest(self) -> list[dict[str, Any]]:
        """The other transforms, and one axis over channels."""
        return self._rows(3, None)

    def _rows(self, begin: int, end: int | None) -> list[dict[str, Any]]:
        found = kernels.run(
            cases=self._entries(begin, end),
            device=self.device,
            seconds=0.02 if self.rehearse else 0.5,
            deadline=self.deadline,
            progress=_print_row,
        )
        return [row.to_dict() for row in found]

    def _entries(self, begin: int, end: int | None) -> list[cases.Entry]:
        batch = 1 if self.rehearse else 64
        order = cases.GPU_ORDER[begin:end]
        lines = begin > 0 or end is None
        entries = cases.gpu_cases((torch.bfloat16, torch.float32), batch, order, lines=lines)
        if not self.rehearse:
            return list(entries)
        return [(name, None, case) for name, _, case in entries if max(case.shape[-2:]) <= 28]

    def step(self) -> list[dict[str, Any]]:
        """A training step of ResNet-50 with and without the transform."""
        small: dict[str, Any] = {"batch": 2, "image_size": 64, "seconds": 0.0}
        found = step.run(
            self.device,
            **(small if self.rehearse else {"seconds": 20.0}),
            progress=lambda row: print(
                f"step {row.variant}: {row.milliseconds:.1f} ms, {row.more:+.2%}, "
                f"{row.added_macs / 1e6:+.0f} M multiply-adds", flush=True,
            ),
        )  # fmt: skip
        return [row.to_dict() for row in found]

    def sweep(self) -> list[dict[str, Any]]:
        """The neighbours of the tuning table's entries, best first."""
        return sweep.run(self.device, deadline=self.deadline, small=self.rehearse)


def _print_wrong(check: values.Check) -> None:
    if not check.passed:
        print("WRONG", check, flush=True)


def _summed(found: list[values.Check]) -> list[dict[str, Any]]:
    print(f"{sum(check.passed for check in found)} of {len(found)} checks passed")
    return [check.to_dict() for check in found]


def _print_row(row: kernels.Row) -> None:
    print(
        f"{row.case:24} {row.dtype:9} {row.name:28} {row.milliseconds:9.4f} ms "
        f"{row.gb_per_second:7.0f} GB/s {row.ratio:6.2f}  {row.verdict()}", flush=True,
    )  # fmt: skip


def _folder(options: argparse.Namespace) -> Path:
    folder = options.out or (Path(tempfile.mkdtemp()) if options.rehearse else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9.0, help="no case begins after them")
    parser.add_argument("--out", type=Path, help="folder of the result file")
    parser.add_argument("--only", nargs="+", help="names of sections, as the result file has them")
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with small tensors")
    parser.add_argument(
        "--sweep", action="store_true", help="measure the tuning table's neighbours"
    )
    options = parser.parse_args()
    if not options.rehearse and not torch.cuda.is_available():
        parser.error("no CUDA device is visible here; --rehearse runs on the CPU")
    return options


if __name__ == "__main__":
    sys.exit(main())
