"""Host, software and doctor on a machine without GPUs."""

import json
import re
import sys
import time

import pytest

from orthowatt.energy.doctor import SensorReport, sensors, verdict
from orthowatt.energy.provenance import container, host, software
from orthowatt.errors import InputError
from sensor_fakes import UUID_A, Gpu


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


OVERLAY = "22 1 0:52 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/var/lib/x\n"
DISK = "22 1 259:1 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p1 rw\n"
INSIDE = DISK + "90 22 0:60 / /mnt/image rw - overlay overlay rw\n"


@pytest.mark.parametrize(
    ("file", "text", "kind"),
    [
        ("run/systemd/container", "systemd-nspawn\n", "systemd-nspawn"),
        ("proc/self/mountinfo", OVERLAY, "container"),
        ("proc/self/mountinfo", DISK, None),
        ("proc/self/mountinfo", INSIDE, None),
    ],
)
def test_container_by_other_marks(tmp_path, file, text, kind):
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).write_text(text)
    assert container(tmp_path) == kind


def test_a_gpu_is_described_and_what_is_not_told_is_null(on_gpus):
    """The stand-in knows driver and limit; clocks and ECC are calls that it may lack."""
    code = """
        from orthowatt.energy.provenance import host
        out = host("cuda")
    """
    for library in ("full", "minimal"):
        out, _ = on_gpus(code, Gpu(limit=650.0), library=library)
        (gpu,) = out["gpus"]
        expected = {
            "uuid", "name", "driver", "vbios", "power_limit_watts", "power_limit_default_watts",
            "ecc", "mig", "graphics_clock_mhz", "memory_clock_mhz", "temperature_celsius",
            "performance_state", "persistence_mode", "pci_bus_id",
        }  # fmt: skip
        assert expected <= set(gpu)
        assert all(gpu[name] is None or gpu[name] != "" for name in expected)
        if library == "full":
            assert (gpu["driver"], gpu["power_limit_watts"]) == ("600.01", 650.0)
        else:
            assert gpu["power_limit_watts"] is None


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


def test_doctor_names_a_package_that_is_counted_already(powercap):
    for number in (0, 1):
        powercap.add(f"intel-rapl:{number}", f"package-{number}", joules=5)
    by_scope = {report.scope: report for report in sensors(powercap.root)}
    twin = by_scope["cpu-package:1"]
    assert not twin.readable
    assert "counter of cpu-package:0" in twin.reason


def report(scope, readable):
    return SensorReport(scope, scope, readable, None if readable else "it is lost", None, "")


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        ({"gpu:A": False, "cpu-package": False}, "No energy can be measured here"),
        ({"gpu:A": True, "cpu-package:0": True}, "can be measured: gpu:A, cpu-package:0; work on"),
        ({"gpu:A": False, "cpu-package:0": True}, "that of work on a GPU is unknown"),
        ({"gpu": False, "cpu-package:0": True}, "Energy can be measured: cpu-package:0."),
    ],
)
def test_the_verdict_says_what_can_be_measured(scopes, words):
    assert words in verdict([report(scope, readable) for scope, readable in scopes.items()])


@pytest.mark.parametrize("moving", [True, False])
def test_doctor_tells_a_counter_that_runs_from_one_that_is_not_offered(on_gpus, moving):
    program = """
        from orthowatt.energy.doctor import sensors
        out = [report.to_dict() for report in sensors(os.environ["NO_POWERCAP"])]
    """
    out, _ = on_gpus(program, Gpu() if moving else Gpu(events=("0 error 3", "0 power 3")))
    gpu = next(item for item in out if item["scope"] == f"gpu:{UUID_A}")
    assert gpu["readable"] == moving
    assert gpu["reason"] is None if moving else "offer" in gpu["reason"]


@pytest.mark.slow
def test_strict_is_content_with_one_gpu(on_gpus):
    program = """
        from orthowatt.cli import main
        out = main(["doctor", "--strict"])
    """
    assert on_gpus(program, Gpu())[0] == 0
