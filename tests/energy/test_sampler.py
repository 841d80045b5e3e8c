"""The sampler on a stand-in driver in real time: what it tells, keeps and costs."""

import json
import math
import os
from types import SimpleNamespace

import numpy as np
import pytest

from orthowatt.energy.foreign import ForeignProcesses
from sensor_fakes import UUID_A as A
from sensor_fakes import Gpu, window, within

SCOPE = f"gpu:{A}"


def test_what_a_window_tells_of_its_device(on_gpus, tmp_path):
    code = window(1.3) + (
        "meter = EnergyMeter(scope='gpu', powercap_root=os.environ['NO_POWERCAP'])\n"
        "with meter.window('run'): time.sleep(0.5)\n"
        f"out['saved'] = meter.save_samples({str(tmp_path / 'power.npz')!r})\n"
        "meter.close()\n"
    )
    out, _ = on_gpus(code, Gpu(A, ((1.0, 300.0),)))
    stats = out["devices"][SCOPE]
    assert stats["mean_watts"] == pytest.approx(300, rel=1e-3)
    assert stats["instant_mean_watts"] == pytest.approx(300, rel=1e-3)
    assert abs(stats["integral_over_counter"]) < 0.02
    assert 8 <= stats["polls"] <= 20
    assert (stats["temperature_start_celsius"], stats["temperature_end_celsius"]) == (41, 41)
    assert (stats["sm_clock_mhz"], stats["memory_clock_mhz"]) == (1755, 2619)
    assert stats["throttle_reasons"] == ["software power cap", "software thermal slowdown"]
    assert stats["memory_highest_bytes"] == 2**30
    assert stats["foreign_processes"] == 0
    sensor = next(s for s in out["sensors"] if s["scope"] == SCOPE)
    assert (sensor["power_source"], sensor["power_window_seconds"]) == ("power.average", 1.0)
    assert 0.02 <= sensor["tick_seconds"] < 0.1
    assert 0 < sensor["read_seconds"] < 0.01
    assert out["saved"]
    with np.load(tmp_path / "power.npz") as saved:
        assert len(saved[f"{SCOPE}/fast/seconds"]) >= 4
        assert saved[f"{SCOPE}/fast/average_watts"] == pytest.approx(300, rel=1e-3)
        assert np.all(np.diff(saved[f"{SCOPE}/fast/counter_joules"]) > 0)
        assert saved[f"{SCOPE}/slow/temperature_celsius"][0] == 41


def test_every_optional_call_may_be_missing(on_gpus):
    out, _ = on_gpus(window(0.4), Gpu(A, ((1.0, 300.0),)), library="minimal")
    assert out["energy"]["status"] == "measured"
    (stats,) = out["devices"].values()
    told = {key for key, value in stats.items() if value is not None}
    assert told == {"seconds", "polls"}


@pytest.mark.parametrize("board_is_old", [True, False])
def test_without_a_counter_the_power_is_integrated(on_gpus, board_is_old):
    old_board, old_driver = Gpu(A, events=("0 error 3",)), Gpu(A)
    library = "full" if board_is_old else "no-counter"
    out, _ = on_gpus(window(0.6), old_board if board_is_old else old_driver, library=library)
    energy = out["energy"]
    assert energy["method"] == "nvml-power-integral"
    assert energy["joules"] == pytest.approx(300 * energy["seconds"], rel=1e-3)
    assert 0.8 < energy["coverage"] < 1
    assert energy["bound_joules"] > 770 * 0.5
    detail = next(s["detail"] for s in out["sensors"] if s["scope"] == SCOPE)
    assert "no energy counter: NVML power integrated" in detail


def test_other_processes_on_the_board_are_told(on_gpus):
    code = (
        "with open(os.environ['FAKE_NVML'], 'a') as spec:\n"
        "    spec.write(f'process {os.getpid()}\\nprocess {os.getppid()}\\n')\n" + window(0.3)
    )
    out, _ = on_gpus(code, Gpu(A))
    assert out["devices"][SCOPE]["foreign_processes"] == 1
    assert "foreign-processes" in out["energy"]["flags"]


def test_traces_of_ramps_and_from_files(on_gpus, tmp_path):
    ramp = Gpu(A, ((0.2, 100.0, 500.0), (0.2, 500.0, 100.0)))
    out, _ = on_gpus(window(0.8, align=True), ramp)
    assert out["energy"]["joules"] == pytest.approx(300 * out["energy"]["seconds"], rel=0.1)
    (tmp_path / "trace.txt").write_text("0.05 200\n0.05 200\n")
    out, _ = on_gpus(window(0.3), Gpu(A, trace_file=tmp_path / "trace.txt"))
    assert within(out["energy"], 200)


