"""How far a measured energy may be off, and whether its mean power is one the device can have."""

from __future__ import annotations

import math

from .quantity import Energy

#: No device draws more than this times its enforced power limit over a tick.
CAP_OVER_LIMIT = 1.1
#: No device in use draws less than this times its idle power.
FLOOR_OVER_IDLE = 0.5
#: A counter cut off to whole mJ errs by at most 1 mJ at each of two edges.
RESOLUTION_JOULES = 0.002


def bound_joules(cap_watts: float, edge_seconds: float, uncovered_seconds: float = 0.0) -> float:
    """The most by which the energy between two readings may be off, in J.

    `cap_watts` is a power that the device does not exceed. `edge_seconds` is the time uncertainty
    of the two edges: a reading up to that old misses at most `cap_watts * edge_seconds`, and what
    the start misses is added while what the end misses is taken away, so that the larger of the
    two counts. In `uncovered_seconds` nothing was read: there the power may have been anything
    from 0 to the cap.

    >>> bound_joules(770.0, 0.1), bound_joules(770.0, 0.0005, 2.0)
    (77.002, 1540.387)
    """
    joules = cap_watts * edge_seconds + RESOLUTION_JOULES + cap_watts * uncovered_seconds
    return joules if math.isfinite(joules) else math.inf


def implausible(
    energy: Energy, *, idle_watts: float | None = None, limit_watts: float | None = None
) -> Energy:
    """The energy, flagged where its mean power is not one that the device can have.

    Flagged "implausible-high" above 1.1 times the power limit and "implausible-low" below half
    of the idle power, when its bound does not explain it. A limit or idle power of None says
    nothing.

    >>> slip = Energy(300_000.0, "measured", scope="gpu:A", seconds=1.0, bound_joules=77.0)
    >>> implausible(slip, limit_watts=700.0).flags
    ('implausible-high',)
    """
    if energy.joules is None or not energy.seconds:
        return energy
    bound = energy.bound_joules or 0.0
    flags = energy.flags
    if limit_watts and energy.joules - bound > CAP_OVER_LIMIT * limit_watts * energy.seconds:
        flags += ("implausible-high",)
    if idle_watts and energy.joules + bound < FLOOR_OVER_IDLE * idle_watts * energy.seconds:
        flags += ("implausible-low",)
    return energy if flags == energy.flags else energy.replace(flags=flags)
