"""Idle power before and after, and energy net of it."""

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthowatt.energy import Energy, EnergyMeter
from orthowatt.energy.idle import STATES, Idle, measure_idle, net
from orthowatt.errors import InputError, InputTypeError
from sensor_fakes import UUID_A, UUID_B, Gpu


def energy(watts, seconds=10.0, bound=5.0, scope="gpu:A", **more):
    return Energy(
        watts * seconds, "measured", scope=scope, method="nvml-energy-counter", seconds=seconds,
        bound_joules=bound, sensor_relative=0.05, **more,
    )  # fmt: skip


def idle(watts=80.0, state="driver-idle", **more):
    found = energy(watts, **more)
    return Idle(found, {found.scope: found}, {found.scope: state})


def test_net_is_gross_less_idle_with_both_bounds():
    found = net(energy(300.0, seconds=20.0, bound=4.0), idle())
    assert found.joules == pytest.approx((300 - 80) * 20)
    assert found.bound_joules == pytest.approx(4 + 0.5 * 20)
    assert found.sensor_relative == pytest.approx(0.05 * 380 / 220)
    assert found.flags == ("net",)
    assert found.method == "nvml-energy-counter, net of driver-idle at 80 W"
    assert Energy.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@given(st.floats(50, 700), st.floats(10, 45), st.floats(-1, 1), st.floats(-1, 1))
def test_the_true_net_lies_within_the_bound(power, low, place, idle_place):
    """Readings that err within their own bounds give a net that errs within its bound."""
    gross, resting = energy(power, seconds=20.0, bound=4.0), idle(low)
    true = (gross.joules + place * 4.0) - (low + idle_place * 0.5) * 20.0
    found = net(gross, resting)
    assert abs(found.joules - true) <= found.bound_joules * (1 + 1e-9)


def test_before_and_after_give_their_mean_and_their_spread_widens_the_bound():
    found = net(energy(300.0, seconds=20.0, bound=4.0), [idle(78.0), idle(82.0)])
    assert found.joules == pytest.approx(220 * 20)
    assert found.bound_joules == pytest.approx(4 + (0.5 + 2) * 20)
    assert "idle-drift" not in found.flags
    assert "idle-drift" in net(energy(300.0), [idle(70.0), idle(82.0)]).flags


def test_sums_of_devices_need_the_idle_of_each():
    parts = {"gpu:A": energy(80.0), "gpu:B": energy(60.0, scope="gpu:B")}
    both = Idle(parts["gpu:A"], parts, dict.fromkeys(parts, "context-resident"))
    gross = energy(300.0) + energy(200.0, scope="gpu:B")
    assert net(gross, both).joules == pytest.approx(500 * 10 - 140 * 10)
    alone = net(gross, idle())
    assert alone.joules is None
    assert "no idle power: gpu:B" in alone.reason


@pytest.mark.parametrize(
    ("gross", "resting", "words"),
    [
        (Energy.unknown("no sensor", "gpu:A"), idle(), "no sensor"),
        (
            energy(300.0),
            Idle(Energy.unknown("denied", "gpu:A", seconds=10.0), {}, {}),
            "no idle power: denied",
        ),
        (energy(79.0), idle(80.0), "no more than idle"),
        (
            Energy(7700.0, "estimated", "no counter", "gpu:A", "power-limit", 10.0),
            idle(),
            "an estimate is an upper bound",
        ),
    ],
)
def test_net_is_unknown_with_the_reason(gross, resting, words):
    found = net(gross, resting)
    assert found.joules is None
    assert found.status == "unknown"
    assert words in found.reason
    assert "net" in found.flags


def test_unlike_states_are_not_mixed():
    with pytest.raises(InputError, match="context-resident, driver-idle"):
        net(energy(300.0), [idle(), idle(state="context-resident")])
    with pytest.raises(InputTypeError, match="needs an Idle"):
        net(energy(300.0), 80.0)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((0.5,), InputError), ((float("inf"),), InputError), (("10",), InputTypeError)],
)
def test_a_time_that_says_nothing_is_refused(arguments, error, tmp_path):
    with EnergyMeter(scope="cpu", powercap_root=tmp_path) as meter, pytest.raises(error):
        measure_idle(meter, *arguments)


def test_without_a_sensor_the_idle_power_is_unknown(tmp_path):
    with EnergyMeter(scope="cpu", powercap_root=tmp_path) as meter:
        found = measure_idle(meter, 1.0)
    assert found.watts is None
    assert found.energy.reason
    assert found.to_dict()["watts"] is None
    assert set(found.states.values()) <= set(STATES)


def test_the_halves_of_an_unsettled_measurement_are_flagged(powercap):
    """The counter gains 1 J in the first half and 2 J in the second."""
    powercap.add("intel-rapl:0", "package-0", joules=10)
    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:

        def draw():
            began = time.monotonic()
            for at, joules in ((0.2, 60), (0.7, 160)):
                time.sleep(max(0.0, began + at - time.monotonic()))
                powercap.set("intel-rapl:0", joules)

        thread = threading.Thread(target=draw)
        thread.start()
        found = measure_idle(meter, 1.0)
        thread.join()
    assert found.energy.joules == pytest.approx(150)
    assert "idle-drift" in found.energy.flags


def test_idle_gpus_and_a_foreign_process(on_gpus):
    """Two boards at constant power; another process computes on the second one."""
    code = """
        from orthowatt.energy.idle import measure_idle, net
        with EnergyMeter(scope="gpu") as meter:
            idle = measure_idle(meter, 1.0)
            with meter.window("work") as window:
                time.sleep(0.2)
            known = {s["scope"]: s.get("idle_watts") for s in meter.provenance()["sensors"]}
            out = idle.to_dict() | {"known": known, "net": net(window.energies["gpu:%s"], idle).to_dict()}
    """
    gpus = [
        Gpu(UUID_A, trace=((1.0, 70.0),)),
        Gpu(UUID_B, trace=((1.0, 90.0),), pid=4_000_000),
    ]
    out, _ = on_gpus(code % UUID_A, *gpus)
    assert abs(out["watts"] - 160) <= out["bound_watts"]
    first, second = (out["parts"][f"gpu:{uuid}"] for uuid in (UUID_A, UUID_B))
    assert (first["state"], second["state"]) == ("driver-idle", "in-use")
    assert "foreign-processes" in second["flags"]
    assert "foreign-processes" not in first["flags"]
    assert "foreign-processes" in out["energy"]["flags"]
    # what idles indeed is what the meter holds later windows against
    assert out["known"][f"gpu:{UUID_A}"] == pytest.approx(70, rel=0.02)
    assert out["known"][f"gpu:{UUID_B}"] is None
    # constant power: nothing is left, within the bound
    assert out["net"]["joules"] is None or out["net"]["joules"] <= out["net"]["bound_joules"]
