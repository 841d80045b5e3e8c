"""RAPL through a powercap tree: domains, wraps, mirrors, permissions."""

import contextlib
import os
import tempfile
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orthowatt.energy import EnergyMeter
from orthowatt.energy.counter import GAP
from orthowatt.energy.rapl import RESET, SLEPT, Unwrapper, open_rapl
from sensor_fakes import Powercap


@given(
    st.floats(0.1, 1000),
    st.floats(0, 1),
    st.lists(st.tuples(st.floats(0.001, 10), st.floats(0, 1)), min_size=1, max_size=50),
)
def test_wraps_are_undone_however_often(range_joules, start, steps):
    """Between two reads less than one range passes; any number of wraps in all."""
    cap = range_joules / 20  # the longest step here takes half a range
    counter = Unwrapper(range_joules, cap)
    true, now = start * range_joules, 0.0
    counter.add(true % range_joules, now)
    begin = true
    for seconds, share in steps:
        now += seconds
        true += share * seconds * cap
        counter.add(true % range_joules, now)
    assert counter.breaks == 0
    assert counter.joules == pytest.approx(true - begin, rel=1e-6, abs=1e-6 * range_joules)


def test_a_gap_that_may_hide_a_wrap_breaks_the_sum():
    counter = Unwrapper(range_joules=1000.0, cap_watts=100.0)
    counter.add(100.0, 0.0)
    counter.add(300.0, 20.0)
    assert (counter.breaks, counter.break_reason) == (1, GAP)


def test_a_step_back_that_no_wrap_explains_is_a_reset():
    counter = Unwrapper(range_joules=262143.0, cap_watts=250.0)
    counter.add(50_000.0, 0.0)
    counter.add(10.0, 1.0)
    assert (counter.breaks, counter.break_reason, counter.joules) == (1, RESET, 0.0)


def test_a_suspended_machine_is_a_break_and_not_a_wrap():
    """After the suspension the counter stands where a wrap of plausible power could have put it."""
    counter = Unwrapper(range_joules=262143.0, cap_watts=250.0)
    counter.add(260_000.0, 0.0, asleep=10.0)
    counter.add(260_100.0, 1.0, asleep=10.0001)  # two clocks read one after the other
    assert (counter.breaks, counter.joules) == (0, 100.0)
    counter.add(5.0, 60.0, asleep=700.0)
    assert (counter.breaks, counter.break_reason, counter.joules) == (1, SLEPT, 100.0)
    counter.add(25.0, 61.0, asleep=700.0)
    assert (counter.breaks, counter.joules) == (1, 120.0)


def test_domains_of_a_two_socket_server(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=100)
    powercap.add("intel-rapl:0:0", "dram", joules=11)
    powercap.add("intel-rapl:1", "package-1", joules=200)
    powercap.add("intel-rapl:1:0", "dram", joules=22)
    powercap.add("intel-rapl:1:1", "core", joules=33)
    powercap.add("intel-rapl:2", "psys", joules=999)  # holds the packages: summing would double
    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:
        with meter.window("run") as window:
            time.sleep(0.02)
            for folder, joules in (
                ("intel-rapl:0", 101),
                ("intel-rapl:0:0", 11.25),
                ("intel-rapl:1", 202),
                ("intel-rapl:1:0", 22.5),
                ("intel-rapl:1:1", 34),
            ):
                powercap.set(folder, joules)
        found = {scope: energy.joules for scope, energy in window.energies.items()}
    assert found == pytest.approx(
        {"cpu-package:0": 1, "cpu-package:1": 2, "dram:0": 0.25, "dram:1": 0.5, "cpu-core:1": 1}
    )
    assert window.energy.scope == "cpu-package:0+cpu-package:1"
    assert window.energy.joules == pytest.approx(3)
    assert window.total.joules == pytest.approx(3.75)  # the core domain is part of its package
    assert window.energy.bound_joules == pytest.approx(2 * (275 * 0.002 + 0.002), rel=0.5)


def test_a_package_that_appears_twice_counts_once(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=100)
    powercap.add("intel-rapl:1", "package-1", joules=100)  # the same counter on some AMD parts
    powercap.add("intel-rapl-mmio:0", "package-0", joules=100)
    assert list(open_rapl(powercap.root).counters) == ["cpu-package:0"]
    powercap.set("intel-rapl:1", 107)
    assert list(open_rapl(powercap.root).counters) == ["cpu-package:0", "cpu-package:1"]


def test_everything_inside_a_mirrored_package_is_left_out_and_said(powercap):
    for number in (0, 1):
        powercap.add(f"intel-rapl:{number}", f"package-{number}", joules=100)
        powercap.add(f"intel-rapl:{number}:0", "core", joules=40 + number)
        powercap.add(f"intel-rapl:{number}:1", "dram", joules=7)
    found = open_rapl(powercap.root)
    assert set(found.counters) == {"cpu-package:0", "cpu-core:0", "dram:0"}
    assert found.twins == {
        "cpu-package:1": "cpu-package:0",
        "cpu-core:1": "cpu-core:0",
        "dram:1": "dram:0",
    }
    assert "counter of cpu-package:0" in found.skipped["cpu-package:1"].sentence
    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:
        with meter.window("run") as window:
            time.sleep(0.02)
            for number in (0, 1):
                powercap.set(f"intel-rapl:{number}", 103)
                powercap.set(f"intel-rapl:{number}:1", 8)
        assert (window.energy.joules, window.total.joules) == pytest.approx((3, 4))


