"""The folder of a study: where each run lies, and what is done, missing or stale."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import StudyConfig
from ..errors import DataError, InputError
from ..record import RunRecord, dumps, write_atomic
from .grid import Cell, cells


@dataclass(frozen=True)
class CellState:
    """What the folder holds of one cell: "done", "failed", "missing", "interrupted" or "stale"."""

    cell: Cell
    state: str
    reason: str | None = None

    def to_run(self, retry_failed: bool = False) -> bool:
        """Whether the study's next start runs it; a failed run is a result, unless asked for."""
        return self.state != "done" and (retry_failed or self.state != "failed")

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON-ready values."""
        return {
            "variant": self.cell.variant,
            "seed": self.cell.seed,
            "state": self.state,
            "reason": self.reason,
        }


class Store:
    """The folder of one study on one device (`slug` names the device)."""

    def __init__(self, directory: Path, slug: str) -> None:
        self.directory = Path(directory)
        self.slug = slug

    def run_directory(self, cell: Cell) -> Path:
        """`runs/<config hash>-<device slug>` of a cell."""
        return self.directory / "runs" / f"{cell.config.hash}-{self.slug}"

    def begin(self, study: StudyConfig) -> None:
        """Write `study.json`, or check that the folder already belongs to this study.

        More seeds or variants extend a study; another base configuration is another study, and
        `InputError` says so instead of mixing the two in one report. It also refuses other
        equivalence margins once there are records: they are declared before results are known.
        """
        path = self.directory / "study.json"
        if path.exists():
            try:
                earlier = StudyConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
            except (ValueError, TypeError) as error:
                raise DataError(
                    f"{path} cannot be read ({error}); move it away, or give another --out"
                ) from error
            study = merge(earlier, study, self.directory)
            if any(self.directory.glob("runs/*/record.json")):
                _check_margins(earlier, study, self.directory)
        write_atomic(path, dumps(study.to_dict(), indent=2) + "\n")

    def state(self, cell: Cell) -> CellState:
        """What is known of a cell."""
        directory = self.run_directory(cell)
        if not (directory / "record.json").exists():
            return CellState(cell, "missing")
        try:
            record = RunRecord.load(directory)
        except DataError as error:
            return CellState(cell, "missing", str(error))
        if record.stale:
            reason = f"made by numerics version {record.numerics_version}"
            return CellState(cell, "stale", reason)
        state = {"finished": "done"}.get(record.status, record.status)
        return CellState(cell, state, record.reason)

    def states(self, study: StudyConfig) -> list[CellState]:
        """The state of every cell, in the order in which they run."""
        return [self.state(cell) for cell in cells(study)]


def merge(earlier: StudyConfig, now: StudyConfig, directory: Path) -> StudyConfig:
    """The earlier study with the new one's further variants and seeds."""
    if earlier.base.hash != now.base.hash or earlier.baseline != now.baseline:
        raise InputError(
            f"{directory} holds the study {earlier.name!r} with another base configuration or "
            "baseline; give another --out, or delete the folder"
        )
    variants = {variant.name: variant for variant in earlier.variants}
    for variant in now.variants:
        known = variants.setdefault(variant.name, variant)
        if now.run(variant.name, 0).hash != earlier.base.replace(**known.changes, seed=0).hash:
            raise InputError(
                f"{directory} holds a variant {variant.name!r} with other settings; give it "
                "another name, or give another --out"
            )
    seeds = tuple(sorted({*earlier.seeds, *now.seeds}))
    return replace(now, variants=tuple(variants.values()), seeds=seeds)


def _check_margins(earlier: StudyConfig, now: StudyConfig, directory: Path) -> None:
    for name in ("accuracy_margin", "cost_margin"):
        before, wanted = getattr(earlier, name), getattr(now, name)
        if before != wanted:
            raise InputError(
                f"{directory} holds results of the study {earlier.name!r}, declared with "
                f"{name} = {before}, so it cannot become {wanted} now; keep it, or give another "
                "--out"
            )
