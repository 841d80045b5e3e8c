"""`orthowatt bench`: measured tables of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from rich.table import Table

from ..errors import InputError
from ..record import dumps, write_atomic
from .common import Common, parse, print_json, progress_console, result_console

if TYPE_CHECKING:
    import torch

    from ..bench.kernels import Row as KernelRow
    from ..bench.mechanisms import Row as MechanismRow


@dataclass(kw_only=True)
class Options(Common):
    """Options of `bench`."""

    what: Annotated[
        Literal["kernels", "mechanisms", "meter", "train"],
        tyro.conf.Positional,
        tyro.conf.arg(
            help="kernels: against a copy and peers; mechanisms: how costs grow with n; "
            "meter: the energy meter on a GPU; train: the training loop (these two have their "
            "own options: orthowatt bench train --help)"
        ),
    ]
    out: Annotated[
        Path | None, tyro.conf.arg(help="also write the result here (or: --json FILE)")
    ] = None
    only: Annotated[str, tyro.conf.arg(help="only the cases whose name contains this")] = ""
    dtypes: Annotated[
        tuple[Literal["fp32", "bf16", "fp16", "fp64"], ...], tyro.conf.arg(help="of the kernels")
    ] = ("fp32",)
    seconds: Annotated[float, tyro.conf.arg(help="time spent on each case")] = 2.0
    device: Annotated[
        Literal["cpu", "cuda"] | None,
        tyro.conf.arg(help="of the kernels (default: a GPU where there is one)"),
    ] = None
    mebibytes: Annotated[
        float | None, tyro.conf.arg(help="size of a tensor (default: four last-level caches)")
    ] = None


def run(argv: Sequence[str]) -> int:
    """Measure and print; every row is the median of interleaved rounds."""
    if list(argv[:1]) == ["meter"]:
        from . import bench_meter

        return bench_meter.run(_with_file(argv))
    if list(argv[:1]) == ["train"]:
        from . import bench_train

        return bench_train.run(_with_file(argv))
    options = parse(
        Options, _with_file(argv), "bench",
        "Measure the transforms on this machine, interleaved with a copy and with peers.",
        "orthowatt bench kernels --only 'wht plane' --out kernels.json",
    )  # fmt: skip
    import torch

    from ..bench import machine

    device = torch.device("cpu")
    if options.what == "kernels":
        device = _device(options)
        rows = _kernels(options, device)
    else:
        rows = _mechanisms(options)
    result = {**machine.describe(device), "rows": rows}
    if options.out:
        write_atomic(options.out, dumps(result, indent=1) + "\n")
    if options.json:
        print_json(result)
    return int(any(row.get("error") for row in rows))


def _device(options: Options) -> torch.device:
    import torch

    there = torch.cuda.is_available()
    if options.device == "cuda" and not there:
        raise InputError("--device is cuda, but no CUDA device is visible here; use --device cpu")
    return torch.device(options.device or ("cuda" if there else "cpu"))


def _with_file(argv: Sequence[str]) -> list[str]:
    """`--json FILE` means `--out FILE`: the table on the terminal, the JSON in the file."""
    words = list(argv)
    for i, word in enumerate(words[:-1]):
        if word == "--json" and not words[i + 1].startswith("-") and "." in words[i + 1]:
            words[i] = "--out"
    return words


def _kernels(options: Options, device: torch.device) -> list[dict[str, Any]]:
    import torch

    from ..bench import kernels

    names = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16,
             "fp64": torch.float64}  # fmt: skip
    console = progress_console(options)
    rows = kernels.run(
        device=device,
        mebibytes=options.mebibytes,
        dtypes=tuple(names[name] for name in options.dtypes),
        seconds=options.seconds,
        only=options.only,
        progress=lambda row: console.print(
            f"{row.case}: {row.name} {_number(row.ratio, 2)} {row.error or ''}".rstrip(),
            markup=False,
        ),
    )
    if not options.json:
        result_console().print(_kernel_table(rows))
    return [row.to_dict() for row in rows]


def _kernel_table(rows: list[KernelRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in ("case", "layout", "dtype", "call"):
        table.add_column(name)
    for name in ("ms", "GB/s", "× copy", "bar"):
        table.add_column(name, justify="right")
    last = None
    for row in rows:
        here = (row.case, row.layout, row.dtype)
        shown = here if here != last else ("", "", "")
        last = here
        table.add_row(
            *shown, row.name, _number(row.milliseconds, 2), _number(row.gb_per_second, 1),
            _number(row.ratio, 2), row.verdict(), style="bold" if row.name == "orthowatt" else "",
        )  # fmt: skip
    return table


def _number(value: float | None, digits: int) -> str:
    return "—" if value is None else f"{value:.{digits}f}"


def _mechanisms(options: Options) -> list[dict[str, Any]]:
    from ..bench import mechanisms

    console = progress_console(options)
    rows, slopes = mechanisms.run(
        seconds=options.seconds,
        progress=lambda row: console.print(
            f"n = {row.n}: {row.name} {row.milliseconds:.3f} ms", markup=False
        ),
    )
    if not options.json:
        result_console().print(_mechanism_table(rows))
        for slope in slopes:
            print(slope.describe())
    return [row.to_dict() for row in rows] + [slope.to_dict() for slope in slopes]


def _mechanism_table(rows: list[MechanismRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("n", justify="right")
    table.add_column("call")
    for name in ("ms", "ns an element", "peak extra bytes", "energy"):
        table.add_column(name, justify="right")
    for row in rows:
        extra = "—" if row.extra_bytes is None else f"{row.extra_bytes:,}"
        joules = "—" if row.joules is None else f"{row.joules:.3g} J"
        table.add_row(
            str(row.n), row.name, f"{row.milliseconds:.3f}", f"{row.nanoseconds:.3f}", extra, joules
        )
    return table
