"""From readings to joules: exact where it must be, within the bound always."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthowatt.energy.counter import GAP, Facts, Reading, energy_between

CAP = 770.0
FACTS = Facts("gpu:A", "nvml-energy-counter", CAP, sensor_relative=0.05)

powers = st.lists(st.tuples(st.floats(0.01, 1.0), st.floats(0, CAP)), min_size=1, max_size=8)
ticks = st.floats(0.005, 0.1)


def true_joules(trace, start, end):
    """The integral of a repeating (seconds, watts) trace."""
    period = sum(seconds for seconds, _ in trace)

    def upto(t):
        cycles, left = divmod(t, period)
        total = cycles * sum(seconds * watts for seconds, watts in trace)
        for seconds, watts in trace:
            total += min(max(left, 0.0), seconds) * watts
            left -= seconds
        return total

    return upto(end) - upto(start)


def read(trace, tick, at, lag=None):
    """A counter that was last brought up to date at its tick, cut off to whole mJ."""
    ticked = math.floor(at / tick) * tick
    millijoules = math.floor(1000 * true_joules(trace, 0.0, ticked))
    return Reading(at, millijoules / 1000, tick if lag is None else lag)


@given(powers, ticks, st.floats(0, 5), st.floats(0.001, 20))
def test_the_truth_lies_within_the_bound(trace, tick, begin, length):
    found = energy_between(FACTS, read(trace, tick, begin), read(trace, tick, begin + length))
    truth = true_joules(trace, begin, begin + length)
    if found.joules is None:
        assert found.flags == ("no-tick",)
    else:
        assert abs(found.joules - truth) <= found.bound_joules + 1e-6


@given(powers, ticks, st.integers(0, 50), st.integers(1, 200), st.floats(0, 1))
def test_reading_at_ticks_makes_the_bound_the_poll_gap(trace, tick, first, count, late):
    gap = 0.001
    begin, end = (first * tick + late * gap, (first + count) * tick + late * gap)
    found = energy_between(
        FACTS,
        read(trace, tick, begin + 1e-9, gap + 1e-9),
        read(trace, tick, end + 1e-9, gap + 1e-9),
    )
    if found.joules is not None:
        assert found.bound_joules == pytest.approx(CAP * gap + 0.002, abs=1e-4)
        assert abs(found.joules - true_joules(trace, begin, end)) <= found.bound_joules + 1e-4


@given(st.floats(1, CAP), st.integers(1, 1000))
def test_constant_power_is_exact_between_ticks(watts, count):
    start = Reading(3.0, 100.0)
    end = Reading(3.0 + 0.1 * count, 100.0 + watts * 0.1 * count)
    found = energy_between(FACTS, start, end)
    assert found.joules == pytest.approx(watts * found.seconds, rel=1e-9)
    assert found.flags == ()


@given(powers, st.lists(st.floats(0, 20), min_size=3, max_size=8, unique=True))
def test_parts_add_up_to_the_whole(trace, times):
    readings = [read(trace, 0.02, at) for at in sorted(times)]
    parts = [energy_between(FACTS, *pair) for pair in itertools.pairwise(readings)]
    whole = energy_between(FACTS, readings[0], readings[-1])
    if all(part.joules is not None for part in parts):
        assert sum(parts).joules == pytest.approx(whole.joules, abs=1e-6)
        assert sum(parts).seconds == pytest.approx(whole.seconds)


@given(powers, st.floats(0, 10), st.floats(1, 10), st.floats(0, 1e6))
def test_where_time_and_counter_start_does_not_matter(trace, begin, length, shift):
    one, two = read(trace, 0.02, begin), read(trace, 0.02, begin + length)

    def moved(reading):
        return Reading(reading.seconds + shift, reading.joules + shift, reading.lag_seconds)

    here, there = energy_between(FACTS, one, two), energy_between(FACTS, moved(one), moved(two))
    assert here.status == there.status
    if here.joules is not None:
        assert there.joules == pytest.approx(here.joules, abs=1e-6)


def test_what_cannot_be_measured_is_unknown():
    good = Reading(0.0, 100.0, 0.1)
    went_back = energy_between(FACTS, good, Reading(5.0, 3.0, 0.1))
    assert went_back.joules is None
    assert went_back.flags == ("counter-reset",)
    still = energy_between(FACTS, good, Reading(0.01, 100.0, 0.1))
    assert still.joules is None
    assert "did not move" in still.reason
    lost = energy_between(FACTS, good, Reading(5.0, None, problem="the GPU is lost"))
    assert (lost.joules, lost.reason, lost.seconds) == (None, "the GPU is lost", 5.0)
    gap = energy_between(FACTS, good, Reading(5.0, 600.0, 0.1, breaks=1, break_reason=GAP))
    assert gap.joules is None
    assert gap.at_least_joules == pytest.approx(500 - 77.002)


def test_more_than_the_limit_allows_is_flagged():
    # a counter without its start value, or mJ taken as J, shows as an impossible power
    found = energy_between(FACTS, Reading(0.0, 0.0, 0.1), Reading(2.0, 51_234.5, 0.1))
    assert found.flags == ("implausible-high",)


def test_without_a_limit_the_highest_power_seen_widens_the_bound():
    facts = Facts("cpu-package:0", "rapl-powercap", cap_watts=100.0, cap_assumed=True)
    found = energy_between(facts, Reading(0.0, 0.0, 0.1), Reading(1.0, 400.0, 0.1))
    assert found.bound_joules == pytest.approx(400 * 0.1 + 0.002)
    assert found.flags == ("power-cap-assumed",)
