"""Timing rows: an error costs its own, peers work under the conditions that ours does."""

import types

import pytest
import torch

from orthowatt.bench import kernels, peers, step
from orthowatt.bench.cases import Case
from orthowatt.cli import main
from orthowatt.transforms import functional, hadamard

CPU = torch.device("cpu")


def case(n=28, channels_last=False, pad=None):
    return Case("wht", (2, 3, n, n), (-2, -1), channels_last, torch.float32, pad)


def run(*cases, **options):
    entries = [(f"wht {one.shape[-1]}", 1.5, one) for one in cases]
    return kernels.run(device=CPU, cases=entries, seconds=0.0, **options)


def test_one_case_without_memory_costs_its_own_rows(monkeypatch):
    right = functional.wht

    def short(x, *arguments, **options):
        if x.shape[-1] == 16:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return right(x, *arguments, **options)

    monkeypatch.setattr(functional, "wht", short)
    seen = []
    rows = run(case(28), case(16), case(12), progress=seen.append)
    assert rows == seen
    (failed,) = [row for row in rows if row.error]
    assert (failed.case, failed.name, failed.bar) == ("wht 16", "orthowatt", 1.5)
    assert failed.error == "OutOfMemoryError: CUDA out of memory"
    assert failed.milliseconds is failed.ratio is None
    assert failed.verdict() == "failed: OutOfMemoryError: CUDA out of memory"
    assert {row.case for row in rows if row.name == "orthowatt" and not row.error} == {
        "wht 28", "wht 12",
    }  # fmt: skip


def test_a_peer_that_fails_costs_its_own_row(monkeypatch):
    monkeypatch.setitem(peers._PEERS, "broken", lambda *_: lambda: 1 / 0)
    rows = {row.name: row for row in run(case())}
    assert rows["broken"].error == "ZeroDivisionError: division by zero"
    assert rows["broken"].bar is None
    assert rows["orthowatt"].error is None
    assert rows["dense matmul"].times_ours > 0


def test_the_command_says_what_failed_and_exits_so(monkeypatch, capsys):
    monkeypatch.setitem(peers._PEERS, "broken", lambda *_: lambda: 1 / 0)
    argv = ["bench", "kernels", "--only", "wht plane 28", "--mebibytes", "1", "--seconds", "0.01"]
    assert main([*argv, "--quiet", "--device", "cpu"]) == 1
    out = capsys.readouterr().out
    assert "failed: ZeroDivisionError" in out


def test_peers_rotate_through_the_same_tensors_as_ours():
    found = []
    tensors = [(case().tensor(CPU), torch.empty(1)) for _ in range(3)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "_PEERS", {"one": lambda case, x, out: lambda: found.append(x)})
        calls, errors = peers.peers_of(case(), tensors)
    found.clear()  # the first call of all tries it
    for _ in range(4):
        calls["one"]()
    assert errors == {}
    turns = [next(i for i, (x, _) in enumerate(tensors) if x is one) for one in found]
    assert turns == [0, 1, 2, 0]


class Peer(types.SimpleNamespace):
    """fast_hadamard_transform's functions by a matrix, and how often they are called."""

    def __init__(self):
        super().__init__(calls=0)

    def hadamard_transform(self, x, scale=1.0):
        self.calls += 1
        matrix = torch.tensor(hadamard.matrix(x.shape[-1])).to(x)
        return x @ matrix * scale

    hadamard_transform_28N = hadamard_transform


@pytest.mark.parametrize(
    ("n", "channels_last", "calls"),
    [(16, False, 1), (16, True, 1), (64, True, 1), (28, False, 2), (28, True, 2)],
)
def test_the_peer_takes_its_shortest_route(n, channels_last, calls):
    one, peer = case(n, channels_last), Peer()
    x = one.tensor(CPU)
    out = one.output(x)
    result = peers.fht_route(peer, one, x, out)()
    assert peer.calls == calls
    torch.testing.assert_close(result.view(x.shape), functional.wht(x), atol=1e-5, rtol=0)
    if channels_last:
        assert result.data_ptr() == out.data_ptr()
        assert out.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("kind", "shape", "channels_last", "dtype", "pad", "wanted"),
    [
        ("dct2", (64, 2048, 7, 7), False, torch.float32, None, True),
        ("wht", (64, 1024, 14, 14), True, torch.float32, "keep", True),
        ("wht", (64, 256, 56, 56), False, torch.bfloat16, None, False),
        ("wht", (64, 256, 56, 56), True, torch.bfloat16, None, False),
        ("wht", (64, 3, 224, 224), False, torch.bfloat16, None, True),
        ("wht", (64, 64, 112, 112), False, torch.bfloat16, None, False),
        ("hartley", (64, 64, 112, 112), False, torch.bfloat16, None, True),
    ],
)
def test_calls_of_few_bytes_or_many_launches_are_timed_in_graphs_as_well(
    kind, shape, channels_last, dtype, pad, wanted
):
    pytest.importorskip("triton", reason="the launches are counted by the kernels' own code")
    one = Case(kind, shape, (-2, -1), channels_last, dtype, pad)
    assert kernels.short(one, CPU) is wanted


def test_a_variant_of_the_step_that_fails_leaves_the_others(monkeypatch):
    seen = []

    class Count(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 100, 1)

        def forward(self, x):
            cudnn = torch.backends.cudnn
            seen.append((cudnn.benchmark, cudnn.deterministic))
            return self.layer(x).mean((-2, -1))

    def model(pad, device):
        if pad == "keep":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return Count()

    monkeypatch.setattr(step, "_model", model)
    before = torch.backends.cudnn.benchmark
    rows = step.run(CPU, batch=2, image_size=8, seconds=0.0, rounds=2)
    found = {row.variant: row for row in rows}
    assert found["wht early+late, keep"].error == "OutOfMemoryError: CUDA out of memory"
    assert "failed" in found["wht early+late, keep"].describe()
    assert found["wht early+late, crop"].more is not None
    assert "multiply-adds" in found["wht early+late, crop"].describe()
    assert set(seen) == {(True, False)}  # as the fast mode of training has it
    assert torch.backends.cudnn.benchmark is before
