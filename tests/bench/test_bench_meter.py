"""`orthowatt bench meter`, rehearsed on the stand-in driver: the same checks, a load that writes
the power which the stand-in follows."""

import json
import sys

import pytest

from orthowatt.bench import meter, smi
from orthowatt.bench.meter_checks import BEFORE_CUDA, WITH_CUDA
from orthowatt.cli import main
from orthowatt.cli.bench_meter import table
from orthowatt.errors import InputError, OrthowattError
from sensor_fakes import UUID_A, Gpu

#: A load whose power is a file; the driver's stand-in reads it.
LOAD = """
    import time
    class Written:
        def __init__(self, path, resident=90.0, full=600.0):
            self.file, self.resident, self.full = open(path, "a"), resident, full
            self.end = 0.0
        def start(self):
            self.level(time.monotonic() + 0.001, self.resident)
            return "watts written to a file"
        def level(self, at, watts):
            self.file.write(f"{at!r} {watts!r}\\n")
            self.file.flush()
        def launch(self, seconds):
            begin = max(self.end, time.monotonic() + 0.001)
            self.level(begin, self.full)
            self.end = begin + seconds
            self.level(self.end, self.resident)
        def wait(self, left=0.0):
            time.sleep(max(0.0, self.end - left - time.monotonic()))
"""
SMI = """#!{python}
import sys, time
words = " ".join(sys.argv[1:])
if "power.draw.average" not in words:
    sys.exit(2)
while True:
    print("{watts}", flush=True)
    if "--loop-ms" not in words:
        break
    time.sleep(0.1)
"""
RUN = """
    from pathlib import Path
    from orthowatt.bench import meter
    out = meter.run(load=Written({path!r}), scale={scale}, minutes={minutes}, only={only!r},
                    out=Path({result!r}))
"""


@pytest.fixture
def rehearse(on_gpus, tmp_path):
    def run(*, scale=0.05, minutes=2.0, only="", smi_watts=600.0, **gpu):
        live, result = tmp_path / "live.txt", tmp_path / "result.json"
        live.touch()
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(SMI.format(python=sys.executable, watts=smi_watts))
        program.chmod(0o755)
        code = LOAD + RUN.format(
            path=str(live), scale=scale, minutes=minutes, only=only, result=str(result)
        )
        board = Gpu(trace=((1.0, 70.0),), live=live, power=(0.1, 0.1, 0.025, 0.05), **gpu)
        path = f"{program.parent}:/usr/bin:/bin"
        out, _ = on_gpus(code, board, env={"PATH": path})
        assert json.loads(result.read_text())["checks"] == out["checks"]
        return out, {check["name"]: check for check in out["checks"]}

    return run


@pytest.mark.slow
def test_every_check_holds_on_a_right_meter(rehearse):
    out, checks = rehearse()
    assert list(checks) == [check.name for check in (*BEFORE_CUDA, *WITH_CUDA)]
    assert not [check for check in checks.values() if check["outcome"] == "not run"]
    # windows of a twentieth of their length on a busy machine may spoil the others
    sure = ("tick", "idle-driver", "idle-context", "nvidia-smi", "unsynchronised")
    assert not [name for name in sure if checks[name]["outcome"] != "pass"]
    assert checks["linearity"]["numbers"]["worst"] < 0.05
    assert checks["repeats"]["numbers"]["mean_watts"] == pytest.approx(600, rel=0.05)
    assert checks["square"]["numbers"]["spread"] < 0.3
    assert all(
        watts == pytest.approx(600, rel=0.05)
        for watts in checks["sampler"]["numbers"]["watts"].values()
    )
    assert checks["own-cost"]["numbers"]["edge_seconds"] < 0.1
    assert checks["idle-driver"]["numbers"]["watts"] == pytest.approx(70, rel=0.02)
    assert checks["idle-context"]["numbers"]["over_driver_idle_watts"] == pytest.approx(20, abs=2)
    assert checks["tick"]["numbers"]["tick_seconds_median"] == pytest.approx(0.02, rel=0.1)
    assert checks["linearity"]["numbers"]["watts"] == pytest.approx(600, rel=0.02)
    assert checks["unsynchronised"]["numbers"]["share"] < 0.3
    assert (out["gpu"]["scope"], out["load"]) == (f"gpu:{UUID_A}", "watts written to a file")


def test_a_disagreement_fails(rehearse):
    """nvidia-smi tells 5 % more than the counter."""
    _, checks = rehearse(only="nvidia-smi", smi_watts=630.0)
    assert checks["nvidia-smi"]["outcome"] == "fail"
    assert checks["nvidia-smi"]["numbers"]["difference"] == pytest.approx(-0.048, abs=0.01)
    assert checks["idle-driver"]["outcome"] == "pass"


def test_when_the_time_is_over_the_finished_checks_stay(rehearse):
    _, checks = rehearse(minutes=0.04, only="linearity", scale=0.1)
    assert checks["idle-driver"]["outcome"] == "pass"
    assert checks["linearity"]["outcome"] == "not run"
    assert "--minutes" in checks["linearity"]["reason"]


def test_without_a_gpu_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    for call in (meter.run, meter.default_out):
        with pytest.raises(OrthowattError, match="needs an NVIDIA GPU whose energy can be read"):
            call()
    with pytest.raises(InputError, match="minutes is 0"):
        meter.run(minutes=0)


def test_nvidia_smi_is_found_with_its_field_or_missed_with_a_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert smi.open_smi(None).problem == "nvidia-smi is not installed"
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '[N/A]'\n")
    program.chmod(0o755)
    assert smi.open_smi(None).problem == "nvidia-smi tells no power of this GPU"


def test_the_command_says_what_it_needs_and_ends_with_1(monkeypatch, capsys):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert main(["bench", "meter"]) == 1
    text = capsys.readouterr().err
    assert "bench meter needs an NVIDIA GPU" in text
    assert len(text.strip().splitlines()) == 1


def test_the_table_shows_each_check_with_its_numbers():
    checks = [
        meter.Result("tick", "it ticks", "pass", None, {"ticks": 9, "spans": [1, 2]}, 2.0),
        meter.Result("square", "alike", "not run", "the time is over", {}, 0.0),
    ]
    shown = table({"checks": [check.to_dict() for check in checks]})
    cells = [list(column.cells) for column in shown.columns]
    assert cells[1] == ["pass", "not run"]
    assert cells[3] == ["ticks 9", "the time is over"]
