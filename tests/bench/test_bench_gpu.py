"""The checks that precede timing on a GPU, as far as a CPU can run them."""

import itertools

import pytest
import torch

from orthowatt.bench import launches, sweep, timed, values
from orthowatt.bench.cases import Case
from orthowatt.bench.timing import Timing
from orthowatt.transforms.gpu import plan

CPU = torch.device("cpu")
TIMED = {"call": Timing(2e-3, 1e-3, 3e-3, 7)}
REQUEST = ("wht", (-2, -1), "ortho", False)


def case(n=28, pad=None):
    return Case("wht", (1, 8, n, n), (-2, -1), False, torch.float32, pad)


def test_timed_cases_are_compared_with_fp64():
    found = timed.run([("plane 28", 1.2, case()), ("plane 14", None, case(14, "keep"))], CPU)
    assert [(one.name, one.passed) for one in found] == [
        ("plane 28 float32 as timed", True),
        ("plane 14 float32 as timed", True),
    ]
    assert all(one.figure is not None and 0 < one.figure < 1e-6 for one in found)


def test_a_second_launch_that_differs_is_found(monkeypatch):
    right = timed.call_of(case())
    count = itertools.count()

    def call(x, out=None):
        y = right(x, out=out)
        return y.mul_(1 + 2.0**-20) if next(count) else y

    monkeypatch.setattr(timed, "call_of", lambda case: call)
    (one,) = timed.run([("plane", None, case())], CPU)
    assert not one.passed
    assert "other bits" in one.detail


def test_no_case_begins_after_the_deadline():
    assert timed.run([("plane", None, case())], CPU, deadline=0.0) == []


def test_checks_go_on_where_they_had_to_stop():
    left = values.checks(CPU, sizes=(7,), compiler="eager")
    (first,) = values.take(left, deadline=0.0)
    assert first.name == "a tensor with gaps"
    (second,) = values.take(left, deadline=0.0)
    assert second.name == "in place"


def test_every_view_of_a_huge_tensor_is_checked_at_its_end(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))
    found = list(launches._huge(CPU, least=0))
    assert len(found) == 14
    assert all(one.passed for one in found)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 2**40))
    (skipped,) = launches._huge(CPU, least=0)
    assert "too little memory" in skipped.detail


def test_the_sweep_tries_how_much_lies_between_two_passes(monkeypatch):
    launch = pytest.importorskip("orthowatt.transforms.gpu.launch", reason="needs Triton")
    given = []

    class Passes:
        def __init__(self, steps, device, between):
            given.append(between)

        def __call__(self, x, out):
            out.copy_(x)

    monkeypatch.setattr(launch, "Passes", Passes)
    monkeypatch.setattr(sweep, "_BYTES", 0)
    monkeypatch.setattr(sweep, "interleaved", lambda calls, **options: calls["call"]() or TIMED)
    large = Case("wht", (1, 1, 224, 224), (-2, -1), False, torch.bfloat16)
    steps = plan.steps(large.shape, (224**2, 224**2, 224, 1), large.dtype, *REQUEST)
    assert not isinstance(steps, str)
    rows = sweep._groups("wht plane 224", steps, large, CPU, float("inf"))
    assert [row["between_mebibytes"] for row in rows] == list(sweep.GROUPS)
    assert given == [mebibytes << 20 for mebibytes in sweep.GROUPS]
    assert all(row["milliseconds"] == 2.0 for row in rows)
