"""Energy of a run in pieces: sums where all is known, floors where something was lost."""

import pytest

from orthowatt.energy import Energy, Measured
from orthowatt.train.segments import LOST, after_a_kill, joined


def window(joules, seconds=1.0, bound=1.0, scope="gpu:A"):
    if joules is None:
        energy = Energy.unknown("no sensor", scope)
    else:
        energy = Energy(joules, "measured", scope=scope, seconds=seconds, bound_joules=bound)
    return Measured(seconds, {scope: energy}, energy, energy).to_dict()


def test_pieces_add_up():
    found = joined({"run": window(100.0), "train": window(60.0)}, {"run": window(50.0)})
    assert found["run"]["energy"]["joules"] == 150.0
    assert found["run"]["energy"]["bound_joules"] == 2.0
    assert found["run"]["parts"]["gpu:A"]["joules"] == 150.0
    assert (found["run"]["seconds"], found["run"]["windows"]) == (2.0, 2)
    assert found["train"]["energy"]["joules"] == 60.0


def test_pieces_on_two_devices_are_not_pooled():
    found = joined({"run": window(100.0)}, {"run": window(50.0, scope="gpu:B")})
    assert found["run"]["energy"]["joules"] is None
    assert "same scope" in found["run"]["energy"]["reason"]


def test_a_killed_piece_leaves_a_floor():
    before = {"run": window(100.0), "train": window(60.0), "eval": window(10.0)}
    now = {"train": window(30.0), "eval": window(5.0)}
    found = after_a_kill(before, now)
    assert {name: found[name]["energy"]["joules"] for name in found} == dict.fromkeys(found)
    # a floor is the sum less its bounds: 100 + 30 + 5 − 3 for the run
    floors = {name: found[name]["energy"]["at_least_joules"] for name in found}
    assert floors == {"run": 132.0, "train": 88.0, "eval": 13.0}
    assert LOST in found["run"]["energy"]["reason"]


def test_what_follows_a_kill_raises_the_floor_only():
    found = joined(after_a_kill({}, {"train": window(30.0)}), {"run": window(50.0)})
    assert found["run"]["energy"]["joules"] is None
    assert found["run"]["energy"]["at_least_joules"] == pytest.approx(29.0 + 49.0)


def test_without_a_sensor_there_is_no_floor():
    found = after_a_kill({}, {"train": window(None)})
    assert found["run"]["energy"]["at_least_joules"] is None
    assert "no sensor" in found["run"]["energy"]["reason"]


def test_nothing_yet_is_nothing():
    assert after_a_kill({}, {}) == {}
    assert joined({}, {}) == {}
