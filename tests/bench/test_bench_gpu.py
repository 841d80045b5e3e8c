"""The checks that precede timing on a GPU, as far as a CPU can run them."""

import itertools

import torch

from orthowatt.bench import launches, timed, values
from orthowatt.bench.cases import Case

CPU = torch.device("cpu")


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
