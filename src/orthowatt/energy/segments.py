"""Readings kept on disk while a run lasts, so that a killed run's energy is known to the last.

A file holds one segment for each process that worked on the run, as lines of JSON: a head, what
windows began and ended with, and every second the readings of all sensors.
"""

from __future__ import annotations

import dataclasses
import json
import os
import time
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .counter import Reading
from .primary import primary_scopes
from .segment_file import Segment, read_segments, total

if TYPE_CHECKING:
    from .sensors import Sensors
    from .window import Window

__all__ = ["FLUSH_SECONDS", "Journal", "Segment", "read_segments", "total"]

#: Seconds between two lines of readings: what a kill may lose.
FLUSH_SECONDS = 1.0


class Journal:
    """Appends what `read_segments` reads; lines are whole or, the last one, torn by a kill."""

    def __init__(self, path: Path, sensors: Sensors, scope: str | tuple[str, ...] | None) -> None:
        self.path = path
        self.problem: str | None = None
        self._process = os.getpid()
        self._sensors = weakref.ref(sensors)  # the thread must not keep a forgotten meter alive
        self._scope = scope
        self._facts: dict[str, Any] = {}
        self._numbers: dict[int, int] = {}
        self._count = 0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}); name another file"
            ) from error
        head = {
            "journal": 1,
            "process": os.getpid(),
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "wall_minus_monotonic": time.time() - time.monotonic(),
            "problems": {s: problem.sentence for s, problem in sensors.problems.items()},
        }
        self._write(head, new_line=True)
        self._job = sensors.keeper.add(self.flush, FLUSH_SECONDS, elastic=False)
        weakref.finalize(self, _close, self._file)

    def opened(self, window: Window) -> None:
        """A window has begun."""
        self._count += 1
        self._numbers[id(window)] = self._count
        self._tell_facts()
        start = {scope: _plain(reading) for scope, reading in window.readings().items()}
        self._write(
            {"open": self._count, "name": window.name, "at": window.began, "readings": start}
        )

    def closed(self, window: Window) -> None:
        """A window has ended."""
        number = self._numbers.pop(id(window), None)
        if number is not None:
            measured = window.measured.to_dict()
            self._write({"close": number, "name": window.name, "measured": measured})

    def flush(self) -> None:
        """Append the readings of all sensors; nothing while no window is open."""
        sensors = self._sensors()
        if sensors is None or not self._numbers or os.getpid() != self._process:
            return
        self._tell_facts()
        primary = primary_scopes(self._scope, sensors, sensors.used(ask_driver=True))
        readings = {s: _plain(reading) for s, reading in sensors.read(align=False).items()}
        self._write({"at": sensors.clock.now(), "readings": readings, "primary": primary})

    def close(self) -> None:
        """Write the segment's end, and let it reach the disk."""
        sensors, file = self._sensors(), self._file
        if sensors is None or file is None:
            return
        sensors.keeper.remove(self._job)
        self._write({"end": sensors.clock.now()})
        self._file = None
        try:
            os.fsync(file)
        except OSError as error:
            self.problem = self.problem or str(error.strerror)

    def _tell_facts(self) -> None:
        """Write the facts of the sensors where they are new or have changed."""
        sensors = self._sensors()
        if sensors is None:
            return
        facts = {
            scope: dataclasses.asdict(counter.facts)
            for scope, counter in {**sensors.gpus, **sensors.rapl.counters}.items()
        }
        if facts != self._facts:
            self._facts = facts
            self._write({"facts": facts})

    def _write(self, line: dict[str, Any], *, new_line: bool = False) -> None:
        if self._file is None or os.getpid() != self._process:
            return
        # a segment that was killed may have left half a line behind
        text = ("\n" if new_line else "") + json.dumps(line, allow_nan=False) + "\n"
        try:
            os.write(self._file, text.encode())
        except OSError as error:  # a full disk must not end the run that is measured
            self.problem = str(error.strerror)


def _close(file: int) -> None:
    os.close(file)


def _plain(reading: Reading) -> dict[str, Any]:
    """A reading as JSON-ready values, what is as usual left out."""
    usual = Reading(0.0, None)
    values = {k: v for k, v in vars(reading).items() if v != getattr(usual, k)}
    return {"seconds": reading.seconds, "joules": reading.joules, **values}
