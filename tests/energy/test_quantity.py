"""Energy: addition, unknowns, bounds, JSON."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthowatt.energy import Energy, ratio
from orthowatt.energy.quantity import FLAGS
from orthowatt.errors import InputError, InputTypeError

joules = st.floats(0, 1e9)
maybe = st.none() | joules
flags = st.lists(st.sampled_from(sorted(FLAGS)), max_size=3).map(tuple)


def known(scope="gpu:A"):
    return st.builds(
        Energy,
        joules,
        st.sampled_from(["measured", "estimated"]),
        scope=st.just(scope),
        method=st.sampled_from(["nvml-energy-counter", "rapl-powercap"]),
        seconds=maybe,
        bound_joules=maybe,
        sensor_relative=st.none() | st.floats(0, 0.5),
        coverage=st.none() | st.floats(0, 1),
        flags=flags,
    )


def unknown(scope="gpu:A"):
    return st.builds(
        Energy.unknown,
        st.sampled_from(["no driver", "counter reset"]),
        st.just(scope),
        seconds=maybe,
        flags=flags,
        at_least_joules=maybe,
    )


def energies(scope="gpu:A"):
    return known(scope) | unknown(scope)


def close(first, second):
    """Equal but for the rounding of sums."""
    for key, value in first.to_dict().items():
        other = second.to_dict()[key]
        if key == "at_least_joules":
            continue  # any valid floor will do; how tight it is depends on the order
        if isinstance(value, float) and isinstance(other, float):
            assert math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-3), key
        elif key in ("reason", "method"):
            assert set((value or "").split(" | ")) == set((other or "").split(" | ")) or (
                set((value or "").split("+")) == set((other or "").split("+"))
            )
        else:
            assert value == other, key
    return True


@given(energies(), energies())
def test_addition_commutes(a, b):
    assert close(a + b, b + a)


@given(energies(), energies(), energies())
def test_addition_is_associative(a, b, c):
    assert close((a + b) + c, a + (b + c))


@given(known(), known())
def test_sums_add_joules_bounds_and_seconds(a, b):
    total = a + b
    assert total.joules == a.joules + b.joules
    if a.bound_joules is None or b.bound_joules is None:
        assert total.bound_joules is None
    else:
        assert total.bound_joules == a.bound_joules + b.bound_joules
    if a.seconds is not None and b.seconds is not None:
        assert total.seconds == a.seconds + b.seconds
    assert total.status == ("estimated" if "estimated" in (a.status, b.status) else "measured")


@given(known(), unknown("cpu-package:0"))
def test_a_sum_with_an_unknown_is_unknown_and_keeps_the_floor(a, b):
    total = a + b
    assert total.joules is None
    assert total.status == "unknown"
    assert total.reason == b.reason
    floors = [f for f in (a.floor_joules, b.at_least_joules) if f is not None]
    assert total.at_least_joules == (sum(floors) if floors else None)


@given(known(), known())
def test_the_true_sum_lies_within_the_added_bound(a, b):
    if a.bound_joules is None or b.bound_joules is None:
        return
    for sign in (-1, 1):  # the worst errors that the parts allow
        truth = a.joules + sign * a.bound_joules + b.joules + sign * b.bound_joules
        total = a + b
        assert abs(truth - total.joules) <= total.bound_joules * (1 + 1e-9) + 1e-3


def test_side_by_side_scopes_join_and_the_longer_time_counts():
    gpu = Energy(10.0, "measured", scope="gpu:B", seconds=2.0, bound_joules=1.0)
    cpu = Energy(5.0, "measured", scope="cpu-package:0", seconds=3.0, bound_joules=0.5)
    total = gpu + cpu
    assert (total.scope, total.joules, total.seconds) == ("cpu-package:0+gpu:B", 15.0, 3.0)
    assert sum([gpu, cpu]) == total


def test_overlapping_scopes_are_refused():
    one = Energy(1.0, "measured", scope="gpu:A")
    both = Energy(3.0, "measured", scope="gpu:A+gpu:B")
    with pytest.raises(InputError, match="gpu:A' twice"):
        _ = one + both


@given(energies())
def test_json_round_trip(energy):
    text = json.dumps(energy.to_dict(), allow_nan=False)
    assert Energy.from_dict(json.loads(text)) == energy


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"joules": None, "status": "measured"}, "joules must be None exactly"),
        ({"joules": 0.0, "status": "unknown", "reason": "x"}, "joules must be None exactly"),
        ({"joules": None, "status": "unknown"}, "needs a reason"),
        ({"joules": -1.0, "status": "measured"}, "not negative"),
        ({"joules": math.nan, "status": "measured"}, "must be finite"),
        ({"joules": 1.0, "status": "guessed"}, "must be one of"),
        ({"joules": 1.0, "status": "measured", "watt": 3}, "no field 'watt'"),
        ({"status": "measured"}, "needs 'joules'"),
    ],
)
def test_contradictions_are_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Energy.from_dict(fields)


def test_joules_must_be_a_number():
    with pytest.raises(InputTypeError, match="must be a number"):
        Energy("12", "measured")


def test_texts_never_hide_that_a_value_is_unknown():
    assert str(Energy.unknown("no driver", "gpu", at_least_joules=2000.0)) == (
        "unknown, at least 2 kJ: no driver"
    )
    assert str(Energy(0.5, "estimated", scope="gpu")) == "500 mJ (estimated)"


@given(st.floats(1, 1e6), st.floats(1, 1e6), st.floats(0, 100), st.floats(0, 100))
def test_ratio_contains_every_ratio_that_the_bounds_allow(a, b, bound_a, bound_b):
    first = Energy(a, "measured", scope="gpu:A", bound_joules=bound_a)
    second = Energy(b, "measured", scope="gpu:A", bound_joules=bound_b)
    found = ratio(first, second)
    assert found.value == a / b
    for x in (max(0.0, a - bound_a), a, a + bound_a):
        for y in (b - bound_b, b, b + bound_b):
            if y > 0:
                assert found.low <= x / y * (1 + 1e-12)
                assert x / y <= found.high * (1 + 1e-12)


def test_ratio_refuses_different_devices_unless_told():
    a = Energy(110.0, "measured", scope="gpu:A", bound_joules=0.0, sensor_relative=0.05)
    b = Energy(100.0, "measured", scope="gpu:B", bound_joules=0.0, sensor_relative=0.05)
    with pytest.raises(InputError, match="across=True"):
        ratio(a, b)
    told = ratio(a, b, across=True)
    assert told.low == pytest.approx(1.1 * 0.95 / 1.05)
    assert told.high == pytest.approx(1.1 * 1.05 / 0.95)
    gone = ratio(a, Energy.unknown("lost", "gpu:A"))
    assert (gone.value, gone.reason) == (None, "lost")


def test_between_two_methods_the_sensors_do_not_cancel():
    counter = Energy(
        100.0,
        "measured",
        scope="gpu:A",
        method="nvml-energy-counter",
        bound_joules=1.0,
        sensor_relative=0.05,
    )
    integral = counter.replace(method="nvml-power-integral")
    near, wide = counter / counter, counter / integral
    assert wide.low < near.low < near.high < wide.high
    assert (near.value, wide.value) == (1.0, 1.0)
    with pytest.raises(InputError, match="are not compared"):
        _ = counter / counter.replace(scope="gpu:B")
