"""`Measured`: what a window found, and the sum over windows that followed each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .device_stats import DeviceStats
from .quantity import Energy


@dataclass(frozen=True)
class Measured:
    """The result of a window, or the sum over `windows` windows that followed each other.

    `seconds` is the time of the bodies; `energies` by scope, `energy` the primary one, `total`
    the sum of all parts that do not overlap; `devices` what the sampler saw of each GPU.
    """

    seconds: float
    energies: dict[str, Energy]
    energy: Energy
    total: Energy
    windows: int = 1
    devices: dict[str, DeviceStats] = field(default_factory=dict)

    def __add__(self, other: Measured) -> Measured:
        scopes = sorted({*self.energies, *other.energies})
        return Measured(
            self.seconds + other.seconds,
            {s: _one_after_the_other(self.energies.get(s), other.energies.get(s)) for s in scopes},
            _one_after_the_other(self.energy, other.energy),
            _one_after_the_other(self.total, other.total),
            self.windows + other.windows,
            _devices(self.devices, other.devices),
        )

    def flagged(self, flag: str) -> Measured:
        """The same with a flag in every energy."""

        def more(energy: Energy) -> Energy:
            return energy.replace(flags=(*energy.flags, flag))

        energies = {scope: more(part) for scope, part in self.energies.items()}
        return dataclasses.replace(
            self, energies=energies, energy=more(self.energy), total=more(self.total)
        )

    def to_dict(self) -> dict[str, Any]:
        """Seconds, primary energy, total, parts and devices as JSON-ready values."""
        return {
            "seconds": self.seconds,
            "windows": self.windows,
            "energy": self.energy.to_dict(),
            "total": self.total.to_dict(),
            "parts": {scope: part.to_dict() for scope, part in self.energies.items()},
            "devices": {scope: stats.to_dict() for scope, stats in self.devices.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Measured:
        """Rebuild what `to_dict` gave."""
        devices = values.get("devices") or {}
        return cls(
            values["seconds"],
            {scope: Energy.from_dict(part) for scope, part in values["parts"].items()},
            Energy.from_dict(values["energy"]),
            Energy.from_dict(values["total"]),
            values["windows"],
            {scope: DeviceStats.from_dict(stats) for scope, stats in devices.items()},
        )


def _one_after_the_other(first: Energy | None, second: Energy | None) -> Energy:
    """The sum over time; unknown where the two windows did not watch the same scope."""
    if first is not None and second is not None and first.scope == second.scope:
        return first + second
    scopes = [energy.scope for energy in (first, second) if energy is not None]
    reason = f"the windows did not watch the same scope ({' and '.join(scopes)})"
    return Energy.unknown(reason, scopes[0])


def _devices(
    first: Mapping[str, DeviceStats], second: Mapping[str, DeviceStats]
) -> dict[str, DeviceStats]:
    found = dict(first)
    for scope, stats in second.items():
        found[scope] = found[scope] + stats if scope in found else stats
    return found
