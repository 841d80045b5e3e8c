"""The meter on GPUs, through nvidia-ml-py and a stand-in driver library that runs in real time."""

import json
import time

import numpy as np
import pytest

from sensor_fakes import UUID_A as A
from sensor_fakes import UUID_B as B
from sensor_fakes import Gpu, window, within

SQUARE = ((0.05, 600.0), (0.05, 90.0))


def test_constant_power_is_measured_to_the_bound(on_gpus):
    out, _ = on_gpus(window(), Gpu(A, ((1.0, 300.0),)))
    energy = out["energy"]
    assert energy["status"] == "measured"
    assert energy["scope"] == f"gpu:{A}"
    assert energy["method"] == "nvml-energy-counter"
    assert energy["sensor_relative"] == 0.05
    assert within(energy, 300)
    assert energy["seconds"] >= 0.3
    sensor = next(s for s in out["sensors"] if s["scope"] == f"gpu:{A}")
    assert sensor["power_limit_watts"] == 700
    assert sensor["lag_seconds"] >= 0.02


def test_reading_at_ticks_makes_the_bound_small(on_gpus):
    code = """
        meter = EnergyMeter(scope="gpu", powercap_root=os.environ["NO_POWERCAP"])
        out = []
        for align in (True, False) * 4:
            with meter.window("run", align=align) as window:
                time.sleep(0.1)
            out.append(window.energy.bound_joules)
    """
    bounds, _ = on_gpus(code, Gpu(A, SQUARE, tick=0.1))
    # aligned, what stays is the gap between two polls; a busy machine may stretch some of them
    assert min(bounds[0::2]) < 770 * 0.01
    assert min(bounds[1::2]) >= 770 * 0.1


def test_the_truth_lies_within_the_bound_in_real_time(on_gpus):
    """24 boards with random traces and ticks, read again and again, half of it at their ticks."""
    rng = np.random.default_rng(7)
    gpus = []
    for index in range(24):
        trace = tuple(
            (
                float(rng.uniform(0.005, 0.3)),
                float(rng.choice([0.0, 60.0, 700.0, rng.uniform(0, 770)])),
            )
            for _ in range(int(rng.integers(1, 7)))
        )
        tick = float(rng.choice([0.02, 0.05, 0.1]))
        gpus.append(Gpu(f"GPU-{index:08x}-r", trace, tick, float(rng.uniform(0, tick))))
    code = """
        import itertools, random
        sensors = Sensors(cpu=False)
        choose = random.Random(3)
        readings = []
        for turn in range(6):
            time.sleep(choose.uniform(0.0, 0.25))
            readings.append(sensors.read(align=turn % 2 == 0))
        out = []
        for first, second in itertools.combinations(readings, 2):
            for scope, start in first.items():
                energy = energy_between(sensors.facts(scope), start, second[scope])
                out.append([scope, start.seconds, second[scope].seconds, energy.to_dict()])
    """
    found, zero = on_gpus(code, *gpus)
    by_scope = {f"gpu:{gpu.uuid}": gpu for gpu in gpus}
    errors, bounds = [], []
    for scope, start, end, energy in found:
        truth = by_scope[scope].joules(start - zero, end - zero)
        if energy["joules"] is None:
            assert "no-tick" in energy["flags"]
            continue
        assert abs(energy["joules"] - truth) <= energy["bound_joules"] + 1e-6, (scope, energy)
        errors.append(abs(energy["joules"] - truth))
        bounds.append(energy["bound_joules"])
    assert len(errors) >= 250  # of 360; the rest did not tick within the window
    # a bound that is merely huge does not pass
    assert np.median(bounds) <= 3 * max(errors)


def test_devices_follow_cuda_visible_devices(on_gpus):
    two = (Gpu(A, ((1.0, 100.0),)), Gpu(B, ((1.0, 500.0),)))
    out, _ = on_gpus(window(), *two, env={"CUDA_VISIBLE_DEVICES": "1"})
    assert out["energy"]["scope"] == f"gpu:{B}"
    assert within(out["energy"], 500)
    assert f"gpu:{A}" not in out["parts"]
    out, _ = on_gpus(window(), *two, env={"CUDA_VISIBLE_DEVICES": "GPU-aaaa"})
    assert within(out["energy"], 100)