def test_a_counter_that_wraps_is_unknown(on_gpus):
    out, _ = on_gpus(window(1.0), Gpu(A, ((1.0, 300.0),), wrap=200.0))
    assert out["energy"]["joules"] is None
    assert "counter-reset" in out["energy"]["flags"]


@pytest.mark.slow
def test_a_lost_board_fails_every_call_and_harms_nothing(on_gpus):
    out, _ = on_gpus(window(3.0), Gpu(A, ((1.0, 300.0),), events=("2.5 lost 15",)))
    energy = out["energy"]
    assert energy["joules"] is None
    assert "the GPU is lost" in energy["reason"]
    assert 0 < energy["at_least_joules"] <= 300 * energy["seconds"]


COST = """
    import statistics
    meter = EnergyMeter(scope="gpu", powercap_root=os.environ["NO_POWERCAP"], align=False)
    edges = []
    for _ in range(30):
        began = time.perf_counter()
        window = meter.window("edge").open()
        opened = time.perf_counter()
        time.sleep(0.002)
        closing = time.perf_counter()
        window.close()
        edges += [opened - began, time.perf_counter() - closing]
    with meter.window("run"):
        time.sleep(2.5)
    out = {"edge": statistics.median(edges), "sampler": meter.provenance()["sampler"]}
    meter.close()
"""


def test_its_own_cost(on_gpus):
    """At most 0.5 % of a core beside the work and 1 ms at an edge, waits for ticks aside."""
    found, _ = on_gpus(COST, Gpu(A))
    assert found["edge"] <= 1e-3
    assert found["sampler"]["hertz"] == 10
    assert 0 < found["sampler"]["cpu_share"] <= 0.005


def test_a_thread_that_costs_too_much_polls_less_often():
    from orthowatt.energy.keeper import Job

    job = Job(lambda: sum(range(40_000)), period=0.001)
    for turn in range(40):
        job.run(float(turn))
    assert job.period == pytest.approx(job.cpu_seconds / job.times / 0.005, rel=0.3)
    fixed = Job(lambda: sum(range(40_000)), period=0.001, elastic=False)
    for turn in range(40):
        fixed.run(float(turn))
    assert fixed.period == 0.001


def test_nothing_runs_once_the_windows_are_closed(on_gpus):
    code = """
        import threading
        def running(): return [t.name for t in threading.enumerate() if t.name == "orthowatt-energy"]
        meter = EnergyMeter(scope="gpu", powercap_root=os.environ["NO_POWERCAP"])
        out = [running()]
        with meter.window("run"):
            out.append(running())
        meter.close()
        time.sleep(0.3)
        out.append(running())
        with EnergyMeter(scope="gpu", powercap_root=os.environ["NO_POWERCAP"], sample=False) as meter:
            with meter.window("run"):
                out.append(running())
    """
    out, _ = on_gpus(code, Gpu(A))
    assert out == [[], ["orthowatt-energy"], [], []]


def test_a_meter_without_gpus_saves_no_samples(tmp_path):
    from orthowatt.energy import EnergyMeter

    with EnergyMeter("cpu", powercap_root=tmp_path) as meter, meter.window("run"):
        pass
    with EnergyMeter("cpu", powercap_root=tmp_path) as meter:
        assert not meter.save_samples(tmp_path / "power.npz")
    assert not os.path.exists(tmp_path / "power.npz")
    assert json.dumps(meter.to_dict()) == "{}"


def test_processes_that_cannot_be_looked_up_leave_the_number_unknown(tmp_path):
    """As in a container that does not know the machine's process numbers."""
    nvml = SimpleNamespace(optional=lambda *_: [SimpleNamespace(pid=pid) for pid in listed])
    counter = ForeignProcesses(nvml, SimpleNamespace(handle=None), tmp_path)
    for pid, parent in ((10, 1), (20, os.getpid()), (30, 20)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) S {parent} 0")
    for listed, count in (([], 0), ([os.getpid(), 20, 30], 0), ([10, 20], 1)):  # noqa: B007
        assert counter.count() == count
    listed = [20, 99]
    assert math.isnan(counter.count())
