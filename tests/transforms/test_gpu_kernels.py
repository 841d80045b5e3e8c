"""The Triton kernels on the CPU, through Triton's interpreter, against the fp64 reference."""

import importlib
import sys
import warnings

import numpy as np
import pytest
import torch

from orthowatt.bench.values import compare
from orthowatt.errors import InputError
from orthowatt.transforms import gpu, ops, reference
from orthowatt.transforms.gpu import plan

triton = pytest.importorskip("triton", reason="Triton is not installed on this system")

KINDS = ["wht", "dct2", "dct3", "dst2", "dst3", "hartley"]
SLOW = pytest.mark.slow
DTYPES = [torch.float32, torch.bfloat16, torch.float16]
_KERNELS = [
    f"orthowatt.transforms.gpu.{name}"
    for name in ("tile", "planes", "maps", "lines", "mirror", "launch")
]


@pytest.fixture(scope="module")
def interpreted():
    """The launching module with kernels that run under the interpreter; restored afterwards."""
    from triton.runtime import interpreter

    saved = {name: sys.modules.pop(name) for name in _KERNELS if name in sys.modules}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(triton.knobs.runtime, "interpret", True)
        _teach_bf16(patch, interpreter)
        yield importlib.import_module(_KERNELS[-1])
    for name in _KERNELS:
        sys.modules.pop(name, None)
        short = name.rsplit(".", 1)[1]
        if name in saved:
            setattr(gpu, short, saved[name])
        elif hasattr(gpu, short):
            delattr(gpu, short)
    sys.modules.update(saved)


def _teach_bf16(patch, interpreter):
    """The interpreter keeps bf16 as the integers of its bits: products and roundings go wrong."""
    import triton.language as tl

    builder, handle = interpreter.InterpreterBuilder, interpreter.TensorHandle
    cast_before = builder.cast_impl

    def wide(data, dtype):
        if dtype == tl.bfloat16:
            return (data.astype(np.uint32) << 16).view(np.float32)
        return data.astype(np.float32)

    def cast(self, source, target):
        of, to = source.dtype.scalar, target.scalar
        if of == to or tl.bfloat16 not in (of, to):
            return cast_before(self, source, target)
        values = wide(source.data, of)
        if to != tl.bfloat16:
            return handle(values.astype({tl.float16: np.float16}.get(to, np.float32)), to)
        rounded = torch.from_numpy(np.ascontiguousarray(values)).bfloat16().view(torch.int16)
        return handle(rounded.numpy().view(np.uint16), to)

    def dot(self, a, b, d, *precision):
        product = np.matmul(wide(a.data, a.dtype.scalar), wide(b.data, b.dtype.scalar))
        return handle(product + d.data, d.dtype.scalar)

    patch.setattr(builder, "cast_impl", cast)
    patch.setattr(builder, "create_dot", dot)


def random(shape, dtype, channels_last=False):
    generator = torch.Generator().manual_seed(sum(shape))
    x = torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)
    return x.contiguous(memory_format=torch.channels_last) if channels_last else x


def kernel(interpreted, x, kind, dims, norm="ortho", transpose=False, out=None, between=None):
    steps = plan.steps(tuple(x.shape), x.stride(), x.dtype, kind, dims, norm, transpose)
    assert not isinstance(steps, str), steps
    y = torch.full_like(x, float("nan")) if out is None else out
    interpreted.Passes(steps, x.device, between)(x, y)
    return y


def check(interpreted, x, kind, dims, norm="ortho", transpose=False):
    y = kernel(interpreted, x, kind, dims, norm, transpose)
    exact = reference.transform(x.double(), kind, dims, norm, transpose)
    found = compare(f"{kind} {tuple(x.shape)} {dims} {x.dtype}", y, exact)
    assert found.passed, found


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_planes_and_maps(interpreted, kind, dtype):
    for n in (8, 12, 28, 56) if kind == "wht" else (7, 14, 56):
        for channels_last in (False, True) if (kind, n) != ("hartley", 56) else (False,):
            shape = (2, 9, n, n) if n < 28 else (1, 9, n, n) if channels_last else (1, 3, n, n)
            check(interpreted, random(shape, dtype, channels_last), kind, (-2, -1))


