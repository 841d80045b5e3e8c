"""From two readings of an energy counter to an `Energy` with its bound: arithmetic, no sensor."""

from __future__ import annotations

from dataclasses import dataclass

from .bounds import CAP_OVER_LIMIT, bound_joules, implausible
from .quantity import Energy

#: A device that told no limit may exceed the cap assumed for it, but not so many times.
_ABSURD = 10.0


@dataclass(frozen=True)
class Facts:
    """What is known of a counter: its name, its power cap and where that comes from.

    `cap_watts` is a power that the device does not exceed (1.1 × the enforced limit); with
    `cap_assumed` no limit could be read and the cap is the highest known of any such device.
    `cap_from` says where it comes from. `limit_watts` and `idle_watts`, where known, are what
    the mean power is held against.
    """

    scope: str
    method: str
    cap_watts: float
    cap_assumed: bool = False
    sensor_relative: float | None = None
    flags: tuple[str, ...] = ()
    limit_watts: float | None = None
    idle_watts: float | None = None
    cap_from: str = "limit"


@dataclass(frozen=True)
class Reading:
    """One reading: the counter's `joules` belong to a moment in [seconds − lag_seconds, seconds].

    `seconds` is monotonic time. `breaks` counts the times that the counter's history was lost
    (a reset, a gap too long to rule out a wrap); `break_reason` says how the last time.
    A failed reading has no joules but a `problem`, and in `last_joules` what was read last.
    `uncovered_seconds` is the time, since any origin, of which nothing is known.
    """

    seconds: float
    joules: float | None
    lag_seconds: float = 0.0
    breaks: int = 0
    break_reason: str | None = None
    problem: str | None = None
    flags: tuple[str, ...] = ()
    uncovered_seconds: float = 0.0
    last_joules: float | None = None


def energy_between(facts: Facts, start: Reading, end: Reading) -> Energy:
    """The energy between two readings, in joules, with its bound, or unknown with the reason.

    Each reading lags: the energy between the counter's last tick and the reading is missing at
    the start's side and at the end's, with opposite signs, so the error is at most the power cap
    times the longer lag, plus the counter's resolution.

    >>> facts = Facts("gpu:A", "nvml-energy-counter", cap_watts=770.0, sensor_relative=0.05)
    >>> found = energy_between(facts, Reading(5.0, 100.0, 0.1), Reading(15.0, 3100.0, 0.1))
    >>> str(found), found.seconds
    ('3 kJ ± 77 J', 10.0)
    """
    seconds = max(0.0, end.seconds - start.seconds)
    flags = facts.flags + start.flags + end.flags
    if facts.cap_assumed:
        flags += ("power-cap-assumed",)
    uncovered = min(seconds, max(0.0, end.uncovered_seconds - start.uncovered_seconds))

    def unknown(reason: str, *more: str, least: float | None = None) -> Energy:
        return Energy.unknown(
            reason, facts.scope, method=facts.method, seconds=seconds, flags=flags + more,
            at_least_joules=least,
        )  # fmt: skip

    for reading in (start, end):
        if reading.problem or reading.joules is None:
            return unknown(
                reading.problem or "the counter gave no value", least=_floor(facts, start, end)
            )
    assert start.joules is not None
    assert end.joules is not None
    joules = end.joules - start.joules
    cap = facts.cap_watts
    if facts.cap_assumed and seconds > 0:
        cap = max(cap, min(joules / seconds, _ABSURD * cap))
    bound = bound_joules(cap, max(start.lag_seconds, end.lag_seconds), uncovered)
    if start.breaks != end.breaks:
        # after a gap the sum so far is a floor; after a reset it would mix two histories
        least = max(0.0, joules - bound) if end.break_reason == GAP else None
        flag = "gap" if end.break_reason == GAP else "counter-reset"
        return unknown(end.break_reason or "the counter's history was lost", flag, least=least)
    if joules < 0:
        return unknown(
            "the energy counter went back during the window (the driver was reloaded or the "
            "device reset); measure again",
            "counter-reset",
        )
    if joules == 0:
        return unknown(
            f"the energy counter did not move in {seconds:.3g} s: the window is shorter than its "
            "tick or the sensor stands still; measure a longer window",
            "no-tick",
        )
    coverage = 1.0 - uncovered / seconds if seconds > 0 else 1.0
    energy = Energy(
        joules, "measured", None, facts.scope, facts.method, seconds, bound,
        facts.sensor_relative, coverage, flags + (("low-coverage",) if coverage < 0.9 else ()),
    )  # fmt: skip
    return implausible(energy, idle_watts=facts.idle_watts, limit_watts=cap / CAP_OVER_LIMIT)


def _floor(facts: Facts, start: Reading, end: Reading) -> float | None:
    """What was spent at least, by the last value before the end's reading failed."""
    if start.joules is None or end.last_joules is None or start.breaks != end.breaks:
        return None
    edge = max(start.lag_seconds, end.lag_seconds)
    bound = bound_joules(
        facts.cap_watts, edge, max(0.0, end.uncovered_seconds - start.uncovered_seconds)
    )
    return max(0.0, end.last_joules - start.joules - bound)


GAP = (
    "the energy counter was not read for so long that it may have wrapped more than once (the "
    "process or machine was suspended); measure again"
)
