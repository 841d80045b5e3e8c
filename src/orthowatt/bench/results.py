"""The result file of a benchmark, written as it grows: what ends a run early costs little."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..record import dumps, write_atomic

#: Seconds between two writings at least.
EVERY_SECONDS = 1.0
_PACKAGE = Path(__file__).parents[1]
#: What a benchmark of the kernels runs.
_PARTS = ("transforms", "nn", "models", "bench")


def source() -> str:
    """A digest of the Python files that are measured, which tells two trees of one commit apart.

    >>> len(source())
    16
    """
    found = hashlib.sha256()
    for path in sorted(path for part in _PARTS for path in (_PACKAGE / part).rglob("*.py")):
        found.update(path.relative_to(_PACKAGE).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:16]


class ResultFile:
    """Sections of rows under the facts that a result must name: what, where, with which code."""

    def __init__(self, path: Path, facts: dict[str, Any]):
        self.path = path
        self.data: dict[str, Any] = {**facts, "source": source(), "complete": False, "sections": {}}
        self._written = float("-inf")

    def join(self) -> list[str]:
        """Go on in the file that is there, and return the names of its sections, which stay.

        Raises `InputError` where it holds what other code or another device made.
        """
        if not self.path.exists():
            return []
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(
                f"{self.path} cannot be read as JSON ({error}); move it away"
            ) from None
        for key in ("source", "device_name"):
            if found.get(key) != self.data.get(key):
                raise InputError(
                    f"{self.path} has {key} {found.get(key)}, this run {self.data.get(key)}: "
                    "sections of both in one file would not compare; move it away, or write to "
                    "another folder with --out"
                )
        for name, facts in found.get("sections", {}).items():
            self.data["sections"][name] = facts
            if name in found:
                self.data[name] = found[name]
        return list(self.data["sections"])

    def section(self, name: str) -> Callable[[dict[str, Any]], None]:
        """Begin a section anew; what is returned adds a row to it and writes the file at times."""
        self.data[name] = rows = []
        self.data["sections"][name] = {"error": None, "seconds": None}

        def add(row: dict[str, Any]) -> None:
            rows.append(row)
            if time.monotonic() - self._written >= EVERY_SECONDS:
                self.write()

        return add

    def end(self, name: str, **facts: Any) -> None:
        """Write down how a section ended."""
        self.data["sections"][name] |= facts
        self.write()

    def write(self) -> None:
        """Write all that there is."""
        write_atomic(self.path, dumps(self.data, indent=1) + "\n")
        self._written = time.monotonic()
