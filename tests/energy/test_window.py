"""Windows: nested, overlapping, cancelled, in threads, after exceptions; sums by name."""

import json
import threading
import time

import pytest

from orthowatt.energy import EnergyMeter
from orthowatt.errors import InputError, InputTypeError


@pytest.fixture
def machine(powercap):
    """One package whose counter a test moves: (meter, function that spends joules)."""
    powercap.add("intel-rapl:0", "package-0", joules=1000.0, limit=1e6)
    spent = [1000.0]

    def spend(joules):
        spent[0] += joules
        powercap.set("intel-rapl:0", spent[0])

    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:
        yield meter, spend


def test_nested_windows_add_up(machine):
    meter, spend = machine
    with meter.window("run") as run:
        spend(1)
        with meter.window("train") as train:
            spend(20)
        spend(2)
        with meter.window("eval") as evaluation:
            spend(3)
    assert [w.energy.joules for w in (run, train, evaluation)] == pytest.approx([26, 20, 3])
    assert run.seconds >= train.seconds + evaluation.seconds


def test_overlapping_windows_by_hand(machine):
    meter, spend = machine
    first = meter.window("first").open()
    spend(1)
    second = meter.window("second").open()
    spend(10)
    first.close()
    spend(100)
    second.close()
    assert first.energy.joules == pytest.approx(11)
    assert second.energy.joules == pytest.approx(110)
    spend(5)
    assert first.close().energy.joules == pytest.approx(11)  # closing twice does nothing


def test_an_exception_closes_its_windows_and_goes_on(machine):
    meter, spend = machine
    run = meter.window("run")

    def fail():
        with run:
            spend(7)
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert run.energy.joules == pytest.approx(7)


def test_a_cancelled_window_is_unknown(machine):
    meter, spend = machine
    with meter.window("run") as run:
        spend(7)
        run.cancel()
    assert run.energy.joules is None
    assert run.energy.reason == "the window was cancelled"


def test_windows_of_one_name_sum_up(machine):
    meter, spend = machine
    for joules in (1, 2, 4):
        with meter.window("train"):
            spend(joules)
    with meter.window("eval"):
        spend(100)
    sums = meter.sums
    assert sums["train"].energy.joules == pytest.approx(7)
    assert (sums["train"].windows, sums["eval"].windows) == (3, 1)
    with meter.window("train") as cancelled:
        cancelled.cancel()
    assert meter.sums["train"].energy.joules is None
    record = meter.to_dict()
    assert record["train"]["parts"]["cpu-package:0"]["joules"] is None
    assert record["eval"]["energy"]["joules"] == pytest.approx(100)
    json.dumps(record, allow_nan=False)


def test_windows_in_threads(machine):
    meter, spend = machine
    go, done, found = threading.Barrier(5), threading.Barrier(5), []

    def worker():
        with meter.window("worker") as window:
            go.wait()
            done.wait()
        found.append(window.energy.joules)

    threads = [threading.Thread(target=worker) for _ in range(4)]
    for thread in threads:
        thread.start()
    go.wait()
    spend(50)
    done.wait()
    for thread in threads:
        thread.join()
    assert found == pytest.approx([50] * 4)
    assert meter.sums["worker"].windows == 4


def test_closing_the_meter_closes_its_windows(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=10)
    meter = EnergyMeter(scope="cpu", powercap_root=powercap.root)
    window = meter.window("run").open()
    powercap.set("intel-rapl:0", 12)
    meter.close()
    assert window.energy.joules == pytest.approx(2)
    meter.close()
    with pytest.raises(InputError, match="the meter is closed"):
        meter.window("run").open()


def test_live_joules(machine):
    meter, spend = machine
    with meter.window("run") as window:
        time.sleep(0.005)
        spend(3)
        assert window.joules_so_far() == pytest.approx(3)
        spend(4)
        assert window.joules_so_far() == pytest.approx(7)
    assert window.joules_so_far() == window.energy.joules


def test_without_a_sensor_nothing_is_zero(tmp_path):
    with EnergyMeter(scope="cpu", powercap_root=tmp_path) as meter, meter.window("run") as window:
        assert window.joules_so_far() is None
        time.sleep(0.01)
    assert window.seconds >= 0.01
    for energy in (window.energy, window.total, *window.energies.values()):
        assert energy.joules is None
        assert energy.reason


def test_misuse_gets_one_clear_sentence(machine):
    meter, _ = machine
    window = meter.window("run")
    with pytest.raises(InputError, match="never opened"):
        window.close()
    with window:
        with pytest.raises(InputError, match="not closed yet"):
            _ = window.energy
        with pytest.raises(InputError, match="opened before"):
            window.open()
    with pytest.raises(InputTypeError, match="a window's name"):
        meter.window("")
    with pytest.raises(InputTypeError, match="scope is 3"):
        EnergyMeter(scope=3)


def test_scopes_by_name(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=10)
    powercap.add("intel-rapl:0:0", "dram", joules=20)
    root = powercap.root
    with EnergyMeter(scope=["dram:0"], powercap_root=root) as meter, meter.window("run") as run:
        powercap.set("intel-rapl:0:0", 21)
        powercap.set("intel-rapl:0", 15)
    assert (run.energy.scope, run.energy.joules) == ("dram:0", pytest.approx(1))
    with pytest.raises(InputError, match="did you mean 'dram:0'"):
        EnergyMeter(scope="dram:1", powercap_root=root)
