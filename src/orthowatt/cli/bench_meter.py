"""`orthowatt bench meter`: the validation of the meter on a real GPU, in one command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.table import Table

from .common import Common, parse, print_json, progress_console, result_console

if TYPE_CHECKING:
    from ..bench.meter import Result

_MARKS = {"pass": "pass", "fail": "FAIL", "not run": "not run"}


@dataclass(kw_only=True)
class Options(Common):
    """Options of `bench meter`."""

    what: Annotated[Literal["meter"], tyro.conf.Positional]
    out: Annotated[
        Path | None,
        tyro.conf.arg(help="the result's file (default: benchmarks/results/<GPU>-meter.json)"),
    ] = None
    minutes: Annotated[float, tyro.conf.arg(help="stop after so long, keeping what is done")] = 5.0
    only: Annotated[str, tyro.conf.arg(help="only the checks whose name contains this")] = ""


def run(argv: Sequence[str]) -> int:
    """Run the checks and print them; exit code 1 when one of them fails."""
    options = parse(
        Options, argv, "bench meter",
        "Check the energy meter on this machine's GPU: its tick, idle powers, a constant load "
        "against nvidia-smi, windows without synchronisation, linearity, repeats, square loads, "
        "sampler rates and its own cost. Nothing else should use the GPU.",
        "orthowatt bench meter --minutes 5",
    )  # fmt: skip
    from ..bench import meter

    out = options.out or meter.default_out()
    console = progress_console(options)
    found = meter.run(
        minutes=options.minutes,
        out=out,
        only=options.only,
        about=_about,
        progress=lambda result: console.print(_line(result), markup=False),
    )
    if options.json:
        print_json(found)
    else:
        result_console().print(table(found))
        print(f"\n{out}")
    return 1 if any(check["outcome"] == "fail" for check in found["checks"]) else 0


def _about() -> dict[str, Any]:
    import torch

    from ..bench import machine

    return machine.describe(torch.device("cpu"))


def _line(result: Result) -> str:
    why = f": {result.reason}" if result.reason else ""
    return f"{result.name}: {result.outcome} ({result.seconds:.0f} s){why}"


def table(found: dict[str, Any]) -> Table:
    """The checks with what must hold and their plain numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("check", "", "must hold", "found"):
        made.add_column(name)
    for check in found["checks"]:
        numbers = [
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in check["numbers"].items()
            if isinstance(value, int | float | str)
        ]
        text = check["reason"] or ", ".join(numbers)
        made.add_row(check["name"], _MARKS[check["outcome"]], check["criterion"], text)
    return made
