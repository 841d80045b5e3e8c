"""`orthowatt report`: a page from study folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from ..errors import DataError
from .common import Common, parse, print_json

if TYPE_CHECKING:
    from ..audit import Audit


@dataclass(kw_only=True)
class Options(Common):
    """Options of `report`."""

    directories: Annotated[
        tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="DIR…", help="study folders")
    ]
    out: Annotated[
        Path | None, tyro.conf.arg(help="the file to write (default: report.FORMAT in DIR)")
    ] = None
    format: Annotated[Literal["html", "md", "json", "csv"], tyro.conf.arg(help="its format")] = (
        "html"
    )


def run(argv: Sequence[str]) -> int:
    """Write the report and print its path."""
    options = parse(
        Options, argv, "report",
        "Write one self-contained report from the folders of studies.",
        "orthowatt report orthowatt-demo --out report.html",
    )  # fmt: skip
    from ..errors import InputError
    from ..report.page import write_report

    if not options.directories:
        raise InputError("no study folder was given; name at least one, such as orthowatt-demo")
    path = write_report(
        list(options.directories),
        options.out,
        format=options.format,
        audit=_audit(options.directories),
    )
    if options.json:
        print_json({"report": str(path)})
    else:
        print(path)
    return 0


def _audit(directories: Sequence[Path]) -> Audit | None:
    """The audit that a folder asks for (`claims.json`, as the demo writes it), or None."""
    for directory in directories:
        path = Path(directory) / "claims.json"
        if path.exists():
            from ..audit import audit_claims

            try:
                return audit_claims(json.loads(path.read_text(encoding="utf-8"))["claims"])
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(f"{path} does not name the claims to audit: {error}") from error
    return None
