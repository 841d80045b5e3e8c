"""The report without a page: Markdown to paste, JSON and CSV to compute with."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError
from ..record import dumps
from . import cells, repeat, summary
from .sections import Section
from .tables import Quantity, Row

_Columns = Sequence[tuple[str, Callable[[Row], cells.Cell]]]


def as_json(sections: Sequence[Section], audit: dict[str, Any] | None = None) -> str:
    """Everything that the page says, as JSON; what was not measured is null."""
    studies = [
        {
            "lede": summary.lede(section),
            "points": dict(summary.points(section)),
            **section.to_dict(),
        }
        for section in sections
    ]
    return dumps({"studies": studies, "audit": audit}, indent=2) + "\n"


def as_csv(sections: Sequence[Section], audit: dict[str, Any] | None = None) -> str:
    """One line a variant and device; what was not measured is empty. The audit has no line.

    Raises `InputError` when there is nothing but an audit.
    """
    if not sections:
        raise InputError("an audit has no CSV form; choose html, md or json")
    lines = [_flat(section, row) for section in sections for row in section.rows]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(_flat_names()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return file.getvalue()


_QUANTITIES = (
    ("accuracy", "test_accuracy", "difference"),
    ("time", "train_seconds", "log_ratio"),
    ("energy", "run_joules", "log_ratio"),
)
_PLAIN = (
    "step_seconds", "memory_bytes", "memory_kind", "added_macs_dense", "added_adds_fast",
    "logit_shift",
)  # fmt: skip


def _flat_names() -> list[str]:
    names = ["study", "device", "variant", "baseline", "n"]
    for key, label, effect in _QUANTITIES:
        names += [f"{label}_mean", f"{label}_low", f"{label}_high", f"{label}_n"]
        names += [f"{key}_{effect}", f"{key}_{effect}_low", f"{key}_{effect}_high"]
        names += [f"{key}_p_holm", f"{key}_p_equivalence", f"{key}_verdict"]
    return [*names, "energy_reason", *_PLAIN]


def _flat(section: Section, row: Row) -> dict[str, Any]:
    values: dict[str, Any] = {
        "study": section.config.name,
        "device": section.device,
        "variant": row.name,
        "baseline": row.baseline,
        "n": row.n,
        "energy_reason": row.energy.reason,
        **{key: getattr(row, key) for key in _PLAIN},
    }
    for key, label, effect in _QUANTITIES:
        values.update(_flat_quantity(getattr(row, key), key, label, effect))
    return values


def _flat_quantity(quantity: Quantity, key: str, label: str, effect: str) -> dict[str, Any]:
    found = quantity.to_dict()
    values = {f"{label}_{end}": found[end] for end in ("mean", "low", "high", "n")}
    comparison = found["comparison"] or {}
    values[f"{key}_{effect}"] = comparison.get("effect")
    values[f"{key}_{effect}_low"] = comparison.get("low")
    values[f"{key}_{effect}_high"] = comparison.get("high")
    for name in ("p_holm", "p_equivalence", "verdict"):
        values[f"{key}_{name}"] = comparison.get(name)
    return values


def markdown(sections: Sequence[Section], audit: dict[str, Any] | None = None) -> str:
    """The tables and sentences of the page in GitHub's Markdown."""
    blocks = [block for section in sections for block in _section(section)]
    if audit:
        blocks += _audit(audit)
    return "\n\n".join(blocks) + "\n"


def _section(section: Section) -> list[str]:
    device = f" on {escape(section.device)}" if section.device else ""
    blocks = [f"# {escape(section.title)}{device}", escape(summary.lede(section))]
    blocks += [f"**{topic}.** {escape(text)}" for topic, text in summary.points(section)]
    blocks.append(_table(section, cells.ACCURACY_COLUMNS))
    blocks.append(_table(section, cells.COST_COLUMNS))
    blocks.append(_table(section, cells.WORK_COLUMNS))
    if section.notes or section.warnings:
        notes = [*section.notes, *(f"{text} ({count} runs)" for text, count in section.warnings)]
        blocks += ["## Notes", "\n".join(f"- {escape(note)}" for note in notes)]
    command = repeat.command(section.config, section.directory)
    return [*blocks, "## To repeat it", f"```\n{command}\n```"]


def _table(section: Section, columns: _Columns) -> str:
    lines = ["| variant | " + " | ".join(title for title, _ in columns) + " |"]
    lines.append("|---|" + "---|" * len(columns))
    for row in section.rows:
        found = [read(row) for _, read in columns]
        texts = [" <br> ".join(escape(t) for t in (c.text, *c.small) if t) for c in found]
        lines.append(f"| {escape(row.name)} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _audit(audit: dict[str, Any]) -> list[str]:
    blocks = [f"# Audit of {escape(audit['title'])}", escape(summary.audit_sentence(audit))]
    for finding in audit["findings"]:
        blocks.append(
            f"**{escape(finding['statement'])}** {escape(finding['verdict'])}. "
            f"{escape(finding['reason'])}"
        )
        workings = [f"- {escape(w['label'])}: {escape(w['text'])}" for w in finding["workings"]]
        slips = [
            f"- {escape(slip['name'])}: {escape(slip['arithmetic'])} "
            f"({slip['share']} of the weight of all that were tried)"
            for slip in finding["explanations"]
        ]
        if workings or slips:
            blocks.append("\n".join([*workings, *slips]))
    return blocks


def escape(text: Any) -> str:
    r"""Text that stays text in a table of GitHub's Markdown.

    >>> escape("a|b <script>")
    'a\\|b &lt;script>'
    """
    plain = str(text).replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    for character in "|*_[]":
        plain = plain.replace(character, "\\" + character)
    return " ".join(plain.split())
