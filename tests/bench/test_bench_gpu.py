"""The checks that precede timing on a GPU, as far as a CPU can run them."""

import itertools
import pickle

import pytest
import torch

from orthowatt.bench import checks, launches, pool, timed, values
from orthowatt.bench.cases import Case
from orthowatt.transforms import functional

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


def test_one_error_costs_its_own_check_alone(monkeypatch):
    right = timed.call_of(case())

    def call(one):
        if one.pad:
            raise RuntimeError("CUDA out of memory")
        return right

    monkeypatch.setattr(timed, "call_of", call)
    entries = [("plane 14", None, case(14, "keep")), ("plane 28", 1.2, case())]
    found = timed.run(entries, CPU)
    assert [(one.name, one.passed) for one in found] == [
        ("plane 14 float32 as timed", False),
        ("plane 28 float32 as timed", True),
    ]
    assert found[0].detail == "RuntimeError: CUDA out of memory"


def test_an_error_in_a_check_leaves_the_others(monkeypatch):
    def fails(x, out=None):
        if out is not None:
            raise RuntimeError("no kernel")
        return right(x)

    right = functional.wht
    monkeypatch.setattr(values.functional, "wht", fails)
    wanted = [checks.Job("layouts"), checks.Job("gradients", ("dct2", 7))]
    found, left = checks.run(CPU, wanted)
    assert not left
    assert [one.name for one in found if not one.passed] == ["in place"]
    assert [one.name for one in found if one.passed] == [
        "a tensor with gaps", "equal bits at every call", "an empty batch",
        "gradient of dct2 7", "second gradient of dct2 7",
    ]  # fmt: skip
    monkeypatch.setattr(values.ops, "apply", lambda *_: 1 / 0)
    found, _ = checks.run(CPU, wanted)
    assert found[-1].name == "gradients dct2 7"
    assert "ZeroDivisionError" in found[-1].detail


def test_checks_go_on_where_they_had_to_stop():
    wanted = checks.jobs(CPU, sizes=(7,), compiler="eager")
    assert checks.run(CPU, wanted, deadline=0.0) == ([], wanted)
    clock = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool.time, "monotonic", lambda: next(clock))
        found, left = checks.run(CPU, wanted, deadline=1.0)
    assert left == wanted[2:]
    assert [one.name for one in found][::4] == [
        "a tensor with gaps",
        "a NaN stays in its plane, plane 8",
    ]


def test_jobs_reach_other_processes_and_come_in_order_of_size():
    wanted = checks.jobs(torch.device("cuda"), sizes=(7, 28))
    assert pickle.loads(pickle.dumps(wanted)) == wanted
    assert {job.what for job in wanted} == set(checks._WORK)
    planes = [job.arguments for job in wanted if job.what == "plane"]
    assert [n for _, n, *_ in planes] == sorted(n for _, n, *_ in planes)
    assert [dtype for _, _, dtype, _ in planes[:6:2]] == list(checks.DTYPES)
    assert len(set(wanted)) == len(wanted)


@pytest.mark.slow
def test_checks_by_several_processes_are_those_of_one():
    wanted = [job for job in checks.jobs(CPU, sizes=(7, 12)) if job.what in ("plane", "line")][-8:]
    (apart, left), (here, _) = checks.run(CPU, wanted, workers=2), checks.run(CPU, wanted)
    assert left == []
    assert sorted(apart, key=str) == sorted(here, key=str)
    assert all(one.passed for one in apart)


def test_every_view_of_a_huge_tensor_is_checked_at_its_end(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2**40, 2**40))
    found = list(launches.huge(CPU, least=0))
    assert len(found) == 14
    assert all(one.passed for one in found)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (0, 2**40))
    (skipped,) = launches.huge(CPU, least=0)
    assert "too little memory" in skipped.detail
