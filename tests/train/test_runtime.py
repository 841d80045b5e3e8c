"""Devices, precision, and switches that are put back."""

import os

import pytest
import torch

from orthowatt.errors import InputError
from orthowatt.train import runtime

CPU = torch.device("cpu")
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


def test_auto_is_cuda_where_there_is_one():
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    assert runtime.resolve_device("auto").type == kind


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "", "meta"])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(InputError, match=r"device is .* cuda:N"):
        runtime.resolve_device(name)


@without_gpu
def test_a_missing_gpu_is_told():
    with pytest.raises(InputError, match="no usable GPU"):
        runtime.resolve_device("cuda")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_named_precision_is_kept(precision):
    assert runtime.resolve_precision(precision, CPU) == precision


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_autocast_computes_in_the_precision(precision, dtype):
    with runtime.autocast(precision, CPU):
        assert torch.nn.functional.linear(torch.ones(2, 2), torch.ones(2, 2)).dtype == dtype


def switches():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize(
    ("mode", "inside"),
    [("exact", (True, False, True, False)), ("fast", (False, False, False, True))],
)
def test_determinism_is_applied_and_undone(enabled, mode, inside):
    torch.use_deterministic_algorithms(enabled, warn_only=True)
    before = switches()
    seen = []

    def work():
        with runtime.determinism(mode, CPU):
            seen.append(switches())
            raise KeyError

    try:
        with pytest.raises(KeyError):
            work()
        assert seen == [inside]
        assert switches() == before
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("given", [None, ":16:8"])
def test_exact_on_cuda_fixes_cublas_workspace(monkeypatch, given):
    """The variable is set before CUDA is touched, so no device is needed to see it."""
    name = "CUBLAS_WORKSPACE_CONFIG"
    if given is None:
        monkeypatch.delenv(name, raising=False)
    else:
        monkeypatch.setenv(name, given)
    with runtime.determinism("exact", torch.device("cuda", 0)):
        assert os.environ[name] == (given or ":4096:8")
    assert os.environ.get(name) == given
    with runtime.determinism("fast", torch.device("cuda", 0)):
        assert os.environ.get(name) == given


def test_randomness_and_threads_are_given_back():
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    with runtime.own_randomness(CPU), runtime.own_threads():
        runtime.seed_globals(7, CPU)
        first = torch.rand(3)
        runtime.seed_globals(7, CPU)
        assert torch.equal(first, torch.rand(3))
        torch.set_num_threads(threads + 1)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.get_num_threads() == threads