@pytest.mark.parametrize(
    ("vendor", "flags"), [("AuthenticAMD", ("one-core",)), ("GenuineIntel", ())]
)
def test_the_core_domain_of_amd_counts_one_core_and_says_so(powercap, tmp_path, vendor, flags):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {vendor}\n")
    powercap.add("intel-rapl:0", "package-0", limit=None)  # AMD's driver tells no limit
    powercap.add("intel-rapl:0:0", "core", limit=None)
    counters = open_rapl(powercap.root, tmp_path / "cpuinfo").counters
    assert counters["cpu-core:0"].facts.flags == flags
    assert counters["cpu-package:0"].facts.flags == ()


def test_sub_dies_of_a_package_are_packages_of_their_own(powercap):
    powercap.add("intel-rapl:0", "package-0-die-0", joules=100)
    powercap.add("intel-rapl:1", "package-0-die-1", joules=200)
    powercap.add("intel-rapl:1:0", "dram", joules=5)
    assert set(open_rapl(powercap.root).counters) == {
        "cpu-package:0-die-0",
        "cpu-package:0-die-1",
        "dram:0-die-1",
    }


def test_domains_that_a_container_hides_are_told_from_missing_ones(tmp_path):
    root = tmp_path / "powercap"
    root.mkdir()
    (root / "intel-rapl:0").symlink_to("../../devices/virtual/powercap/intel-rapl:0")
    problem = open_rapl(root).problems["cpu-package"]
    assert "hidden" in problem.text
    assert "--security-opt" in (problem.mend or "")


@contextlib.contextmanager
def running(path, watts, range_joules):
    """A counter file that follows the clock, as a busy machine lets it."""
    stop, begin = threading.Event(), time.monotonic()
    handle = os.open(path, os.O_WRONLY)

    def run():
        while not stop.wait(0.0005):
            joules = watts * (time.monotonic() - begin) % range_joules
            os.pwrite(handle, b"%020d\n" % int(joules * 1e6), 0)  # at once: no reader sees half

    writer = threading.Thread(target=run)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()
        os.close(handle)


def test_a_running_counter_wraps_often_within_a_window(powercap):
    """Every window is right or says why not; on a machine that is not choked the first is right."""
    watts, range_joules, tries = 200.0, 40.0, 5
    zone = powercap.add("intel-rapl:0", "package-0", range_joules=range_joules, limit=500)
    with running(zone / "energy_uj", watts, range_joules):
        for _ in range(tries):
            time.sleep(0.02)
            with (
                EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter,
                meter.window("run") as window,
            ):
                time.sleep(0.6)
            energy = window.energy
            if energy.joules is not None:
                break
            assert set(energy.flags) & {"gap", "counter-reset"}
        else:
            pytest.skip("the machine is too busy to run a counter in real time")
    # three wraps of 40 J each; a single one lost would show
    assert energy.joules == pytest.approx(watts * energy.seconds, abs=0.6 * range_joules)


@contextlib.contextmanager
def as_nobody():
    """Without root's right to read everything, also where the tests run as root."""
    was = os.geteuid()
    if was == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(was)


def test_denied_permission_is_unknown_with_the_command_that_mends_it():
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        os.chmod(folder, 0o755)
        powercap = Powercap(Path(folder) / "powercap")
        zone = powercap.add("intel-rapl:0", "package-0")
        (zone / "energy_uj").chmod(0o000)
        with (
            as_nobody(),
            EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter,
            meter.window("run") as window,
        ):
            pass
    assert window.energy.joules is None
    assert window.energy.scope == "cpu-package:0"
    assert "sudo chmod a+r /sys/class/powercap/*/energy_uj" in window.energy.reason


def test_no_tree_is_unknown_with_the_reason(tmp_path):
    meter = EnergyMeter(scope="cpu", powercap_root=tmp_path / "none")
    with meter, meter.window("run") as window:
        pass
    assert window.energy.joules is None
    assert window.energies["cpu-package"].status == "unknown"
    assert "holds no RAPL domain" in window.energy.reason
    assert window.energy.to_dict()["joules"] is None


def test_a_counter_that_stands_still_is_unknown_and_not_zero(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=0.0)
    with (
        EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter,
        meter.window("run") as window,
    ):
        time.sleep(0.01)
    assert window.energy.joules is None
    assert window.energy.flags == ("no-tick",)


@pytest.mark.parametrize("text", ["", "many\n"])
def test_a_counter_without_a_number_is_unknown(powercap, text):
    powercap.add("intel-rapl:0", "package-0")
    (powercap.root / "intel-rapl:0" / "energy_uj").write_text(text)
    found = open_rapl(powercap.root)
    assert found.counters == {}
    assert "cannot be read" in found.problems["cpu-package:0"].text


def test_without_a_limit_the_bound_says_so(powercap):
    powercap.add("intel-rapl:0", "package-0", limit=None)
    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:
        with meter.window("run") as window:
            time.sleep(0.02)
            powercap.set("intel-rapl:0", 101)
        cap = meter.provenance()["sensors"][0]
    assert "power-cap-assumed" in window.energy.flags
    assert (cap["power_cap_watts"], cap["power_cap_assumed"]) == (pytest.approx(1100), True)
