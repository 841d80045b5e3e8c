"""Kernels are compiled as a call would launch them."""

import runpy
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from orthowatt.bench import compiler
from orthowatt.bench.cases import Case
from orthowatt.bench.routes import launches, steps_of

pytest.importorskip("triton", reason="Triton is not installed on this system")
CPU = torch.device("cpu")


def step(shape=(64, 256, 28, 28), channels_last=False, kind="wht", dtype=torch.bfloat16):
    (found,) = steps_of(Case(kind, shape, (-2, -1), channels_last, dtype))
    return found


def specialised(one):
    from triton.backends.compiler import GPUTarget
    from triton.compiler import make_backend

    backend = make_backend(GPUTarget("cuda", 90, 32))
    kernel, options, signature, constants, found = compiler._specialised(one, backend)
    divisible = {kernel.arg_names[at[0]] for at, what in found.items() if what}
    known = {kernel.arg_names[at[0]]: value for at, value in constants.items()}
    return options, signature, known, divisible


def test_counts_are_specialised_as_a_launch_does():
    tensors = {"x", "y", "left", "right"}
    options, signature, known, divisible = specialised(step())
    assert (options.num_warps, options.num_stages) == (step().share.warps, step().share.stages)
    assert (signature["x"], signature["count"], signature["scale"]) == ("*bf16", "i32", "fp32")
    assert divisible == {*tensors, "count"}  # 64 · 256 planes
    assert "count" not in known
    odd, one = replace(step(), outer=17), replace(step(), outer=1)
    assert specialised(odd)[3] == tensors
    assert specialised(one)[2]["count"] == 1
    assert specialised(one)[1]["count"] == "constexpr"
    huge = replace(step(), outer=2**32)
    assert specialised(huge)[1]["count"] == "i64"
    maps = step((64, 40, 28, 28), channels_last=True, dtype=torch.float16)
    _, signature, _, divisible = specialised(maps)
    assert signature["left"] == "*fp16"
    assert signature["right"] == "*bf16"
    assert divisible == {*tensors, "outer"}  # 40 channels are 5 units of 8


def test_launches_are_counted(monkeypatch):
    from orthowatt.transforms.gpu import launch

    ran = []
    monkeypatch.setattr(launch.Launch, "__call__", lambda self, x, y: ran.append(self))
    large = Case("wht", (16, 64, 112, 112), (-2, -1), True, torch.bfloat16)
    x = torch.empty((16, 64, 112, 112), dtype=torch.bfloat16).contiguous(
        memory_format=torch.channels_last
    )
    steps = steps_of(large)
    launch.Passes(steps, CPU)(x, torch.empty_like(x))
    assert launches(large, CPU) == len(ran) > len(steps)
    assert launches(Case("wht", (1, 8, 28, 28), (-2, -1), True, torch.float32), CPU) == 1


class Driver:
    """A GPU's driver, as far as a compilation asks it."""

    def get_current_device(self):
        return "a device that no other test has"

    def get_current_stream(self, device):
        return 0

    def get_current_target(self):
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)


@pytest.mark.slow
def test_a_launch_finds_in_the_cache_what_was_compiled(monkeypatch, tmp_path):
    from triton.runtime import driver

    from orthowatt.transforms.gpu import launch

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    for one in (step(), step(channels_last=True, kind="dct2", dtype=torch.float16)):
        before = len(list(tmp_path.iterdir()))
        compiler.compiled(one)
        made = sorted(tmp_path.iterdir())
        assert len(made) > before
        ready = launch.Launch(one, CPU)
        x, y = torch.empty(16, dtype=one.source), torch.empty(16, dtype=one.target)
        monkeypatch.setattr(driver, "_active", Driver())
        ready._kernel.warmup(
            x, y, *ready._first, **ready._named, num_warps=one.share.warps,
            num_stages=one.share.stages, enable_fp_fusion=True, grid=(1,),
        )  # fmt: skip
        assert sorted(tmp_path.iterdir()) == made


@pytest.mark.slow
def test_the_table_of_compiled_kernels_names_its_compiler(tmp_path, monkeypatch):
    import json

    import triton

    script = Path(__file__).parents[2] / "benchmarks" / "gpu_compiled.py"
    path = tmp_path / "found.json"
    argv = ["gpu_compiled.py", "--only", "wht plane 28", "--workers", "0", "--out", str(path)]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    found = json.loads(path.read_text())
    assert found["triton"] == triton.__version__
    assert "release" in found["ptxas"]
    assert [row["dtype"] for row in found["rows"]] == ["bfloat16", "float32"]
    assert all(row["error"] is None and row["registers"] > 0 for row in found["rows"])
