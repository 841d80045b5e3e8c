"""What a journal of readings says of the windows of each process that wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import InputError
from .counter import Facts, Reading, energy_between
from .measured import Measured
from .quantity import Energy
from .rapl import is_inner

LOST = "the run was stopped without warning, and what it used after its last reading is not known"
_NO_PRIMARY = "no sensor of the energy asked for could be read before the run was stopped"


@dataclass(frozen=True)
class Segment:
    """One process's part of a run, by its windows' names.

    `windows` hold what the record may say: of a window that a kill left open the energy is
    unknown, with `at_least_joules`. `flushed` holds those windows alone, measured from their
    beginning to the last reading on disk. `complete`: no window was left open.
    """

    started: str
    process: int
    complete: bool
    windows: dict[str, Measured]
    flushed: dict[str, Measured]


def read_segments(path: Path | str) -> list[Segment]:
    """The segments of a journal in the order in which they ran; none where there is no file.

    A line torn by a kill, or of no meaning, is passed over. Raises `InputError` for a file that
    cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})") from error
    parts: list[_Part] = []
    for line in _lines(text):
        if "journal" in line:
            parts.append(_Part(line))
        elif parts:
            parts[-1].take(line)
    return [part.segment() for part in parts]


def total(segments: Iterable[Segment]) -> dict[str, Measured]:
    """The windows of all segments, added up by name: work that was redone counts as well."""
    found: dict[str, Measured] = {}
    for segment in segments:
        for name, measured in segment.windows.items():
            found[name] = found[name] + measured if name in found else measured
    return found


def _lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        if isinstance(values, dict):
            yield values


@dataclass
class _Part:
    """A segment while its lines are read."""

    head: dict[str, Any]
    facts: dict[str, Facts] = field(default_factory=dict)
    open: dict[int, dict[str, Any]] = field(default_factory=dict)
    closed: list[tuple[str, Measured]] = field(default_factory=list)
    last: dict[str, Any] | None = None

    def take(self, line: dict[str, Any]) -> None:
        """One line after the head."""
        if "facts" in line:
            self.facts |= {scope: _facts(values) for scope, values in line["facts"].items()}
        elif "open" in line:
            self.open[line["open"]] = line
        elif "close" in line:
            self.open.pop(line["close"], None)
            self.closed.append((line["name"], Measured.from_dict(line["measured"])))
        elif "readings" in line:
            self.last = line

    def segment(self) -> Segment:
        """What the lines say together."""
        windows: dict[str, Measured] = {}
        flushed: dict[str, Measured] = {}
        for name, measured in self.closed:
            windows[name] = windows[name] + measured if name in windows else measured
        for line in self.open.values():
            name, found = line["name"], self._up_to_the_last(line)
            flushed[name] = flushed[name] + found if name in flushed else found
            known = _without_tail(found)
            windows[name] = windows[name] + known if name in windows else known
        return Segment(
            self.head.get("started", ""), self.head.get("process", 0), not self.open, windows,
            flushed,
        )  # fmt: skip

    def _up_to_the_last(self, line: Mapping[str, Any]) -> Measured:
        """A window that was left open, from its beginning to the last reading on disk."""
        last = self.last if self.last is not None and self.last["at"] > line["at"] else None
        start = {scope: Reading(**_tuples(values)) for scope, values in line["readings"].items()}
        end = {} if last is None else last["readings"]
        energies = {
            scope: energy_between(self.facts[scope], start[scope], Reading(**_tuples(end[scope])))
            # a disk that was full for a while may have lost the line of facts
            if scope in end and scope in self.facts
            else Energy.unknown(LOST, scope)
            for scope in start
        }
        for scope, reason in self.head.get("problems", {}).items():
            energies.setdefault(scope, Energy.unknown(reason, scope))
        primary = [] if last is None else last["primary"]
        energy = _sum([energies.get(s) or Energy.unknown(_NO_PRIMARY, s) for s in primary])
        whole = _sum([part for scope, part in energies.items() if not is_inner(scope)])
        seconds = 0.0 if last is None else last["at"] - line["at"]
        return Measured(seconds, dict(sorted(energies.items())), energy, whole)


def _sum(parts: list[Energy]) -> Energy:
    return sum(parts[1:], parts[0]) if parts else Energy.unknown(_NO_PRIMARY)


def _without_tail(measured: Measured) -> Measured:
    def floor(energy: Energy) -> Energy:
        return energy + Energy.unknown(LOST, energy.scope)

    return Measured(
        measured.seconds,
        {scope: floor(part) for scope, part in measured.energies.items()},
        floor(measured.energy),
        floor(measured.total),
        measured.windows,
    )


def _facts(values: Mapping[str, Any]) -> Facts:
    return Facts(**_tuples(values))


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists as the tuples that they were."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in values.items()}