@pytest.mark.parametrize("kind", ["wht", "dct2"])
def test_large_planes_take_parts(interpreted, kind):
    check(interpreted, random((1, 1, 112, 112), torch.float32), kind, (-2, -1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["wht", "dct2"])
def test_larger_planes_and_maps_take_two_passes(interpreted, kind):
    check(interpreted, random((1, 1, 224, 224), torch.bfloat16), kind, (-2, -1))
    if kind == "wht":
        check(interpreted, random((1, 8, 112, 112), torch.bfloat16, True), kind, (-2, -1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("norm", ["none", "inverse"])
def test_norms_and_transposes(interpreted, kind, norm):
    for transpose in (False, True):
        for shape, dims in (((3, 28, 28), (-2, -1)), ((5, 80), (-1,)), ((2, 80, 3), (-2,))):
            check(interpreted, random(shape, torch.float32), kind, dims, norm, transpose)


@pytest.mark.parametrize("n", [1, 2, 16, 28, 36, 96, 1024, pytest.param(4096, marks=SLOW)])
def test_one_axis_of_every_order(interpreted, n):
    dtype = torch.bfloat16 if n in (96, 4096) else torch.float32
    check(interpreted, random((1, n, 17), dtype), "wht", (-2,))
    check(interpreted, random((3, n), dtype), "wht", (-1,))


def test_one_axis_wherever_it_lies(interpreted):
    x = random((2, 5, 28, 12), torch.float32)
    for dims in ((-3 + 1,), (-1, -2), (-4,), (-1, -4), (-2, -4)):
        check(interpreted, x, "wht" if -4 not in dims else "dct2", dims)


@pytest.mark.parametrize("dtype", DTYPES)
def test_few_lanes_are_packed(interpreted, dtype):
    """Three channels innermost: a program takes those of many rows."""
    for shape, kind in (((7, 28, 3), "wht"), ((5, 112, 3), "dct3"), ((9, 96, 5), "hartley")):
        x = random(shape, dtype)
        (step,) = plan.steps(shape, x.stride(), dtype, kind, (-2,), "ortho", False)
        assert step.packed
        assert step.blocks == -(-shape[0] * shape[2] // step.share.block)
        check(interpreted, x, kind, (-2,))
    assert not plan.steps((5, 28, 16), (448, 16, 1), dtype, "wht", (-2,), "ortho", False)[0].packed


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_long_hartley_axis_is_two_halves(interpreted, dtype):
    for shape, dims in (((17, 224), (-1,)), ((1, 256, 19), (-2,)), ((3, 112), (-1,))):
        for norm in ("ortho", "none") if shape[-1] == 224 else ("inverse",):
            check(interpreted, random(shape, dtype), "hartley", dims, norm)


def test_planes_that_are_not_square(interpreted):
    for shape in ((3, 8, 64), (3, 12, 28), (2, 64, 20), (5, 1, 28), (5, 28, 1)):
        for kind in ("wht", "dct2", "hartley"):
            check(interpreted, random(shape, torch.float32), kind, (-2, -1))


#: Planes and maps whose joint Hartley transform takes three passes; sizes even and odd.
JOINT = [
    ((1, 66, 70), False, torch.float32), ((1, 34, 112), False, torch.bfloat16),
    ((1, 33, 71), False, torch.float16), ((1, 4, 56, 56), True, torch.bfloat16),
    ((2, 3, 5, 66), True, torch.float32), ((1, 21, 3, 128), True, torch.float16),
    ((1, 3, 224), False, torch.bfloat16), ((1, 2, 130, 7), True, torch.float16),
    ((1, 256, 2), False, torch.float32),
    pytest.param((1, 224, 224), False, torch.bfloat16, marks=SLOW),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "channels_last", "dtype"), JOINT)
def test_joint_hartley_of_large_planes_and_maps(interpreted, shape, channels_last, dtype):
    x = random(shape, dtype, channels_last)
    steps = plan.steps(shape, x.stride(), dtype, "hartley", (-2, -1), "ortho", False)
    assert [step.kernel for step in steps][2:] == ["mirror"]
    check(interpreted, x, "hartley", (-2, -1))


@pytest.mark.parametrize(
    ("norm", "shape", "dtype"),
    [("none", (3, 33, 66), torch.float32), ("inverse", (3, 3, 3, 66), torch.bfloat16)],
)
def test_joint_hartley_in_other_norms_groups_and_in_place(interpreted, norm, shape, dtype):
    x = random(shape, dtype, channels_last=len(shape) == 4)
    check(interpreted, x, "hartley", (-2, -1), norm, True)
    y = kernel(interpreted, x, "hartley", (-2, -1), norm)
    for between in (None, 4 * x[:2].numel()):  # all at once, and in 2 groups, 2 + 1
        again = x.clone()
        kernel(interpreted, again, "hartley", (-2, -1), norm, out=again, between=between)
        assert torch.equal(again, y)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_joint_hartley_keeps_what_is_not_finite_in_its_plane(interpreted, value):
    for shape, channels_last in (((2, 3, 33, 66), False), ((2, 3, 3, 66), True)):
        x = random(shape, torch.float32, channels_last)
        x[1, 2, 2, 4] = value
        with np.errstate(invalid="ignore"):
            bad = ~torch.isfinite(kernel(interpreted, x, "hartley", (-2, -1)))
        assert bad[1, 2].all()
        assert bad.sum() == bad[1, 2].sum()


def test_joint_hartley_through_the_operator(interpreted, monkeypatch):
    monkeypatch.setattr(gpu, "unusable", lambda device: "")
    request = ("hartley", (-2, -1), "ortho", False)
    x = random((2, 33, 66), torch.float32)
    assert gpu.backend(x, "hartley", (-2, -1)) == ("gpu", "Triton kernels, 3 passes")
    exact = reference.transform(x.double(), *request)
    out = torch.zeros(2, 66, 33).mT
    assert gpu.transform(x, *request, out) is out
    assert compare("into another layout", out, exact).passed
    assert gpu.transform(x, *request, x) is x
    assert compare("in place", x, exact).passed
    assert ops.apply(x[:0], "hartley", (-2, -1), "ortho").shape == (0, 33, 66)


class OutOfResources(Exception):
    """As Triton names a kernel that asks for more than the GPU has; its text says triton."""


def fails(launch, x, y):
    raise OutOfResources("out of resource: shared memory; reduce triton block sizes")


def test_a_later_pass_that_cannot_be_made_leaves_the_input_whole(interpreted, monkeypatch):
    monkeypatch.setattr(gpu, "unusable", lambda device: "")
    monkeypatch.setattr(gpu, "_left_out", set())
    for cached in (gpu._passes, gpu._warn):
        cached.cache_clear()
    real = interpreted.Launch.__call__

    def call(launch, x, y):
        return (fails if launch.step.inner == 1 else real)(launch, x, y)

    monkeypatch.setattr(interpreted.Launch, "__call__", call)
    x = random((1, 20, 160), torch.float32)
    before, request = x.clone(), ("dct2", (-2, -1), "ortho", False)
    with pytest.warns(UserWarning, match="out of resource"):
        assert gpu.transform(x, *request, x) is None
    assert torch.equal(x, before)
    gpu._passes.cache_clear()


def test_loads_ahead_are_left_out_where_they_do_not_fit(interpreted, monkeypatch):
    x = random((1, 8, 56, 56), torch.bfloat16, True)
    (step,) = plan.steps(tuple(x.shape), x.stride(), x.dtype, "wht", (-2, -1), "ortho", False)
    assert step.share.stages == 2
    launch, y = interpreted.Launch(step, x.device), torch.empty_like(x)
    real, tried = launch._launch, []

    def first(x, y):
        tried.append(launch._named["stages"])
        return (real if tried[-1] == 1 else lambda *given: fails(launch, *given))(x, y)

    monkeypatch.setattr(launch, "_launch", first)
    launch(x, y)
    assert tried == [2, 1]
    exact = reference.transform(x.double(), "wht", (-2, -1), "ortho", False)
    assert compare("with one stage", y, exact).passed


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("n", [8, 14, 28])
def test_what_is_not_finite_stays_in_its_plane(interpreted, n, value):
    for channels_last in (False, True):
        x = random((2, 9, n, n), torch.float32, channels_last)
        x[1, 3, 2, 4] = value
        with np.errstate(invalid="ignore"):  # what the interpreter says of inf - inf
            y = kernel(interpreted, x, "dct2", (-2, -1))
        bad = ~torch.isfinite(y).flatten(2).all(-1)
        assert bad[1, 3]
        assert bad.sum() == 1


def test_in_place_gives_equal_bits(interpreted):
    for shape, dims in (((2, 3, 28, 28), (-2, -1)), ((3, 12, 5, 28), (-3, -1))):
        for between in (None, 1 << 14):
            x = random(shape, torch.float32)
            y = kernel(interpreted, x, "wht", dims)
            assert torch.equal(kernel(interpreted, x, "wht", dims, out=x, between=between), y)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("between", [0, 1 << 14, 1 << 16])
def test_passes_in_groups_give_equal_bits(interpreted, dtype, between):
    """7 images of 1,680 entries: not in groups, in 3 of which one is smaller, and in 1."""
    x = random((7, 12, 5, 28), dtype)
    y = kernel(interpreted, x, "wht", (-3, -1))
    assert torch.equal(kernel(interpreted, x, "wht", (-3, -1), between=between), y)
    exact = reference.transform(x.double(), "wht", (-3, -1), "ortho", False)
    assert compare("values", y, exact).passed


def test_groups_fit_what_lies_between_and_keep_addresses_aligned(interpreted):
    assert interpreted._group(192, 4 * 224**2, 25 * 2**20) == 96
    assert interpreted._group(64, 4 * 64 * 112**2, 25 * 2**20) == 8
    assert interpreted._group(100, 2**20, 25 * 2**20) == 32  # a multiple of 8 near the bound
    assert interpreted._group(7, 2**20, 2**22) == 4
    assert interpreted._group(5, 2**26, 2**25) == 5  # one alone is too large: no groups
    assert interpreted._group(5, 2**10, 2**25) == 5


class Compiled:
    """What Triton gives for a kernel on a GPU; `fails` at "[]" or at the call of its launcher."""

    n_regs, metadata = 100, type("Metadata", (), {"shared": 1024})

    def __init__(self, fails):
        self.fails, self.calls = fails, 0

    def __getitem__(self, grid):
        if self.fails == "[]":
            raise TypeError("no such launcher")

        def launch(*arguments):
            self.calls += 1
            if self.fails == "call":
                raise TypeError("function takes exactly 99 arguments")

        return launch


@pytest.mark.parametrize("fails", ["[]", "call", ""])
def test_a_launcher_of_another_version_leaves_the_ordinary_launch(interpreted, monkeypatch, fails):
    made, ordinary = Compiled(fails), []
    (step,) = plan.steps((3, 28, 28), (784, 28, 1), torch.float32, "wht", (-2, -1), "ortho", False)
    monkeypatch.setattr(interpreted, "indirect", [])
    monkeypatch.setattr(interpreted, "_held", lambda *arguments: 2)
    monkeypatch.setattr(interpreted, "_multiprocessors", lambda device: 132)
    launch = interpreted.Launch(step, torch.device("cpu"))

    class Kernel:
        def __getitem__(self, grid):
            return lambda *arguments, **options: ordinary.append(grid) or made

    launch._kernel = Kernel()
    x = random((3, 28, 28), torch.float32)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        for _ in range(4):
            launch(x, torch.empty_like(x))
    assert len(ordinary) == (1 if not fails else 4)  # every call ran once where it counts
    assert made.calls == {"": 3, "call": 1, "[]": 0}[fails]
    assert len(said) == bool(fails)
    assert all("launched the slower way" in str(one.message) for one in said)


def test_a_first_call_inside_a_cuda_graph_names_the_mend(interpreted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    (step,) = plan.steps((3, 28, 28), (784, 28, 1), torch.float32, "wht", (-2, -1), "ortho", False)
    with pytest.raises(InputError, match="call it once outside the capture first"):
        interpreted.Launch(step, torch.device("cuda", 0))


def test_the_operator_runs_the_kernels_with_gradients(interpreted, monkeypatch):
    """As a CUDA tensor would be served: path, gaps, foreign out=, first and second gradient."""
    monkeypatch.setattr(gpu, "unusable", lambda device: "")
    monkeypatch.setattr(ops, "compute", lambda x, *rest: gpu.transform(x, *rest))
    wide = random((2, 3, 28, 40), torch.float32)
    x = wide[..., 5:33].detach().requires_grad_()
    y = ops.apply(x, "dct2", (-2, -1), "none")
    exact = reference.transform(x.detach().double(), "dct2", (-2, -1), "none", False)
    assert compare("values", y.detach(), exact).passed
    v = random(tuple(y.shape), torch.float32).requires_grad_()
    (grad,) = torch.autograd.grad(y, x, v, create_graph=True)
    back = reference.transform(v.detach().double(), "dct2", (-2, -1), "none", True)
    assert compare("gradient", grad.detach(), back).passed
    (second,) = torch.autograd.grad(grad, v, x.detach())
    assert compare("second gradient", second, exact).passed
    shared = torch.zeros(2, 3, 28, 29)
    shared[..., :28] = x.detach()
    out = shared[..., 1:]
    assert gpu.transform(shared[..., :28], "dct2", (-2, -1), "none", False, out) is out
    assert compare("into an overlapping tensor", out, exact).passed


def padded(x, full):
    rows, cols = x.shape[-2:]
    return torch.nn.functional.pad(x.detach().double(), (0, full - cols, 0, full - rows))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("pad", ["keep", "crop"])
def test_padding_and_cropping_cost_no_pass_of_their_own(
    interpreted, monkeypatch, pad, channels_last
):
    monkeypatch.setattr(gpu, "unusable", lambda device: "")
    monkeypatch.setattr(ops, "compute", None)  # nothing falls back
    layout = torch.channels_last if channels_last else torch.contiguous_format
    for shape, full in (((2, 9, 14, 14), 16), ((2, 9, 7, 7), 8), ((3, 2, 27, 26), 28)):
        x = random(shape, torch.float32, channels_last).requires_grad_()
        result = (full, full) if pad == "keep" else shape[-2:]
        y = ops._Resized.apply(x, "wht", (-2, -1), "ortho", False, (full, full), result)
        exact = reference.transform(padded(x, full), "wht", (-2, -1), "ortho", False)
        exact = exact[..., : result[0], : result[1]]
        assert compare("values", y.detach(), exact).passed
        assert y.is_contiguous(memory_format=layout)
        v = random(tuple(y.shape), torch.float32, channels_last).requires_grad_()
        (grad,) = torch.autograd.grad(y, x, v, create_graph=True)
        back = reference.transform(padded(v, full), "wht", (-2, -1), "ortho", False)
        assert compare("gradient", grad.detach(), back[..., : shape[-2], : shape[-1]]).passed
        (second,) = torch.autograd.grad(grad, v, x.detach())
        assert compare("second gradient", second, exact).passed
        out = torch.full_like(y.detach(), float("nan"))
        assert (
            ops._resized(x.detach(), "wht", (-2, -1), "ortho", False, (full, full), result, out)
            is out
        )
        assert torch.equal(out, y.detach())
