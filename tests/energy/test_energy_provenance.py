"""Host, software and doctor on a machine without GPUs."""

import json
import re
import sys
import time

import pytest

from orthowatt.energy.doctor import sensors
from orthowatt.energy.provenance import container, host, software
from orthowatt.errors import InputError


def test_host_is_json_and_names_the_cpu():
    info = host("cpu")
    assert re.fullmatch(r"cpu-[a-z0-9-]+", info["slug"])
    assert info["cores"] >= 1
    assert info["memory_bytes"] > 1e8
    assert info["cpu"]
    json.dumps(info, allow_nan=False)


def test_a_device_that_is_none_is_refused():
    with pytest.raises(InputError, match="'cuda:<n>'"):
        host("tpu")


def test_software_reads_versions_without_importing():
    before = set(sys.modules)
    found = software()
    assert found["torch"].split(".")[0].isdigit()
    assert not {"torch", "timm", "scipy"} & (set(sys.modules) - before)


@pytest.mark.parametrize(
    ("mark", "kind"), [(".dockerenv", "docker"), ("run/.containerenv", "podman"), (None, None)]
)
def test_container(tmp_path, mark, kind):
    if mark:
        (tmp_path / mark).parent.mkdir(exist_ok=True)
        (tmp_path / mark).touch()
    assert container(tmp_path) == kind


def test_container_by_control_group(tmp_path):
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "proc/1/cgroup").write_text("0::/kubepods/burstable/pod1\n")
    assert container(tmp_path) == "container"


def test_doctor_tries_each_sensor(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=5)
    by_scope = {report.scope: report for report in sensors(powercap.root)}
    still = by_scope["cpu-package:0"]
    assert not still.readable
    assert "stands still" in still.reason
    assert still.detail == "RAPL intel-rapl:0, limit 250 W, wraps at 262143 J"


def test_doctor_names_what_is_missing_and_the_mend(tmp_path):
    began = time.monotonic()
    by_scope = {report.scope: report for report in sensors(tmp_path)}
    assert time.monotonic() - began < 5
    cpu = by_scope["cpu-package"]
    assert cpu.name == "CPU package"
    assert (cpu.readable, cpu.mend) == (False, "sudo modprobe intel_rapl_msr")
    for report in by_scope.values():
        assert report.readable or report.reason
