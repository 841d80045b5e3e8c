"""What every verb shares: its three common options, parsing, and where output goes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import tyro
from rich.console import Console

from ..record import dumps

T = TypeVar("T", bound="Common")


@dataclass(kw_only=True)
class Common:
    """The options that every verb takes."""

    json: Annotated[bool, tyro.conf.arg(help="print the result as one JSON object")] = False
    debug: Annotated[bool, tyro.conf.arg(help="on an error, show where it happened")] = False
    quiet: Annotated[bool, tyro.conf.arg(help="no progress, only the result")] = False


def parse(
    kind: type[T], argv: Sequence[str], verb: str, description: str, example: str, **more: Any
) -> T:
    """The verb's options from `argv`; bad usage ends the program with exit code 2."""
    return tyro.cli(
        kind,
        args=list(argv),
        prog=f"orthowatt {verb}",
        description=f"{description}\n\nExample: {example}",
        config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
        **more,
    )


def progress_console(options: Common) -> Console:
    """Where progress goes: stderr, so that stdout holds the result alone."""
    return Console(stderr=True, quiet=options.quiet, highlight=False)


def result_console() -> Console:
    """Where tables go; in a pipe they keep a readable width instead of 80 columns."""
    width = None if sys.stdout.isatty() else 120
    return Console(highlight=False, width=width)


def print_json(value: Any) -> None:
    """One JSON object on stdout."""
    sys.stdout.write(dumps(value, indent=2) + "\n")
