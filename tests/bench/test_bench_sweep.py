"""The sweep tries the kernels that the plan would make, and the most promising ones first."""

import itertools
import json
from dataclasses import replace

import pytest
import torch

from orthowatt.bench import sweep
from orthowatt.bench.cases import Case, gpu_cases
from orthowatt.bench.compiler import Compiled
from orthowatt.bench.routes import steps_of
from orthowatt.bench.timing import Timing
from orthowatt.errors import InputError
from orthowatt.transforms.gpu import plan

CPU = torch.device("cpu")
TIMED = {"call": Timing(2e-3, 1e-3, 3e-3, 7)}
HALF = torch.bfloat16


def large(kind="wht"):
    return Case(kind, (1, 1, 224, 224), (-2, -1), False, HALF)


def parts(step):
    return [axis.parts for axis in step.axes]


@pytest.mark.parametrize("dtype", [torch.float16, HALF, torch.float32])
def test_other_parts_split_their_numbers_as_the_plan_does(dtype, monkeypatch):
    """Sums that are taken first are no 16-bit numbers any more: they take two pieces."""
    case = Case("dct2", (64, 256, 56, 56), (-2, -1), False, dtype)
    (step,) = steps_of(case)
    found = list(sweep.neighbours(step, case))
    assert {tuple(parts(one)) for one in found} == {(1, 1), (2, 2)}
    assert step.x_pieces == {torch.float16: 2, HALF: 1, torch.float32: 3}[dtype]
    halved = next(one for one in found if parts(one) == [2, 2])
    monkeypatch.setattr(sweep.tuning, "parts_of", lambda *_: (32, 32))
    plan.steps.cache_clear()
    (planned,) = steps_of(case)
    plan.steps.cache_clear()
    assert planned.x_pieces == {torch.float16: 3, HALF: 2, torch.float32: 3}[dtype]
    assert replace(halved, share=planned.share) == planned
    back = {one.x_pieces for one in sweep.neighbours(planned, case) if parts(one) == [1, 1]}
    assert back == {step.x_pieces}


def test_neighbours_of_later_passes_and_pads_stay_their_own():
    first, last = steps_of(large())
    for step, where in ((first, (True, False)), (last, (False, True))):
        found = list(sweep.neighbours(step, large(), *where))
        assert found[0] == step
        assert {(one.source, one.target) for one in found} == {(step.source, step.target)}
        assert {one.share.stages for one in found} == {1, 2, 3}
        assert len(set(found)) == len(found)
    kept = Case("wht", (64, 1024, 14, 14), (-2, -1), True, HALF, "keep")
    (step,) = steps_of(kept)
    found = list(sweep.neighbours(step, kept))
    assert len(found) > 9
    assert {(one.axes[0].inside, one.axes[0].outside) for one in found} == {(14, 16)}
    assert [one.share.programs for one in sweep.more_programs(step)] == list(sweep.PROGRAMS)


def test_every_case_of_the_table_is_swept():
    entries = list(gpu_cases((HALF, torch.float32), 1, lines=False))
    rows = []
    assert sweep.run(CPU, entries, progress=rows.append) == 0
    assert {(row["case"], row["dtype"]) for row in rows} == {
        (name, str(case.dtype)[6:]) for name, _, case in entries
    }
    assert {row["error"] for row in rows} == {"not measured: no GPU"}
    assert sweep.run(CPU, entries, deadline=0.0) == len(entries)


class Compiler:
    """A pool whose outcomes are given."""

    def __init__(self, *spills_and_programs):
        self.given = spills_and_programs

    def run(self, tried, deadline):
        for index, (spilled, programs) in enumerate(self.given):
            made = Compiled("planes", 99, spilled, 0, 4, programs, 1, 0, 0)
            error = None if programs is not None else "CompilationError: no"
            yield sweep_outcome(index, None if error else made, error)


def sweep_outcome(index, found, error):
    from orthowatt.bench.pool import Outcome

    return Outcome(index, found, error)


