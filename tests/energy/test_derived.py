"""What follows from an energy: bounds scale, unknown stays unknown, labels stay."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthowatt.energy import Energy, EnergyMeter
from orthowatt.energy.derived import (
    co2_grams,
    energy_delay_product,
    joules_per_image,
    joules_per_thousand_inferences,
    joules_to_accuracy,
)
from orthowatt.energy.inference import measure_inference
from orthowatt.errors import InputError, InputTypeError


def measured(joules=1200.0, bound=12.0, seconds=20.0, **more):
    return Energy(
        joules, "measured", scope="gpu:A", method="nvml-energy-counter", seconds=seconds,
        bound_joules=bound, sensor_relative=0.05, **more,
    )  # fmt: skip


UNKNOWN = Energy.unknown("no sensor", "gpu:A", at_least_joules=300.0, flags=("gap",))
ESTIMATED = Energy(
    7700.0, "estimated", "no counter", "gpu:A", "power-limit", 10.0, flags=("upper-bound",)
)
KINDS = {
    "image": lambda energy: joules_per_image(energy, 600),
    "inference": lambda energy: joules_per_thousand_inferences(energy, 600),
    "delay": energy_delay_product,
    "co2": lambda energy: co2_grams(energy, grams_per_kwh=36.0, source="the grid's own page"),
}
FACTORS = {"image": 1 / 600, "inference": 1000 / 600, "delay": 20.0, "co2": 36.0 / 3.6e6}


@pytest.mark.parametrize("kind", KINDS)
def test_value_and_bound_scale_together(kind):
    found = KINDS[kind](measured(flags=("gap",)))
    assert found.value == pytest.approx(1200 * FACTORS[kind])
    assert found.bound == pytest.approx(12 * FACTORS[kind])
    assert (found.status, found.sensor_relative, found.scope) == ("measured", 0.05, "gpu:A")
    assert found.flags == ("gap",)
    low, high = found.interval
    assert low < found.value < high
    json.dumps(found.to_dict(), allow_nan=False)


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_stays_unknown_with_its_reason(kind):
    found = KINDS[kind](UNKNOWN)
    assert (found.value, found.bound, found.status) == (None, None, "unknown")
    assert found.reason == "no sensor"
    assert found.interval is None
    assert found.to_dict()["value"] is None
    assert "unknown" in str(found)


@pytest.mark.parametrize("kind", KINDS)
def test_an_estimate_says_so_in_every_output(kind):
    found = KINDS[kind](ESTIMATED)
    assert found.status == found.to_dict()["status"] == "estimated"
    assert str(found).startswith("at most ")
    assert str(found).endswith("(estimated)")


def test_the_floor_of_an_unknown_is_kept():
    assert joules_per_image(UNKNOWN, 600).at_least == pytest.approx(0.5)


@given(st.floats(1, 1e6), st.floats(0, 100), st.floats(-1, 1), st.integers(1, 10**6))
def test_the_true_value_lies_within_the_interval_when_the_energy_does(joules, bound, place, n):
    true = max(0.0, joules + place * bound)
    low, high = joules_per_image(measured(joules, bound), n).interval
    assert low * (1 - 1e-9) <= true / n <= high * (1 + 1e-9)


def test_a_short_window_of_inferences_is_unknown():
    found = joules_per_thousand_inferences(measured(seconds=9.9), 500)
    assert found.value is None
    assert "9.9 s" in found.reason
    assert "at least 10 s" in found.reason


def test_the_delay_of_an_energy_without_time_is_unknown():
    assert energy_delay_product(measured(seconds=None)).reason == "the energy's time is not known"


class TestToAccuracy:
    """The sum up to the first epoch that reaches the target; censored without one."""

    epochs = ((0.3, measured()), (None, measured()), (0.7, measured()), (0.6, measured()))

    def test_reached(self):
        found = joules_to_accuracy(self.epochs, 0.65)
        assert (found.value, found.bound) == (3600.0, 36.0)
        assert "epoch 3 of 4" in found.basis

    def test_not_reached_is_a_floor_and_no_value(self):
        found = joules_to_accuracy(self.epochs, 0.71, tail="it was interrupted")
        assert (found.value, found.status) == (None, "censored")
        assert found.at_least == pytest.approx(4 * 1200 - 4 * 12)
        assert "best 0.7" in found.reason
        assert "interrupted" in found.reason
        assert str(found).startswith("censored, at least 4752 J")

    def test_an_unknown_epoch_on_the_way_makes_it_unknown(self):
        epochs = [(0.3, UNKNOWN), *self.epochs[1:]]
        found = joules_to_accuracy(epochs, 0.65)
        assert (found.value, found.status, found.reason) == (None, "unknown", "no sensor")
        assert found.at_least == pytest.approx(300 + 2 * 1188)

    def test_an_unknown_epoch_after_it_does_no_harm(self):
        assert joules_to_accuracy([*self.epochs, (0.9, UNKNOWN)], 0.65).value == 3600.0


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: joules_per_image(measured(), 0), InputError, "at least 1"),
        (lambda: joules_per_image(measured(), 1.5), InputTypeError, "whole number"),
        (lambda: joules_to_accuracy([], 0.5), InputError, "no epochs"),
        (lambda: joules_to_accuracy([(70.0, measured())], 0.5), InputError, "fraction"),
        (lambda: joules_to_accuracy([(0.7, measured())], 75), InputError, "fraction"),
        (lambda: co2_grams(measured(), grams_per_kwh=400, source=" "), InputError, "source"),
        (lambda: co2_grams(measured(), grams_per_kwh=-1, source="x"), InputError, "negative"),
        (lambda: co2_grams(measured(), grams_per_kwh="400", source="x"), InputTypeError, "number"),
        (lambda: measure_inference(7), InputTypeError, "function"),
        (lambda: measure_inference(print, 0), InputError, "from 1"),
        (lambda: measure_inference(print, seconds=-1), InputError, "not be negative"),
    ],
)
def test_bad_input_gets_one_sentence(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_co2_needs_a_factor_and_its_source():
    with pytest.raises(TypeError):
        co2_grams(measured())


def test_inferences_are_counted_in_the_window_and_not_in_the_warm_up(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=10)
    calls = []
    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:

        def call():
            calls.append(len(meter.sums))
            powercap.set("intel-rapl:0", 10 + 0.01 * len(calls))

        found = measure_inference(call, 32, meter=meter, seconds=0.05, warmup_seconds=0.02)
    assert 32 <= found.inferences < 32 * len(calls)
    assert found.energy.joules == pytest.approx(0.01 * found.inferences / 32)
    assert found.per_thousand.value is None  # far below 10 s
    assert found.to_dict()["energy"]["joules"] == found.energy.joules
