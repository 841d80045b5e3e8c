"""`orthowatt measure -- COMMAND`: the energy of any program."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ..errors import InputError
from .common import Common, parse, print_json


@dataclass(kw_only=True)
class Options(Common):
    """Options of `measure`; the command follows after `--`."""

    csv: Annotated[Path | None, tyro.conf.arg(help="append one line to this CSV file")] = None
    idle: Annotated[
        float, tyro.conf.arg(help="measure the idle power so many seconds before and after")
    ] = 0.0
    estimate: Annotated[
        Literal["power-limit"] | None,
        tyro.conf.arg(help="an upper bound, labelled so, where nothing can be measured"),
    ] = None


def run(argv: Sequence[str]) -> int:
    """Run the command, print its energy on stderr (JSON: on stdout), return its exit code."""
    split = list(argv).index("--") if "--" in argv else len(argv)
    options = parse(
        Options, argv[:split], "measure",
        "Run a command and print the energy that it cost; its exit code is passed on. The "
        "command's stdout stays its own and the result goes to stderr; with --json the result "
        "goes to stdout instead, where the command's own output comes first and the JSON object "
        "is the last thing, on lines of its own.",
        "orthowatt measure -- python train.py",
    )  # fmt: skip
    command = list(argv[split + 1 :])
    if not command:
        raise InputError(
            "no command was given; write it after --: orthowatt measure -- python x.py"
        )
    from ..energy.measure import append_csv, format_measurement, measure_command

    result = measure_command(command, estimate=options.estimate, idle_seconds=options.idle)
    if options.csv:
        append_csv(options.csv, result)
    if options.json:
        if _line_may_be_open():
            print()
        print_json(result.to_dict())
    else:
        print(format_measurement(result), file=sys.stderr)
    return result.returncode


def _line_may_be_open() -> bool:
    """Whether the command may have left its last line on stdout without an end.

    A file tells; a pipe or terminal does not, and an empty line more does no harm there.
    """
    try:
        if not stat.S_ISREG(os.fstat(1).st_mode):
            return True
        with open("/proc/self/fd/1", "rb") as file:
            file.seek(0, os.SEEK_END)
            if not file.tell():
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return True
