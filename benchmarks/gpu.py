"""Everything that is measured of the transforms on a GPU, most valuable first, within N minutes.

    PYTHONPATH=src python benchmarks/gpu.py --minutes 9 --out benchmarks/results

Values of what is timed against fp64, gradients, opcheck and compile come first, by several
processes and in at most half of the time; then the maps of ResNet-50 beside a copy of the same
bytes, the training step, and the rest of the table; then the values that were left. The file
`<device>-kernels.json` is written as the rows come, so what ends the run early costs a case at
most, and an error costs the check or case that it is in: its row says why, and the exit code is 1.

    python benchmarks/gpu.py --only step                     # into the file of the same code
    python benchmarks/gpu.py --sweep --cases "dct2 plane"    # neighbours of the tuning table
    python benchmarks/gpu.py --sweep --over benchmarks/results/<device>-kernels.json

A sweep writes `<device>-sweep.json`, of some cases `<device>-sweep-dct2-plane.json`. `--rehearse`
runs the same code on the CPU with small tensors. It is the code of `orthowatt bench kernels`: peers
are timed where they are installed (fast_hadamard_transform is built from its source, with nvcc).
"""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from orthowatt.bench import cases, checks, kernels, machine, step, sweep, timed
from orthowatt.bench.pool import reason
from orthowatt.bench.results import ResultFile
from orthowatt.bench.values import Check
from orthowatt.errors import InputError

RESULTS = Path(__file__).parent / "results"
SECTIONS = ("timed values", "values", "first", "step", "rest", "more values")
SWEEP = ("timed values", "sweep")

Add = Callable[[dict[str, Any]], None]


def main() -> int:
    """Run the sections in order until the time is up; 1 if a value was wrong or a case failed."""
    options = _options()
    try:
        run = Run(options)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    wanted = options.only or (SWEEP if options.sweep else SECTIONS)
    for name in wanted:
        if time.monotonic() < run.deadline:
            run.section(name)
    run.finish(wanted)
    failed = run.failures(wanted)
    print(f"{len(failed)} failed" + (": " + "; ".join(failed[:20]) if failed else ""))
    return 1 if failed else 0


class Run:
    """One run's device, deadline and result file."""

    def __init__(self, options: argparse.Namespace):
        self.rehearse = options.rehearse
        self.device = torch.device("cpu" if options.rehearse else "cuda")
        self.begin = time.monotonic()
        self.deadline = self.begin + 60 * options.minutes
        self.workers = 2 if self.rehearse else max(2, min(12, (os.cpu_count() or 2) - 2))
        self.choice = sweep.Choice.of(options.cases, options.over)
        self.left = checks.jobs(
            self.device,
            sizes=(7, 12, 28) if self.rehearse else checks.SIZES,
            compiler="eager" if self.rehearse else "inductor",
        )
        self.command = " ".join(["python", "benchmarks/gpu.py", *sys.argv[1:]])
        name = "rehearsal" if self.rehearse else torch.cuda.get_device_name(self.device)
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
        path = _folder(options) / f"{slug}-{_what(options)}.json"
        facts = {**machine.describe(self.device), "command": self.command, "device_name": name}
        self.file = ResultFile(path, facts)
        if options.only:
            kept = [one for one in self.file.join() if one not in options.only]
            print(f"into {path}, which keeps: {', '.join(kept) or 'nothing yet'}", flush=True)

    def section(self, name: str) -> None:
        """Run one section and write how it ended."""
        work: Callable[[Add], int] = getattr(self, name.replace(" ", "_"))
        begin, left, error = time.monotonic(), None, None
        add = self.file.section(name)
        try:
            left = work(add)
        except Exception as problem:  # the next section is worth running all the same
            error = reason(problem)
            print(f"{name} failed: {error}", file=sys.stderr)
        self.file.end(
            name, error=error, left=left, seconds=time.monotonic() - begin, command=self.command,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            host=self.file.data["hardware"]["slug"],
        )  # fmt: skip
        seconds = time.monotonic() - begin
        print(f"-- {name}: {seconds:.0f} s, {left} left, in {self.file.path}", flush=True)

    def finish(self, wanted: tuple[str, ...]) -> None:
        """Write down whether every section came to its end."""
        found = {name: self.file.data["sections"].get(name, {}) for name in wanted}
        if "more values" in found:  # where the first had to stop, the second goes on
            found.pop("values", None)
        self.file.data["complete"] = all(facts.get("left") == 0 for facts in found.values())
        self.file.write()

    def failures(self, wanted: tuple[str, ...]) -> list[str]:
        """Names of the checks and cases that failed, and of sections that could not go on."""
        failed = []
        for name in wanted:
            if self.file.data["sections"].get(name, {}).get("error"):
                failed.append(name)
            for row in self.file.data.get(name, []):
                if row.get("passed") is False:
                    failed.append(row["name"])
                elif row.get("error") and name != "sweep":  # there it is no candidate
                    words = (row.get(key) for key in ("case", "layout", "dtype", "name", "variant"))
                    failed.append(" ".join(word for word in words if word))
        return failed

    def timed_values(self, add: Add) -> int:
        """Whether what is timed is right; as many processes compile, this takes a minute or two."""
        entries = self._entries(0, None)
        found = timed.run(
            entries, self.device, workers=self.workers, progress=_checked(add),
            deadline=self._part(0.3),
        )  # fmt: skip
        return len(entries) - len(found)

    def values(self, add: Add) -> int:
        """Whether everything else is right, in at most half of the time."""
        return self._values(add, self._part(0.5))

    def more_values(self, add: Add) -> int:
        """The checks that were left."""
        return self._values(add, self.deadline)

    def _values(self, add: Add, deadline: float) -> int:
        _, self.left = checks.run(
            self.device, self.left, workers=self.workers, progress=_checked(add), deadline=deadline
        )
        return len(self.left)

    def _part(self, share: float) -> float:
        return self.begin + share * (self.deadline - self.begin)

    def first(self, add: Add) -> int:
        """The Walsh-Hadamard transform in bf16 and fp32, and the cosine transform in bf16."""
        return self._rows(add, 0, 3)

    def rest(self, add: Add) -> int:
        """The other transforms, and one axis over channels."""
        return self._rows(add, 3, None)

    def _rows(self, add: Add, begin: int, end: int | None) -> int:
        def note(row: kernels.Row) -> None:
            add(row.to_dict())
            _print_row(row)

        def written() -> Iterator[cases.Entry]:
            for entry in entries:  # the rows of a case come all at once: write before the next
                self.file.write()
                yield entry

        entries = self._entries(begin, end)
        found = kernels.run(
            cases=written(),
            device=self.device,
            seconds=0.02 if self.rehearse else 0.5,
            deadline=self.deadline,
            progress=note,
        )
        return len(entries) - len({(row.case, row.layout, row.dtype) for row in found})

    def _entries(self, begin: int, end: int | None) -> list[cases.Entry]:
        batch = 1 if self.rehearse else 64
        order = cases.GPU_ORDER[begin:end]
        lines = begin > 0 or end is None
        found = cases.gpu_cases((torch.bfloat16, torch.float32), batch, order, lines=lines)
        entries = [one for one in found if self.choice.takes(one[0], one[2])]
        if not self.rehearse:
            return entries
        return [(name, None, case) for name, _, case in entries if max(case.shape[-2:]) <= 28]

    def step(self, add: Add) -> int:
        """A training step of ResNet-50 with and without the transform."""

        def note(row: step.StepRow) -> None:
            add(row.to_dict())
            print("step", row.describe(), flush=True)

        small: dict[str, Any] = {"batch": 2, "image_size": 64, "seconds": 0.0, "rounds": 2}
        step.run(self.device, **(small if self.rehearse else {"seconds": 20.0}), progress=note)
        return 0

    def sweep(self, add: Add) -> int:
        """The neighbours of the tuning table's entries, best first."""
        return sweep.run(
            self.device, self._entries(0, None), workers=self.workers, progress=add,
            deadline=self.deadline,
        )  # fmt: skip


