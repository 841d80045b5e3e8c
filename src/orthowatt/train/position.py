"""Where a run stands: finished epochs, steps of the next one, and its sums so far."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..energy import Energy

#: The sums of a `Tally` before its first step.
NOTHING = {"loss": 0.0, "right": 0, "count": 0}


@dataclass
class Position:
    """`epoch` epochs are finished, and `step` steps of the one after them.

    `sums` are the `Tally` of these steps, `seconds` and `energy` (JSON form) what they took; None
    where nothing was measured yet. `stopped` says which limit ended the training, if one did.

    >>> Position.from_dict(Position(epoch=2, step=7).to_dict()) == Position(epoch=2, step=7)
    True
    """

    epoch: int = 0
    step: int = 0
    sums: dict[str, Any] = field(default_factory=lambda: dict(NOTHING))
    seconds: float | None = None
    energy: dict[str, Any] | None = None
    stopped: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The position as JSON-ready values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Position:
        """Rebuild what `to_dict` gave."""
        return cls(**values)

    def add_cost(self, seconds: float, energy: Energy) -> None:
        """Add what a piece of the unfinished epoch took."""
        before = Energy.from_dict(self.energy) if self.energy else None
        known = before is None or self.seconds is not None
        self.seconds = (self.seconds or 0.0) + seconds if known else None
        self.energy = (energy if before is None else _after(before, energy)).to_dict()

    def lose_cost(self, reason: str) -> None:
        """A process was killed within this epoch: what it took is unknown."""
        if self.step:
            self.seconds = None
            before = Energy.from_dict(self.energy) if self.energy else None
            scope = before.scope if before else ""
            lost = Energy.unknown(reason, scope)
            self.energy = (lost if before is None else before + lost).to_dict()

    def next_epoch(self) -> None:
        """The epoch is finished."""
        self.epoch, self.step = self.epoch + 1, 0
        self.sums, self.seconds, self.energy = dict(NOTHING), None, None


def _after(before: Energy, energy: Energy) -> Energy:
    """Two pieces one after the other; unknown where they watched different scopes."""
    if before.scope == energy.scope:
        return before + energy
    if before.joules is None and not before.scope:
        return before.replace(scope=energy.scope) + energy
    return Energy.unknown("its pieces did not watch the same scope", before.scope)
