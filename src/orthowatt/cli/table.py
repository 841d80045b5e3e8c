"""The table of a study in the terminal, from the same cells as the report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ..report import cells
from ..report.sections import Section, read_sections
from ..report.summary import lede, points
from ..report.words import UNKNOWN, seconds

_COLUMNS = (
    ("test accuracy", cells.accuracy),
    ("difference", cells.difference),
    ("verdict", lambda row: cells.verdict("accuracy", row.accuracy)),
    ("logit shift", cells.logit_shift),
    ("step", lambda row: cells.Cell(seconds(row.step_seconds) if row.step_seconds else UNKNOWN)),
    ("energy", cells.energy),
    ("added MACs", cells.added_macs),
)
_STYLES = {"different": "bold yellow", "equivalent": "green", "inconclusive": "dim"}


def study_tables(directories: list[Path]) -> Group:
    """One table and its headline for each study and device under `directories`."""
    return Group(*(_part(section) for section in read_sections(directories)))


def _part(section: Section) -> Group:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("variant", no_wrap=True)
    for name, _ in _COLUMNS:
        table.add_column(name, justify="left" if name == "verdict" else "right")
    for row in section.rows:
        table.add_row(Text(row.name), *(_text(read(row)) for _, read in _COLUMNS))
    lines = [Text(""), Text(lede(section))]
    lines += [Text(f"{title}: {text}") for title, text in points(section)]
    lines += [Text(f"note: {note}") for note in section.notes]
    return Group(table, *lines)


def _text(cell: cells.Cell) -> Text:
    text = Text(cell.text, style=_STYLES.get(cell.text, ""))
    if cell.small and cell.text in _STYLES:
        text.append(f", {cell.small[0]}", style="dim")  # the rest stands in the sentences below
    return text
