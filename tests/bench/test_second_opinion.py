"""Zeus beside orthowatt's meter on one stand-in driver: the committed result, and how it is made."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "stand-in-nvml-zeus.json"


def windows():
    result = json.loads(RESULT.read_text())
    return [(name, window) for name, case in result["cases"].items() for window in case]


def test_the_committed_result_names_device_commit_and_command():
    result = json.loads(RESULT.read_text())
    assert all(result[key] for key in ("device", "commit", "command", "zeus"))


def test_in_the_committed_result_the_true_energy_lies_within_the_bound_or_is_unknown():
    for name, window in windows():
        ours = window["orthowatt"]
        if ours["joules"] is None:
            assert ours["reason"], name
        else:
            assert abs(ours["joules"] - ours["true_joules"]) <= ours["bound_joules"], name


def test_in_the_committed_result_zeus_errs_by_a_tick_at_each_edge_at_most():
    """300 W and a tick of 100 ms: up to 30 J; so both meters agree where both have a counter."""
    for name, window in windows():
        if name.startswith("constant"):
            theirs = window["zeus"]
            assert abs(theirs["joules"] - theirs["true_joules"]) <= 30.0 + 0.5


@pytest.mark.slow
def test_without_a_gpu_zeus_tells_0_and_orthowatt_unknown():
    if importlib.util.find_spec("zeus") is None:
        pytest.skip("zeus is not installed: pip install zeus")
    words = [sys.executable, str(ROOT / "benchmarks" / "second_opinion.py"), "--only", "no GPU"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    (case,) = json.loads(done.stdout)["cases"].values()
    assert {window["zeus"]["joules"] for window in case} == {0}
    assert {window["orthowatt"]["joules"] for window in case} == {None}