def _checked(add: Add) -> Callable[[Check], None]:
    def note(check: Check) -> None:
        add(check.to_dict())
        if not check.passed:
            print("WRONG", check, flush=True)

    return note


def _print_row(row: kernels.Row) -> None:
    numbers = (row.milliseconds, row.gb_per_second, row.ratio)
    time_, speed, ratio = (math.nan if number is None else number for number in numbers)
    print(
        f"{row.case:24} {row.dtype:9} {row.name:28} {time_:9.4f} ms "
        f"{speed:7.0f} GB/s {ratio:6.2f}  {row.verdict()}", flush=True,
    )  # fmt: skip


def _what(options: argparse.Namespace) -> str:
    """A part of the sweep has a name of its own, so that the next part does not replace it."""
    words = (
        f"sweep {options.cases} {'over' if options.over else ''}" if options.sweep else "kernels"
    )
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def _folder(options: argparse.Namespace) -> Path:
    folder = options.out or (Path(tempfile.mkdtemp()) if options.rehearse else RESULTS)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=9.0, help="no case begins after them")
    parser.add_argument("--out", type=Path, help="folder of the result file")
    parser.add_argument(
        "--only", nargs="+", choices=(*SECTIONS, "sweep"), metavar="SECTION",
        help="these sections, into the file of the same code and device; one of: "
        + ", ".join(SECTIONS),
    )  # fmt: skip
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with small tensors")
    parser.add_argument(
        "--sweep", action="store_true", help="measure the tuning table's neighbours"
    )
    parser.add_argument("--cases", default="", metavar="TEXT", help="cases whose name contains it")
    parser.add_argument(
        "--over", type=Path, metavar="FILE", help="the cases over their bar in an earlier result"
    )
    options = parser.parse_args()
    if not options.sweep and (options.cases or options.over or "sweep" in (options.only or ())):
        parser.error(
            "--cases, --over and --only sweep go with --sweep, which has a file of its own"
        )
    if not options.rehearse and not torch.cuda.is_available():
        parser.error("no CUDA device is visible here; --rehearse runs on the CPU")
    return options


if __name__ == "__main__":
    sys.exit(main())
