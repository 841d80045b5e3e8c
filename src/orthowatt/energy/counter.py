"""From two readings of an energy counter to an `Energy` with its bound: arithmetic, no sensor."""

from __future__ import annotations

from dataclasses import dataclass

from .quantity import Energy

#: A counter cut off to whole mJ errs by at most 1 mJ at each of two edges.
RESOLUTION_JOULES = 0.002


@dataclass(frozen=True)
class Facts:
    """What is known of a counter: its name, its power cap and where that comes from.

    `cap_watts` is a power that the device does not exceed (1.1 × the enforced limit); with
    `cap_assumed` no limit could be read and the cap is the highest known of any such device.
    """

    scope: str
    method: str
    cap_watts: float
    cap_assumed: bool = False
    sensor_relative: float | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reading:
    """One reading: the counter's `joules` belong to a moment in [seconds − lag_seconds, seconds].

    `seconds` is monotonic time. `breaks` counts the times that the counter's history was lost
    (a reset, a gap too long to rule out a wrap); `break_reason` says how the last time.
    A failed reading has no joules but a `problem`.
    """

    seconds: float
    joules: float | None
    lag_seconds: float = 0.0
    breaks: int = 0
    break_reason: str | None = None
    problem: str | None = None
    flags: tuple[str, ...] = ()


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

    def unknown(reason: str, *more: str, least: float | None = None) -> Energy:
        return Energy.unknown(
            reason, facts.scope, method=facts.method, seconds=seconds, flags=flags + more,
            at_least_joules=least,
        )  # fmt: skip

    for reading in (start, end):
        if reading.problem or reading.joules is None:
            return unknown(reading.problem or "the counter gave no value")
    assert start.joules is not None
    assert end.joules is not None
    joules = end.joules - start.joules
    cap = facts.cap_watts
    if facts.cap_assumed and seconds > 0:
        cap = max(cap, joules / seconds)
    bound = cap * max(start.lag_seconds, end.lag_seconds) + RESOLUTION_JOULES
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
    if joules - bound > cap * seconds:
        flags += ("implausible-high",)
    return Energy(
        joules, "measured", None, facts.scope, facts.method, seconds, bound,
        facts.sensor_relative, coverage=1.0, flags=flags,
    )  # fmt: skip


GAP = (
    "the energy counter was not read for so long that it may have wrapped more than once (the "
    "process or machine was suspended); measure again"
)
