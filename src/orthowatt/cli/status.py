"""`orthowatt status`: what a study's folder holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..record import Study
from .common import Common, parse, print_json


@dataclass(kw_only=True)
class Options(Common):
    """Options of `status`."""

    directory: Annotated[
        Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR", help="a study's folder")
    ]


def run(argv: Sequence[str]) -> int:
    """Print the state of every cell, one device at a time."""
    options = parse(
        Options, argv, "status",
        "What a study's folder holds: done, failed, interrupted, stale and missing runs.",
        "orthowatt status orthowatt-demo",
    )  # fmt: skip
    from ..study.store import Store

    study = Study.load(options.directory)
    slugs = sorted({record.device for record in study.records})
    found = {slug: Store(options.directory, slug).states(study.config) for slug in slugs}
    if options.json:
        print_json({slug: [state.to_dict() for state in states] for slug, states in found.items()})
        return 0
    if not found:
        count = len(study.config.variants) * len(study.config.seeds)
        print(f"{options.directory}: none of {count} runs has been finished")
    for slug, states in found.items():
        counts = Counter(state.state for state in states)
        summary = ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))
        print(f"{slug}: {summary}")
        for state in states:
            if state.state != "done":
                reason = f": {state.reason}" if state.reason else ""
                print(f"  {state.state:<12} {state.cell.variant}, seed {state.cell.seed}{reason}")
    for note in study.notes:
        print(f"note: {note}")
    return 0
