"""An upper bound in place of an unknown energy, from the power limit; only where asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .bounds import CAP_OVER_LIMIT
from .quantity import Energy
from .rapl import is_inner

if TYPE_CHECKING:
    from .sensors import Sensors

METHOD = "power-limit"


def upper_bound(unknown: Energy, limit_watts: float | None, seconds: float) -> Energy:
    """An unknown energy as the most that its power limit allows in `seconds`, status "estimated".

    1.1 times the limit counts, as in the bounds of what is measured. Without a limit, and for an
    energy that is known, nothing changes.

    >>> found = upper_bound(Energy.unknown("no counter", "gpu:A"), 700.0, 10.0)
    >>> round(found.joules), found.status, found.method, found.flags
    (7700, 'estimated', 'power-limit', ('upper-bound',))
    """
    if unknown.joules is not None or not limit_watts:
        return unknown
    watts = CAP_OVER_LIMIT * limit_watts
    return Energy(
        watts * seconds,
        "estimated",
        f"at most {watts:.4g} W (1.1 × the power limit) for {seconds:.4g} s, because "
        f"{unknown.reason}",
        unknown.scope,
        METHOD,
        seconds,
        coverage=0.0,
        flags=(*unknown.flags, "upper-bound"),
        at_least_joules=unknown.at_least_joules,
    )


def fill(energies: Mapping[str, Energy], sensors: Sensors, seconds: float) -> dict[str, Energy]:
    """`energies` with each unknown one replaced by its upper bound, where a limit is told.

    `seconds` is the window's time, for energies that have none. A part of a package stays as it
    is: its package's limit holds for it too, and would be counted beside it.
    """
    limits = limits_watts(sensors)
    return {
        scope: energy
        if is_inner(scope)
        else upper_bound(energy, limits.get(scope), max(seconds, energy.seconds or 0.0))
        for scope, energy in energies.items()
    }


def limits_watts(sensors: Sensors) -> dict[str, float]:
    """Power limits by scope in W, of readable and unreadable counters, where they are told."""
    limits = dict(sensors.rapl.limits_watts)
    if sensors.nvml is not None:
        for device in sensors.nvml.devices():
            limit = None if device.mig else sensors.nvml.limit_watts(device.handle)
            if limit is not None:
                limits[device.scope] = limit
    return limits
