"""The neighbours of every entry of the kernels' tuning table, measured, best first.

The table itself stays fixed, so that results repeat; this says how it should be corrected. Several
processes compile the neighbours of a case first, which leaves them in Triton's cache and tells what
they take; those without spills and with the most programs at a time are measured first.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError
from ..transforms.gpu import plan, tuning
from ..transforms.gpu.axis import Axis, axis
from .cases import Case, Entry
from .compiler import Compiled, compiled
from .pool import Pool, reason
from .routes import steps_of
from .timing import interleaved, rotating

#: Rotating tensors of one case, at most so many bytes each way.
_BYTES = 256 * 2**20
#: Bytes between two launches that are tried, in MiB.
GROUPS = (0, 8, 12, 16, 20, 25, 32, 40)
#: Loads ahead that are tried.
STAGES = (1, 2, 3)
#: Programs a multiprocessor that are tried for the best few, beside as many as it holds.
PROGRAMS = (1, 2, 3, 4, 6, 8, 64)
#: How many of the best are tried with other numbers of programs.
BEST = 3
#: Beyond twice the spills of the table's own kernel and so many bytes, nothing is measured.
SPILLED = 128
#: Seconds of measuring one neighbour, and how much of the time that is left may go to compiling the
#: neighbours of one launch.
_SECONDS, _COMPILING = 0.05, 0.3

Add = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Choice:
    """Which cases are swept: those whose name contains `text`, and of `over` where there are."""

    text: str = ""
    over: frozenset[tuple[str, str]] | None = None

    @classmethod
    def of(cls, text: str, path: Path | None) -> Choice:
        """The cases that an earlier result file has over their bar, by name and dtype.

        Raises `InputError` where the file has no rows with bars.
        """
        if path is None:
            return cls(text)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"--over: {path} cannot be read ({error})") from None
        rows = [row for name in ("first", "rest") for row in found.get(name, [])]
        judged = [row for row in rows if row.get("bar") is not None and row.get("ratio")]
        if not judged:
            raise InputError(f"--over: {path} has no timed cases with bars; give a kernels.json")
        over = {(row["case"], row["dtype"]) for row in judged if row["ratio"] > row["bar"]}
        return cls(text, frozenset(over))

    def takes(self, name: str, case: Case) -> bool:
        """Whether a case is among them."""
        if self.over is not None and (name, _dtype(case.dtype)) not in self.over:
            return False
        return self.text in name


def run(
    device: torch.device,
    entries: Sequence[Entry],
    *,
    workers: int = 0,
    progress: Add | None = None,
    deadline: float = math.inf,
) -> int:
    """One row a case and neighbour to `progress`, the best of each case first; returns how many
    cases are left at `deadline`. On a CPU nothing is measured, and the list itself is the row."""
    add: Add = progress or (lambda row: None)
    swept = [
        (name, case, steps) for name, _, case in entries
        if not isinstance(steps := steps_of(case), str)
    ]  # fmt: skip
    with Pool(partial(compiled, capability=_capability(device)), max(1, workers)) as pool:
        for done, (name, case, steps) in enumerate(swept):
            if time.monotonic() > deadline:
                return len(swept) - done
            measuring = device.type == "cuda"
            if len(steps) > 1 and measuring:
                _groups(name, steps, case, device, deadline, add)
            for k, step in enumerate(steps):
                tried = list(neighbours(step, case, k == 0, k == len(steps) - 1))
                if measuring:
                    now = time.monotonic()
                    ordered = by_promise(tried, pool, now + _COMPILING * (deadline - now))
                    _measured(name, k, ordered, case, device, deadline, add)
                    continue
                for one in tried:
                    add(_row(name, k, one, case, None, None, "not measured: no GPU"))
    return 0


def _capability(device: torch.device) -> int:
    if device.type != "cuda":
        return 90
    major, minor = torch.cuda.get_device_capability(device)
    return 10 * major + minor


def neighbours(
    step: plan.Step, case: Case, first: bool = True, last: bool = True
) -> Iterator[plan.Step]:
    """The step itself, then others of the same result, as the plan would make them: other parts,
    warps, blocks, loads ahead. `first` and `last` say where it stands in the call."""
    request = plan.Request(case.kind, "ortho", False, case.dtype)
    share = step.share
    yield step
    blocks = sorted({max(1, share.block // 2), share.block, share.block * 2})
    warps = sorted({max(1, share.warps // 2), share.warps, min(16, share.warps * 2)})
    # The sums of mirrored places are a plain loop, of which nothing is loaded ahead.
    stages = (1,) if step.kernel == "mirror" else STAGES
    for axes in _partings(step):
        # Which pieces a number is split into depends on when the sums are taken.
        made = request.step(axes, step.outer, step.inner, first, last)
        for block, warp, stage in itertools.product(blocks, warps, stages):
            if made.kernel in ("rows", "lanes") and block < 16:
                continue
            if block * tuning.entries(*axes) > 2 * tuning.LARGEST_TILE:
                continue
            new = tuning.Share(block, warp, stage, share.programs)
            found = dataclasses.replace(made, share=new)
            if found != step:
                yield found


def _partings(step: plan.Step) -> list[Any]:
    """The same axes in other numbers of parts."""
    choices = []
    for one in step.axes:
        found = [one]
        if isinstance(one, Axis):
            whole = (one.inside * one.parts, one.outside * one.parts)
            for part in (32, 64, 128):
                other = axis(one.kind, one.size, one.norm, one.transpose, part, *whole)
                if other is not None and other not in found:
                    found.append(other)
        choices.append(found)
    pairs = [tuple(axes) for axes in itertools.product(*choices)]
    return [axes for axes in pairs if len({(a.way_in, a.way_out) for a in axes}) == 1]


def more_programs(step: plan.Step) -> Iterator[plan.Step]:
    """The same kernel by other numbers of programs; nothing is compiled anew for them."""
    for programs in PROGRAMS:
        if programs != step.share.programs:
            share = dataclasses.replace(step.share, programs=programs)
            yield dataclasses.replace(step, share=share)


Tried = tuple[plan.Step, Compiled | None, str | None]  # None and why, where it was not compiled


def by_promise(tried: Sequence[plan.Step], pool: Pool, deadline: float = math.inf) -> list[Tried]:
    """The steps as the pool compiles them: the first, which is the table's own, then the fewest
    spills and the most warps at a time; last those of which no program can run."""
    found: list[Tried] = [(step, None, "not compiled: no time was left") for step in tried]
    for one in pool.run(tried, deadline):
        found[one.index] = (tried[one.index], one.found, one.error)
    return [found[0], *sorted(found[1:], key=_promise)]


def _promise(one: Tried) -> tuple[bool, int, int]:
    _, made, _ = one
    if made is None:
        return True, 0, 0
    return made.programs < 1, made.spilled_bytes, -made.programs * made.warps


def _measured(
    name: str, k: int, ordered: Sequence[Tried], case: Case, device: torch.device,
    deadline: float, add: Add,
) -> None:  # fmt: skip
    """Rows of the steps, then of the best few with other numbers of programs."""
    inputs = _inputs(case, device, ordered[0][0].source)
    target = ordered[0][0].target
    tensors = [(one, case.output(one).to(target)) for one in inputs]
    rows: list[tuple[dict[str, Any], plan.Step, Compiled | None]] = []

    def measure(step: plan.Step, made: Compiled | None, error: str | None) -> None:
        seconds = None
        if error is None and made is not None:
            error = _hopeless(made, ordered[0][1])
        if error is None:
            seconds, error = _time(step, tensors, device)
        rows.append((_row(name, k, step, case, made, seconds, error), step, made))
        add(rows[-1][0])

    for one in ordered:
        if time.monotonic() > deadline:
            break
        measure(*one)
    timed = [row for row in rows if row[0]["milliseconds"] is not None]
    for _, step, made in sorted(timed, key=lambda row: row[0]["milliseconds"])[:BEST]:
        for other in more_programs(step):
            if time.monotonic() > deadline:
                break
            measure(other, made, None)
    best = sorted(
        (row for row, *_ in rows if row["milliseconds"] is not None),
        key=lambda row: row["milliseconds"],
    )
    for row in best[:4]:
        print(row, flush=True)


def _hopeless(made: Compiled, own: Compiled | None) -> str | None:
    """Why it is not worth the time to measure a neighbour of the table's own kernel."""
    if made.programs < 1:
        return "not measured: it asks for more registers or bytes than there are"
    if own is not None and made.spilled_bytes > SPILLED + 2 * own.spilled_bytes:
        return f"not measured: it spills {made.spilled_bytes} bytes"
    return None


