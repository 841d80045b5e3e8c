"""Why a sensor cannot be read, and what mends it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A clause saying what is wrong, the command or step that mends it, the driver's error code.

    >>> Problem("the driver is not loaded", "sudo modprobe nvidia").sentence
    'the driver is not loaded; mend: sudo modprobe nvidia'
    """

    text: str
    mend: str | None = None
    code: int | None = None

    @property
    def sentence(self) -> str:
        """The clause with its mend."""
        return f"{self.text}; mend: {self.mend}" if self.mend else self.text
