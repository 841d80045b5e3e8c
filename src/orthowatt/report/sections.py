"""The sections of a report: one for each study on each device, with what was left out and why."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import StudyConfig, Variant
from ..record import RunRecord, Study
from .tables import Row, build_rows, scopes
from .words import facts, listing, plural


@dataclass(frozen=True)
class Section:
    """One study on one device, ready to be shown.

    `notes` names every run that is missing, failed, stale or left out; `warnings` pairs what the
    runs themselves warned of with how many did; `transforms` is the checked content of
    `transforms.json`, or None.
    """

    key: str
    directory: Path
    config: StudyConfig
    device: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]
    warnings: tuple[tuple[str, int], ...]
    transforms: Mapping[str, Any] | None

    @property
    def title(self) -> str:
        """The study's name; the device is named beside it."""
        return self.config.name

    @property
    def records(self) -> list[RunRecord]:
        """The runs that the tables stand on."""
        return [record for row in self.rows for record in row.records]

    @property
    def baseline(self) -> Row:
        """The row that the others are compared with."""
        return self.rows[0]

    @property
    def others(self) -> tuple[Row, ...]:
        """The rows that are compared with the baseline."""
        return self.rows[1:]

    def to_dict(self) -> dict[str, Any]:
        """The section as JSON-ready values."""
        return {
            "study": self.config.to_dict(),
            "directory": str(self.directory),
            "device": self.device,
            "rows": [row.to_dict() for row in self.rows],
            "notes": list(self.notes),
            "warnings": [{"text": text, "runs": count} for text, count in self.warnings],
            "transforms": self.transforms,
            "hardware": shared(self.records, "hardware"),
            "software": shared(self.records, "software"),
        }


def read_sections(directories: Sequence[Path]) -> list[Section]:
    """Every study in `directories`, split by device; `DataError` when a folder holds none."""
    found: list[Section] = []
    for directory in directories:
        found += _split(read_study(Path(directory)), start=len(found))
    return found


def read_study(directory: Path) -> Study:
    """A study's folder, or a single run's folder as a study of one; `DataError` otherwise."""
    if (directory / "study.json").exists() or not (directory / "record.json").exists():
        return Study.load(directory)
    record = RunRecord.load(directory)
    name = record.variant or record.config.transform
    record.variant = name
    config = StudyConfig(
        name=directory.resolve().name,
        base=record.config,
        variants=(Variant(name),),
        seeds=(record.config.seed,),
        baseline=name,
    )
    return Study(directory, config, [record])


def _split(study: Study, start: int) -> list[Section]:
    """One section a device; the study's own notes and transforms go to its first section."""
    kept, notes = _usable(study)
    notes = [*study.notes, *notes, *_missing(study)]
    transforms, complaint = read_transforms(study.directory)
    notes += [complaint] if complaint else []
    devices = sorted({record.device for record in kept}) or [""]
    sections = []
    for index, device in enumerate(devices):
        here = [record for record in kept if record.device == device]
        by_variant = {
            v.name: sorted(
                (r for r in here if r.variant == v.name), key=lambda record: record.config.seed
            )
            for v in study.config.variants
        }
        own = _device_notes(here)
        sections.append(
            Section(
                key=f"study-{start + index + 1}",
                directory=study.directory,
                config=study.config,
                device=device,
                rows=tuple(build_rows(study.config, by_variant)),
                notes=tuple(own if index else [*notes, *own]),
                warnings=_warnings(here),
                transforms=None if index else transforms,
            )
        )
    return sections


def _usable(study: Study) -> tuple[list[RunRecord], list[str]]:
    """The finished runs of today's numerics and of this study; a sentence for each other one."""
    names = {variant.name for variant in study.config.variants}
    kept, notes, seen = [], [], set()
    for record in study.records:
        label = f"{record.variant or 'a run without a variant'}, seed {record.config.seed}"
        if record.variant not in names:
            notes.append(f"{label}: left out, for this study has no such variant.")
        elif record.status != "finished":
            why = f": {record.reason.rstrip('.')}" if record.reason else ""
            notes.append(f"{label}: {record.status}{why}. It is left out of every table.")
        elif record.stale:
            notes.append(
                f"{label}: stale, made by numerics version {record.numerics_version}; left out. "
                "Run the study again to bring it up to date."
            )
        elif study.config.run(record.variant, record.config.seed).hash != record.config.hash:
            notes.append(f"{label}: left out, for its settings are no longer the study's.")
        elif record.config.seed not in study.config.seeds:
            notes.append(f"{label}: left out, for the study does not ask for this seed.")
        elif (record.variant, record.config.seed, record.device) in seen:
            notes.append(f"{label}: a second run of it on {record.device}; left out.")
        else:
            seen.add((record.variant, record.config.seed, record.device))
            kept.append(record)
    return kept, notes