def _inputs(case: Case, device: torch.device, dtype: torch.dtype) -> list[torch.Tensor]:
    x = case.tensor(device).to(dtype)
    count = max(1, _BYTES // (x.numel() * x.element_size()))
    return [x, *(x.clone() for _ in range(count - 1))]


def _time(
    step: plan.Step, tensors: Sequence[tuple[torch.Tensor, torch.Tensor]], device: torch.device
) -> tuple[float | None, str | None]:
    """Seconds of one launch, or why there are none."""
    from ..transforms.gpu import launch

    try:
        ready = launch.Launch(step, device)
        call = rotating([lambda x=x, y=y: ready(x, y) for x, y in tensors])
        found = interleaved({"call": call}, device=device, seconds=_SECONDS, most_rounds=20)
    except Exception as error:  # too many registers or bytes for this GPU: no candidate
        return None, reason(error)
    return found["call"].seconds, None


def _groups(
    name: str, steps: tuple[plan.Step, ...], case: Case, device: torch.device, deadline: float,
    add: Add,
) -> None:  # fmt: skip
    """How much may lie between two launches: 0 stands for no groups at all."""
    from ..transforms.gpu import launch

    tensors = [(one, torch.empty_like(one)) for one in _inputs(case, device, case.dtype)]
    for mebibytes in GROUPS:
        if time.monotonic() > deadline:
            break
        row: dict[str, Any] = {
            "case": name,
            "dtype": _dtype(case.dtype),
            "between_mebibytes": mebibytes,
            "milliseconds": None,
            "error": None,
        }
        try:
            ready = launch.Passes(steps, device, mebibytes * 2**20)
            call = rotating([lambda x=x, y=y, ready=ready: ready(x, y) for x, y in tensors])
            found = interleaved({"call": call}, device=device, seconds=0.1, most_rounds=40)
            row["milliseconds"] = found["call"].seconds * 1e3
        except Exception as error:  # one size's
            row["error"] = reason(error)
        print(row, flush=True)
        add(row)


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _row(
    name: str, k: int, step: plan.Step, case: Case, made: Compiled | None,
    seconds: float | None, error: str | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "case": name,
        "pass": k,
        "dtype": _dtype(case.dtype),
        "source": _dtype(step.source),
        "target": _dtype(step.target),
        "kernel": step.kernel,
        "parts": [axis.parts for axis in step.axes],
        "pads": [axis.pad for axis in step.axes],
        **dataclasses.asdict(step.share),
        "compiled": None if made is None else made.to_dict(),
        "milliseconds": None if seconds is None else seconds * 1e3,
        "error": error,
    }