def test_the_most_promising_come_first():
    tried = list(range(6))
    pool = Compiler((80, 1), (0, 2), (0, None), (8, 16), (0, 4))
    found = sweep.by_promise(tried, pool)
    assert [step for step, *_ in found] == [0, 4, 1, 3, 2, 5]
    assert found[0][1].spilled_bytes == 80
    assert found[-2][2] == "CompilationError: no"
    assert "no time" in found[-1][2]


def test_the_sweep_takes_the_cases_over_their_bars(tmp_path):
    rows = [
        {"case": "wht plane 56", "dtype": "bfloat16", "bar": 1.15, "ratio": 1.2},
        {"case": "wht plane 28", "dtype": "bfloat16", "bar": 1.15, "ratio": 1.1},
        {"case": "wht plane 28", "dtype": "float32", "bar": 1.25, "ratio": None, "error": "x"},
    ]
    path = tmp_path / "kernels.json"
    path.write_text(json.dumps({"first": rows[:1], "rest": rows[1:]}))
    choice = sweep.Choice.of("plane", path)
    entries = gpu_cases((HALF, torch.float32))
    taken = [(name, case.dtype) for name, _, case in entries if choice.takes(name, case)]
    assert taken == [("wht plane 56", HALF)]
    assert not sweep.Choice.of("maps", path).takes("wht plane 56", large())
    path.write_text("{}")
    with pytest.raises(InputError, match="no timed cases with bars"):
        sweep.Choice.of("", path)


def test_each_neighbour_is_measured_apart_and_the_best_by_other_programs(monkeypatch):
    pytest.importorskip("triton", reason="needs Triton")
    case = Case("dct2", (1, 4, 28, 28), (-2, -1), False, HALF)
    (step,) = steps_of(case)
    tried = list(itertools.islice(sweep.neighbours(step, case), 8))
    made = Compiled("planes", 99, 0, 0, 4, 4, 1, 0, 0)
    ordered = [(one, made, None) for one in tried[:5]] + [(tried[5], None, "CompilationError")]
    ordered.append((tried[6], replace(made, spilled_bytes=999), None))
    ordered.append((tried[7], replace(made, programs=0), None))

    def seconds(step, tensors, device):
        if step == tried[1]:
            return None, "OutOfResources: shared memory"
        return 1e-3 * (step.share.programs or 9), None

    monkeypatch.setattr(sweep, "_BYTES", 0)
    monkeypatch.setattr(sweep, "_time", seconds)
    rows = []
    sweep._measured("dct2 plane 28", 0, ordered, case, CPU, float("inf"), rows.append)
    assert [row["error"] for row in rows[:8]] == [
        None, "OutOfResources: shared memory", None, None, None, "CompilationError",
        "not measured: it spills 999 bytes",
        "not measured: it asks for more registers or bytes than there are",
    ]  # fmt: skip
    rest = rows[8:]
    assert len(rest) == sweep.BEST * len(sweep.PROGRAMS)
    assert {row["programs"] for row in rest} == set(sweep.PROGRAMS)
    assert all(row["compiled"]["registers"] == 99 for row in rest)


def test_the_sweep_tries_how_much_lies_between_two_passes(monkeypatch):
    launch = pytest.importorskip("orthowatt.transforms.gpu.launch", reason="needs Triton")
    given = []

    class Passes:
        def __init__(self, steps, device, between):
            given.append(between)
            if between == 8 << 20:
                raise RuntimeError("CUDA out of memory")

        def __call__(self, x, out):
            out.copy_(x)

    monkeypatch.setattr(launch, "Passes", Passes)
    monkeypatch.setattr(sweep, "_BYTES", 0)
    monkeypatch.setattr(sweep, "interleaved", lambda calls, **options: (calls["call"](), TIMED)[1])
    rows = []
    sweep._groups("wht plane 224", steps_of(large()), large(), CPU, float("inf"), rows.append)
    assert [row["between_mebibytes"] for row in rows] == list(sweep.GROUPS)
    assert given == [mebibytes << 20 for mebibytes in sweep.GROUPS]
    assert [row["milliseconds"] for row in rows] == [2.0, None, *[2.0] * (len(rows) - 2)]
    assert rows[1]["error"] == "RuntimeError: CUDA out of memory"
