"""The failure signatures of a section's runs, in sentences."""

from __future__ import annotations

from collections.abc import Sequence

from ..record import RunRecord
from .sections import Section
from .words import listing, plural


def sentences(section: Section) -> str:
    """Which variants show which sign in how many runs, what one of them rests on, and the remedy.

    "" where no run shows any.
    """
    told, remedies = [], []
    for row in section.rows:
        for name in _names(row.records):
            shown = [r for r in row.records if any(s.get("name") == name for s in r.signatures)]
            sign = next(s for s in shown[0].signatures if s.get("name") == name)
            count = f"{len(shown)} of {plural(row.n, 'run')}"
            told.append(f"{row.name}: {name} in {count} ({str(sign.get('text', '')).rstrip('.')}).")
            remedies.append((f"{name}", str(sign.get("remedy", "")).rstrip(".")))
    if not told:
        return ""
    return " ".join([*told, *_remedies(remedies)])


def _names(records: Sequence[RunRecord]) -> list[str]:
    """The signs that any of the runs shows, each once."""
    return list(dict.fromkeys(str(s.get("name")) for r in records for s in r.signatures))


def _remedies(found: Sequence[tuple[str, str]]) -> list[str]:
    """One sentence for each remedy, with the signs that it is for."""
    by_text: dict[str, list[str]] = {}
    for name, text in found:
        names = by_text.setdefault(text, []) if text else []
        names += [] if name in names else [name]
    return [
        f"Remedy for {listing([f'“{name}”' for name in names])}: {text}."
        for text, names in by_text.items()
    ]
