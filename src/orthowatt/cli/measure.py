"""`orthowatt measure -- COMMAND`: the energy of any program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..errors import InputError
from .common import Common, parse, print_json


@dataclass(kw_only=True)
class Options(Common):
    """Options of `measure`; the command follows after `--`."""

    csv: Annotated[Path | None, tyro.conf.arg(help="append one line to this CSV file")] = None


def run(argv: Sequence[str]) -> int:
    """Run the command, print its energy on stderr (JSON: on stdout), return its exit code."""
    split = list(argv).index("--") if "--" in argv else len(argv)
    options = parse(
        Options, argv[:split], "measure",
        "Run a command and print the energy that it cost; its exit code is passed on. The "
        "command's stdout stays its own and the result goes to stderr; with --json the result "
        "goes to stdout instead, where the command's own output comes first and the JSON object "
        "is the last thing.",
        "orthowatt measure -- python train.py",
    )  # fmt: skip
    command = list(argv[split + 1 :])
    if not command:
        raise InputError(
            "no command was given; write it after --: orthowatt measure -- python x.py"
        )
    from ..energy.measure import append_csv, format_measurement, measure_command

    result = measure_command(command)
    if options.csv:
        append_csv(options.csv, result)
    if options.json:
        print_json(result.to_dict())
    else:
        print(format_measurement(result), file=sys.stderr)
    return result.returncode