def test_two_devices_add_up_and_their_bounds_too(on_gpus):
    out, _ = on_gpus(window(), Gpu(A, ((1.0, 100.0),)), Gpu(B, ((1.0, 500.0),), phase=0.007))
    parts = [out["parts"][f"gpu:{uuid}"] for uuid in (A, B)]
    assert out["energy"]["scope"] == f"gpu:{A}+gpu:{B}"
    assert out["energy"]["joules"] == pytest.approx(sum(part["joules"] for part in parts))
    assert out["energy"]["bound_joules"] == pytest.approx(sum(p["bound_joules"] for p in parts))
    # the CPU has no counter here, so the total is unknown, but not nothing
    assert out["total"]["joules"] is None
    assert out["total"]["at_least_joules"] == pytest.approx(
        out["energy"]["joules"] - out["energy"]["bound_joules"]
    )


def test_numbers_of_different_models_in_cudas_own_order_are_unknown(on_gpus):
    two = (Gpu(A, name="Tesla T4"), Gpu(B))
    numbers = {"CUDA_VISIBLE_DEVICES": "0"}
    out, _ = on_gpus(window(0.1), *two, env=numbers)
    assert out["energy"]["joules"] is None
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in out["energy"]["reason"]
    assert set(out["parts"]) >= {f"gpu:{A}", f"gpu:{B}"}
    out, _ = on_gpus(window(0.1), *two, env={**numbers, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"})
    assert out["energy"]["scope"] == f"gpu:{A}"


@pytest.mark.parametrize(
    ("gpu", "environment"),
    [(Gpu(A, mig=True), {}), (Gpu(A), {"CUDA_VISIBLE_DEVICES": "MIG-1111"})],
)
def test_a_mig_slice_is_unknown(on_gpus, gpu, environment):
    out, _ = on_gpus(window(0.05), gpu, env=environment)
    assert out["energy"]["joules"] is None
    assert "MIG slice" in out["energy"]["reason"]


def test_what_happens_to_a_device_within_a_window(on_gpus):
    events = {
        "1.5 error 15": "the GPU is lost",
        "1.5 error 3": "does not offer it",
        "1.5 error 999": "NVML error 999",
        "1.5 reset": "went back during the window",
    }
    gpus = [Gpu(f"GPU-{i:04}", events=(event,)) for i, event in enumerate(events)]
    code = """
        meter = EnergyMeter(scope="gpu", powercap_root=os.environ["NO_POWERCAP"])
        with meter.window("before") as before:
            time.sleep(0.1)
        told = before.joules_so_far()
        with meter.window("over") as over:
            early = over.joules_so_far()
            while time.monotonic() < float(os.environ["ZERO"]) + 1.6:
                time.sleep(0.01)
            live = over.joules_so_far()
        out = {"before": before.to_dict(), "over": over.to_dict(), "live": [told, early, live]}
    """
    out, _ = on_gpus(code, *gpus, env={"ZERO": str(time.monotonic() + 0.05)})
    assert out["before"]["energy"]["status"] == "measured"
    assert out["live"][0] == out["before"]["energy"]["joules"]
    assert out["live"][2] is None
    for gpu, reason in zip(gpus, events.values(), strict=True):
        assert out["before"]["parts"][f"gpu:{gpu.uuid}"]["joules"] > 0
        energy = out["over"]["parts"][f"gpu:{gpu.uuid}"]
        assert energy["joules"] is None
        assert reason in energy["reason"]


def test_neither_counter_nor_power_is_unknown_with_the_reason(on_gpus):
    out, _ = on_gpus(window(0.05), Gpu(A, events=("0 error 3", "0 power 3")))
    assert out["energy"]["joules"] is None
    assert "boards before Volta" in out["energy"]["reason"]
    assert not any(sensor["readable"] for sensor in out["sensors"])


def test_every_other_call_may_be_missing(on_gpus):
    out, _ = on_gpus(window(), Gpu(A, ((1.0, 300.0),)), library="minimal")
    energy = out["energy"]
    assert energy["scope"] == "gpu:index-0"  # the driver tells no UUID
    assert within(energy, 300)
    assert "power-cap-assumed" in energy["flags"]


@pytest.mark.parametrize(
    ("code", "reason"), [(18, "different versions"), (4, "no permission"), (999, "NVML error 999")]
)
def test_a_driver_that_fails_is_unknown(on_gpus, code, reason):
    out, _ = on_gpus(window(0.01), init=code)
    assert reason in out["energy"]["reason"]
    assert out["parts"]["gpu"]["joules"] is None


def test_a_driver_that_is_not_loaded_leaves_the_cpu(on_gpus):
    out, _ = on_gpus(window(0.01, scope=None), init=9)
    assert list(out["parts"]) == ["cpu-package"]
    assert "the NVIDIA driver is not loaded" in out["energy"]["reason"]


def test_a_standing_counter_is_unknown_and_not_zero(on_gpus):
    out, _ = on_gpus(window(0.3), Gpu(A, ((1.0, 0.0),)))
    assert out["energy"]["joules"] is None
    assert "no-tick" in out["energy"]["flags"]


def test_forked_children_measure_for_themselves_and_harm_nothing(on_gpus):
    code = """
        meter = EnergyMeter(scope="gpu", powercap_root=os.environ["NO_POWERCAP"])
        read, write = os.pipe()
        with meter.window("parent") as outer:
            child = os.fork()
            if child == 0:
                outer.close()
                with meter.window("child") as inner:
                    time.sleep(0.1)
                text = json.dumps([outer.energy.to_dict(), inner.energy.to_dict(), list(meter.sums)])
                os.write(write, text.encode())
                os._exit(0)
            time.sleep(0.3)
            os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read) as file:
            out = [outer.energy.to_dict(), *json.load(file), list(meter.sums)]
    """
    (parent, foreign, child, childs_sums, parents_sums), _ = on_gpus(code, Gpu(A, ((1.0, 300.0),)))
    assert within(parent, 300)
    assert within(child, 300)
    assert foreign["joules"] is None
    assert "another process" in foreign["reason"]
    assert (childs_sums, parents_sums) == (["child"], ["parent"])


def test_two_processes_measure_the_same_device_at_once(on_gpus):
    code = """
        import subprocess
        other = subprocess.Popen([sys.executable, "-c", os.environ["OTHER"]], stdout=-1)
        meter = EnergyMeter(scope="gpu", powercap_root=os.environ["NO_POWERCAP"])
        with meter.window("one") as window:
            text, _ = other.communicate()  # its whole window lies within this one
        out = [window.energy.to_dict(), json.loads(text)]
    """
    other = (
        "import json, os, time\nfrom orthowatt.energy import EnergyMeter\n"
        "with EnergyMeter(scope='gpu', powercap_root=os.environ['NO_POWERCAP']) as meter:\n"
        "    with meter.window('two') as window: time.sleep(0.2)\n"
        "    print(json.dumps(window.energy.to_dict()))\n"
    )
    both, _ = on_gpus(code, Gpu(A, ((1.0, 250.0),)), env={"OTHER": other})
    for energy in both:
        assert within(energy, 250)


def test_provenance_names_the_board(on_gpus):
    code = """
        from orthowatt.energy.provenance import host
        from orthowatt.energy.doctor import sensors
        out = [host("cuda"), host("cpu"), host(), [r.to_dict() for r in sensors(os.environ["NO_POWERCAP"])]]
    """
    (cuda, cpu, now, reports), _ = on_gpus(
        code, Gpu(A), Gpu(B), env={"CUDA_VISIBLE_DEVICES": "1,0"}
    )
    assert cuda["slug"].startswith("gpu-bbbbbbbb-")
    assert cpu["slug"].startswith("cpu-")
    assert now["slug"] == cpu["slug"]
    assert [gpu["used"] for gpu in cuda["gpus"]] == [False, True]
    board = cuda["gpus"][1]
    assert (board["uuid"], board["power_limit_watts"], board["mig"]) == (B, 700, False)
    assert (board["driver"], board["temperature_celsius"]) == ("600.01", 41)
    assert board["vbios"] is None  # the stand-in has no such call
    readable = {report["scope"]: report["readable"] for report in reports}
    assert readable == {f"gpu:{A}": True, f"gpu:{B}": True, "cpu-package": False}
    json.dumps(cuda, allow_nan=False)