def _missing(study: Study) -> list[str]:
    """A sentence naming the cells of the grid of which no record exists at all."""
    have = {(record.variant, record.config.seed) for record in study.records}
    lacking: dict[str, list[int]] = {}
    for variant in study.config.variants:
        for seed in study.config.seeds:
            if (variant.name, seed) not in have:
                lacking.setdefault(variant.name, []).append(seed)
    if not lacking:
        return []
    total = sum(len(seeds) for seeds in lacking.values())
    cells = [
        f"{name} ({'seed' if len(seeds) == 1 else 'seeds'} {listing(map(str, seeds))})"
        for name, seeds in lacking.items()
    ]
    return [
        f"{plural(total, 'run')} of the study {'is' if total == 1 else 'are'} missing: "
        f"{'; '.join(cells)}. The same command does what is missing."
    ]


def _device_notes(records: Sequence[RunRecord]) -> list[str]:
    """What a reader must know of the runs in the tables."""
    notes = []
    resumed = [f"{r.variant}, seed {r.config.seed}" for r in records if r.resumed]
    if resumed:
        notes.append(
            f"Resumed after an interruption: {'; '.join(resumed)}. They count for accuracy and "
            "are left out of time and energy."
        )
    found = scopes(records)
    if len(found) > 1:
        notes.append(
            f"Energy was measured at unlike scopes ({', '.join(found)}), which are not compared."
        )
    for part in ("software", "hardware"):
        mixed = [key for key, values in _values(records, part).items() if len(values) > 1]
        if mixed:
            notes.append(f"The runs differ in {part}: {listing(sorted(mixed))}.")
    return notes


def _warnings(records: Sequence[RunRecord]) -> tuple[tuple[str, int], ...]:
    counts: dict[str, int] = {}
    for record in records:
        for text in dict.fromkeys(map(str, record.warnings)):
            counts[text] = counts.get(text, 0) + 1
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _values(records: Sequence[RunRecord], part: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in records:
        for label, text in facts(getattr(record, part)):
            values = found.setdefault(label, [])
            if text not in values:
                values.append(text)
    return found


def shared(records: Sequence[RunRecord], part: str) -> dict[str, str]:
    """The facts of `hardware`, `software`, `settings`, `data` or `code` over all runs.

    Where runs differ, all values are given, parted by a semicolon.
    """
    return {label: "; ".join(values) for label, values in _values(records, part).items()}


def read_transforms(directory: Path) -> tuple[Mapping[str, Any] | None, str | None]:
    """The content of `transforms.json`, or None; and a sentence if it is there but unfit.

    Its form is `{"checks": [{"name", "order", "max_error", "reference", "dtype"?}], "spectra":
    {"title", "note"?, "images": [{"name", "values"}]}}`; the image called "scan" is the picture
    that the others are spectra of.
    """
    path = directory / "transforms.json"
    if not path.exists():
        return None, None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        spectra = found.get("spectra") or {}
        return {
            "checks": [_check(check) for check in found.get("checks", [])],
            "spectra": {
                "title": str(spectra.get("title", "")),
                "note": str(spectra.get("note", "")),
                "images": [
                    {"name": str(image["name"]), "values": image["values"]}
                    for image in spectra.get("images", [])
                ],
            },
        }, None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return None, f"{path} cannot be read ({type(error).__name__}: {error}); it is not shown."


def _check(check: Mapping[str, Any]) -> dict[str, Any]:
    """One check, its reference naming what was held against it."""
    reference = str(check["reference"])
    if check.get("dtype"):
        reference = f"{check['dtype']} against a {reference}"
    return {
        "name": str(check["name"]),
        "order": int(check["order"]),
        "max_error": float(check["max_error"]),
        "reference": reference,
    }
