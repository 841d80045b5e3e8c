"""Readings on disk: what a killed run still tells, and several segments of one run."""

import itertools
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from simulated import Board, Power, VirtualClock, metered

from orthowatt.energy.measured import Measured
from orthowatt.energy.segments import read_segments, total
from orthowatt.errors import InputError
from sensor_fakes import UUID_A, Gpu

SCOPE = "gpu:GPU-1"


def run(path, *, kill_after=None, watts=300.0):
    """A run of 10 s train and 5 s eval; killed after so many seconds, nothing more is written."""
    clock = VirtualClock()
    meter = metered(clock, Board("GPU-1", Power([(1.0, watts)])), align=False)
    meter.journal(path)
    begin = clock.now()
    whole = meter.window("run").open()
    for name, seconds in (("train", 10.0), ("eval", 5.0)):
        part = whole.window(name).open()
        left = seconds if kill_after is None else min(seconds, begin + kill_after - clock.now())
        clock.sleep(left)
        if kill_after is not None and clock.now() - begin >= kill_after:
            meter._journal._file = None  # what a dead process writes
            break
        part.close()
    meter.close()
    return meter


def test_a_finished_run_reads_back_as_it_was(tmp_path):
    meter = run(tmp_path / "energy.jsonl")
    (segment,) = read_segments(tmp_path / "energy.jsonl")
    assert segment.complete
    assert segment.flushed == {}
    assert {name: m.to_dict() for name, m in segment.windows.items()} == meter.to_dict()
    assert segment.process == os.getpid()
    assert segment.started[:2] == "20"


def test_a_killed_run_is_unknown_with_what_it_used_at_least(tmp_path):
    run(tmp_path / "energy.jsonl", kill_after=12.5)
    (segment,) = read_segments(tmp_path / "energy.jsonl")
    assert not segment.complete
    assert segment.windows["train"].energy.joules == pytest.approx(3000, rel=0.02)
    for name, spent in (("run", 12.5), ("eval", 2.5)):
        record = segment.windows[name].energy
        assert record.joules is None
        assert "stopped without warning" in record.reason
        # all but the last second, and the bound of two readings
        assert 300 * (spent - 1.1) - 80 < record.at_least_joules <= 300 * spent
        known = segment.flushed[name].energy
        assert known.joules == pytest.approx(300 * known.seconds, abs=known.bound_joules)
        assert spent - 1.1 < known.seconds <= spent
    assert segment.windows["run"].total.at_least_joules > 3000


def test_segments_add_up_with_the_work_that_was_redone(tmp_path):
    path = tmp_path / "energy.jsonl"
    run(path, kill_after=12.5)
    with open(path, "a") as file:
        file.write('{"at": 112.7, "readings": {"gpu:GPU-1": {"seco')  # half a line, torn
    run(path)
    segments = read_segments(path)
    assert [segment.complete for segment in segments] == [False, True]
    whole = total(segments)
    assert whole["train"].energy.joules == pytest.approx(6000, rel=0.02)
    assert whole["run"].energy.joules is None
    assert whole["run"].energy.at_least_joules == pytest.approx(300 * 27, rel=0.05)
    assert json.dumps(whole["run"].to_dict(), allow_nan=False)
    assert Measured.from_dict(whole["run"].to_dict()) == whole["run"]


def test_a_line_that_a_full_disk_lost_leaves_the_energy_unknown(tmp_path):
    path = tmp_path / "energy.jsonl"
    run(path, kill_after=12.5)
    path.write_text(
        "\n".join(line for line in path.read_text().split("\n") if '"facts"' not in line)
    )
    (segment,) = read_segments(path)
    assert segment.windows["train"].energy.joules == pytest.approx(3000, rel=0.02)
    assert segment.windows["run"].energy.joules is None
    assert "stopped without warning" in segment.windows["run"].energies[SCOPE].reason


def test_a_flush_comes_at_least_every_second(tmp_path):
    run(tmp_path / "energy.jsonl")
    lines = [
        json.loads(line) for line in (tmp_path / "energy.jsonl").read_text().split("\n") if line
    ]
    times = [line["at"] for line in lines if "at" in line]
    assert max(b - a for a, b in itertools.pairwise(times)) <= 1.01


def test_no_file_has_no_segments_and_noise_is_passed_over(tmp_path):
    assert read_segments(tmp_path / "none") == []
    (tmp_path / "noise").write_text('not json\n[1]\n{"at": 3}\n')
    assert read_segments(tmp_path / "noise") == []


def test_misuse_gets_one_clear_sentence(tmp_path):
    clock = VirtualClock()
    with metered(clock, Board("GPU-1", Power([(1.0, 300.0)]))) as meter:
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="cannot be written"):
            meter.journal(tmp_path / "file" / "below")
        with meter.window("run"), pytest.raises(InputError, match="before the first window"):
            meter.journal(tmp_path / "late.jsonl")


def test_a_full_disk_does_not_end_the_run(tmp_path):
    clock = VirtualClock()
    with metered(clock, Board("GPU-1", Power([(1.0, 300.0)]))) as meter:
        meter.journal("/dev/full")
        with meter.window("run") as window:
            clock.sleep(3.0)
        assert window.energy.joules > 0
        assert "space" in meter.provenance()["journal_problem"]


def test_a_process_killed_in_real_time(nvml_libraries, tmp_path):
    """SIGKILL a process that measures a board of 300 W; at most a second is lost."""
    path, spec = tmp_path / "energy.jsonl", tmp_path / "gpus.txt"
    spec.write_text(f"start {time.monotonic()!r}\n" + Gpu().spec())
    code = textwrap.dedent("""
        import os, sys, time
        from orthowatt.energy import EnergyMeter
        meter = EnergyMeter("gpu", powercap_root="/nonexistent")
        meter.journal(sys.argv[1])
        window = meter.window("run").open()
        print("begun", flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen(
        [sys.executable, "-c", code, path],
        env={
            **os.environ,
            "LD_LIBRARY_PATH": str(nvml_libraries["full"]),
            "FAKE_NVML": str(spec),
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout.readline() == "begun\n"
        began = time.monotonic()
        time.sleep(1.7)
        lived = time.monotonic() - began
        child.send_signal(signal.SIGKILL)
    (segment,) = read_segments(path)
    assert not segment.complete
    energy, known = segment.windows["run"].energy, segment.flushed["run"].energy
    assert (energy.joules, energy.scope) == (None, f"gpu:{UUID_A}")
    assert known.seconds > lived - 1.3  # a busy machine may be late by some tenths
    assert abs(known.joules - 300 * known.seconds) <= known.bound_joules
    assert energy.at_least_joules == pytest.approx(known.joules - known.bound_joules)
