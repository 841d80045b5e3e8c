"""Upper bounds from the power limit: only for the unknown, only where a limit is told."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

from orthowatt.energy import Energy, EnergyMeter
from orthowatt.energy.estimate import fill, limits_watts, upper_bound
from orthowatt.energy.sensors import Sensors
from orthowatt.errors import InputError
from sensor_fakes import Gpu, Powercap

UNKNOWN = Energy.unknown("no counter", "gpu:A", flags=("gap",), at_least_joules=3.0)


def test_an_upper_bound_is_labelled_and_keeps_what_is_known():
    found = upper_bound(UNKNOWN, 700.0, 10.0)
    assert (found.joules, found.status) == (pytest.approx(7700), "estimated")
    assert found.flags == ("gap", "upper-bound")
    assert found.at_least_joules == 3.0
    assert "because no counter" in found.reason
    assert found.bound_joules is None  # it is one-sided: no ± belongs to it
    assert "(estimated)" in str(found)


@pytest.mark.parametrize("limit", [None, 0.0])
def test_without_a_limit_it_stays_unknown(limit):
    assert upper_bound(UNKNOWN, limit, 10.0) == UNKNOWN


def test_what_is_measured_stays_measured():
    known = Energy(3.0, "measured", scope="gpu:A")
    assert upper_bound(known, 700.0, 10.0) == known


def test_only_what_is_named_is_allowed():
    with pytest.raises(InputError, match="power-limit"):
        EnergyMeter(scope="cpu", estimate="tdp")


@contextlib.contextmanager
def denied():
    """A package with a limit that all may read and a counter that only root may."""
    was = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        os.chmod(folder, 0o755)
        powercap = Powercap(Path(folder) / "powercap")
        for name, scope in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core")):
            (powercap.add(name, scope, limit=200.0) / "energy_uj").chmod(0o000)
        if was == 0:
            os.seteuid(65534)
        try:
            yield powercap.root
        finally:
            os.seteuid(was)


def test_the_limit_of_a_counter_that_is_roots_gives_a_bound():
    with denied() as root:
        sensors = Sensors(gpu=False, powercap_root=root)
    energies = {
        scope: Energy.unknown(problem.sentence, scope)
        for scope, problem in sensors.problems.items()
    }
    found = fill(energies, sensors, 5.0)
    assert found["cpu-package:0"].joules == pytest.approx(1.1 * 200 * 5)
    assert "sudo chmod" in found["cpu-package:0"].reason
    assert found["cpu-core:0"].joules is None  # its package holds it


def test_the_limits_of_gpus_come_from_the_driver(on_gpus):
    code = """
        from orthowatt.energy.estimate import limits_watts
        out = limits_watts(Sensors(cpu=False))
    """
    out, _ = on_gpus(code, Gpu(limit=650.0, events=("0 error 3", "0 power 3")))
    assert list(out.values()) == [650.0]


def test_a_meter_estimates_only_on_request(on_gpus):
    """The counter is not offered, nor is the power; the limit is."""
    code = """
        out = []
        for estimate in (None, "power-limit"):
            with EnergyMeter(scope="gpu", estimate=estimate, sample=False) as meter:
                with meter.window("work") as window:
                    time.sleep(0.1)
                out.append([window.energy.to_dict(), str(window.energy), window.seconds])
    """
    gpu = Gpu(limit=600.0, events=("0 error 3", "0 power 3"))
    (plain, _, _), (bound, text, seconds) = on_gpus(code, gpu)[0]
    assert plain["status"] == "unknown"
    assert bound["status"] == "estimated"
    assert bound["joules"] == pytest.approx(660 * seconds, rel=1e-6)
    assert text.startswith("at most ")
    assert text.endswith("(estimated)")


def test_a_machine_without_limits_has_none(tmp_path):
    assert limits_watts(Sensors(gpu=False, powercap_root=tmp_path)) == {}
