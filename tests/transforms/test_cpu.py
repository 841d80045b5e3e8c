"""The C++ kernels against the plain reference in fp64: every kind, dtype, layout and path."""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import orthowatt as ow
from orthowatt.transforms import cpu, hadamard, ops, reference

pytestmark = pytest.mark.skipif(cpu.library() is None, reason=f"no kernels: {cpu.reason()}")

KINDS = ["wht", "dct2", "dct3", "dst2", "dst3", "hartley"]
NORMS = ["ortho", "none", "inverse"]
WHT_SIZES = [1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 40, 56, 64, 80, 112, 128, 224, 256]
OTHER_SIZES = [1, 2, 3, 5, 7, 8, 14, 15, 16, 17, 28, 30, 56, 64, 100, 112]
LIMITS = {torch.float32: 1e-6, torch.float64: 1e-13}


def random(shape, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def kernel(x, kind, dims, norm="ortho", transpose=False):
    """The kernels' result; fails where they would fall back."""
    calls, dense = ops._cpu_steps(x, kind, dims, norm, transpose)
    assert calls is not None
    assert dense
    return ops.compute(x, kind, dims, norm, transpose)


def exact(x, kind, dims, norm="ortho", transpose=False):
    return reference.transform(x.double(), kind, dims, norm, transpose)


def relative(actual, expected):
    return float((actual.double() - expected).norm() / expected.norm())


def sizes_of(kind):
    return WHT_SIZES if kind == "wht" else OTHER_SIZES


LAYOUTS = {
    "planes": lambda n: ((5, n, n), (-2, -1)),
    "many planes": lambda n: ((19, n, n), (-2, -1)),
    "wide": lambda n: ((2, n, 28), (-2, -1)),
    "rows": lambda n: ((37, n), (-1,)),
    "columns": lambda n: ((3, n, 33), (-2,)),
    "tiles": lambda n: ((2, n, 12, 19), (-3, -2)),
}


@pytest.mark.parametrize("dtype", LIMITS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_values(kind, layout, dtype):
    for n in sizes_of(kind):
        shape, dims = LAYOUTS[layout](n)
        x = random(shape, dtype, seed=n)
        assert relative(kernel(x, kind, dims), exact(x, kind, dims)) <= LIMITS[dtype], n


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_norms_and_transposes(kind, norm, transpose):
    for n in (8, 12, 28) if kind == "wht" else (7, 8, 14, 28):
        x = random((3, n, n), torch.float64, seed=n)
        request = (kind, (-2, -1), norm, transpose)
        assert relative(kernel(x, *request), exact(x, *request)) <= 1e-13


def ulps(actual, expected, dtype):
    """Distance in units of the last place at max(|exact|, 2⁻⁸ · rms of the plane)."""
    rms = expected.pow(2).mean((-2, -1), keepdim=True).sqrt()
    at = torch.maximum(expected.abs(), rms * 2**-8)
    digits = {torch.bfloat16: 7, torch.float16: 10}[dtype]
    unit = torch.exp2(torch.floor(torch.log2(at)) - digits)
    return (actual.double() - expected).abs() / unit


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_16_bit_results_are_the_rounded_exact_ones(kind, dtype):
    for n in (8, 28, 56, 64, 112):
        for channels_last in (False, True):
            x = random((2, 16, n, n), dtype, seed=n)
            if channels_last:
                x = x.contiguous(memory_format=torch.channels_last)
            distance = ulps(kernel(x, kind, (-2, -1)), exact(x, kind, (-2, -1)), dtype)
            assert float((distance <= 1).double().mean()) >= 0.999
            assert float(distance.max()) <= 2


@pytest.mark.parametrize("kind", KINDS)
def test_any_number_of_threads_gives_equal_bits(kind):
    before = torch.get_num_threads()
    try:
        for shape, dims in (((64, 28, 28), (-2, -1)), ((9, 64, 128), (-2,)), ((999, 56), (-1,))):
            x = random(shape)
            results = []
            for threads in (1, 2, 3, 4):
                torch.set_num_threads(threads)
                results.append(kernel(x, kind, dims))
            assert all(torch.equal(result, results[0]) for result in results)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_every_instruction_set_of_this_processor(isa):
    check_instruction_set(isa, {**LIMITS, torch.bfloat16: 4e-3, torch.float16: 5e-4})


def check_instruction_set(isa, limits):
    library = cpu.library()
    try:
        if library.orthowatt_select(isa.encode()).decode() != isa:
            pytest.skip(f"this processor has no {isa}")
        for kind in KINDS:
            for n in (7, 28, 64) if kind != "wht" else (12, 20, 28, 64):
                for dtype, limit in limits.items():
                    x = random((3, n, n), dtype, seed=n)
                    assert relative(kernel(x, kind, (-2, -1)), exact(x, kind, (-2, -1))) <= limit
    finally:
        library.orthowatt_select(None)


@st.composite
def requests(draw):
    kind = draw(st.sampled_from(KINDS))
    dtype = draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16, torch.float16]))
    ndim = draw(st.integers(1, 4))
    axes = draw(st.permutations(range(ndim)))
    dims = tuple(axis - ndim for axis in axes[: draw(st.integers(1, min(ndim, 3)))])
    usual = st.sampled_from(
        [1, 2, 4, 8, 12, 16, 20, 28] if kind == "wht" else [1, 2, 3, 7, 8, 14, 19]
    )
    shape = [
        draw(usual) if axis - ndim in dims else draw(st.sampled_from([0, 1, 2, 3, 16, 17, 35]))
        for axis in range(ndim)
    ]
    order = draw(st.permutations(range(ndim)))  # the layout in memory
    step = draw(st.sampled_from([1, 1, 2]))
    return kind, dtype, shape, dims, order, step, draw(st.booleans())


@settings(max_examples=300, deadline=None)
@given(requests())
def test_any_shape_stride_and_dims(request_):
    kind, dtype, shape, dims, order, step, in_place = request_
    stored = [shape[axis] for axis in order]
    stored[-1] *= step
    x = random(stored, dtype)[..., ::step].permute(
        [order.index(axis) for axis in range(len(shape))]
    )
    assert list(x.shape) == list(shape)
    expected = exact(x, kind, dims)
    before = x.clone()
    y = ops.compute(x, kind, dims, "ortho", False)
    assert torch.equal(x, before)
    assert y.stride() == torch.empty_like(x).stride()
    out = x if in_place else torch.full_like(x, float("nan"))
    assert ops.compute(x, kind, dims, "ortho", False, out) is out
    assert torch.equal(out, y) or step == 2
    limit = {torch.bfloat16: 1e-2, torch.float16: 2e-3}.get(dtype, LIMITS.get(dtype))
    assert x.numel() == 0 or relative(y, expected) <= limit
    assert x.numel() == 0 or relative(out, expected) <= limit


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_and_infinity_spoil_their_own_plane_only(kind, value):
    for shape, dims, spoilt in (
        ((20, 28, 28), (-2, -1), (7,)),
        ((3, 28, 40), (-2,), (1, slice(None), 7)),
        ((40, 28), (-1,), (7,)),
    ):
        x = random(shape)
        x[spoilt][..., 0] = value
        y = kernel(x, kind, dims)
        clean = torch.ones(shape, dtype=torch.bool)
        clean[spoilt] = False
        assert torch.isfinite(y[clean]).all()
        assert not torch.isfinite(y[spoilt]).all()


def test_half_precision_edges_round_as_torch_does():
    """A transform of size 1 only reads and writes: every 16-bit pattern must come back."""
    bits = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    for dtype in (torch.bfloat16, torch.float16):
        x = bits.view(dtype).reshape(-1, 1)
        for shape in ((-1, 1), (4, 1, -1)):
            y = kernel(x.reshape(shape), "wht", (-1,) if shape == (-1, 1) else (-2,)).reshape(-1, 1)
            assert torch.equal(torch.nan_to_num(y, 7.0), torch.nan_to_num(x, 7.0))
            assert torch.equal(y.isnan(), x.isnan())


@pytest.mark.parametrize("n", [12, 20, 24, 28, 40, 56, 64])
@pytest.mark.parametrize("dims", [(-2, -1), (-2,), (-1,)])
def test_derivatives_at_every_special_order(n, dims):
    x = random((2, n, n) if len(dims) == 1 else (n, n), torch.float64, seed=n).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: ow.wht(v, dims), (x,), fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda v: ow.wht(v, dims), (x,), fast_mode=True)


def test_a_forked_process_has_its_own_threads():
    code = (
        "import os, torch, orthowatt as ow\n"
        "x = torch.randn(64, 64, 64)\n"
        "y = ow.wht(x)\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    os._exit(0 if torch.equal(ow.wht(x), y) else 1)\n"
        "print(os.waitpid(pid, 0)[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "0"


def test_threads_of_python_may_call_at_once():
    from concurrent.futures import ThreadPoolExecutor

    x = random((64, 56, 56))
    expected = ow.wht(x)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: ow.wht(x), range(32)))
    assert all(torch.equal(result, expected) for result in results)


def test_what_no_kernel_covers_falls_back():
    for x, kind, dims in (
        (random((3, 36, 36)), "wht", (-2, -1)),
        (random((3, 8)), "dct1", (-1,)),
        (random((4, 8, 3, 8), torch.bfloat16), "wht", (-3, -1)),
        (random((4, 8, 3, 8)), "hartley", (-3, -1)),
        (random((3, 1)), "dct2", (-1,)),
    ):
        norm = "none" if kind == "dct2" else "ortho"
        assert ops._cpu_steps(x, kind, dims, norm, False)[0] is None
        y = ops.compute(x, kind, dims, norm, False)
        limit = 1e-2 if x.dtype == torch.bfloat16 else 1e-6
        assert relative(y, exact(x, kind, dims, norm)) <= limit


def test_without_the_library_everything_runs_on_torch():
    code = (
        "import orthowatt.transforms.cpu as cpu\n"
        "cpu._NAMES = ('no-such-file',)\n"
        "import torch, orthowatt as ow\n"
        "x = torch.randn(3, 28, 28)\n"
        "print(ow.backend_info(x).path, bool(torch.allclose(ow.wht(ow.wht(x)), x, atol=1e-5)))\n"
        "print(ow.backend_info(x).reason)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    first, second = done.stdout.splitlines()
    assert first == "torch True"
    assert "install a C++ compiler and CMake" in second


def test_sizes_to_1024():
    for n in (512, 1024, 28 * 32):
        x = random((3, n), seed=n)
        for kind in KINDS:
            assert relative(kernel(x, kind, (-1,)), exact(x, kind, (-1,))) <= 1e-6
    assert hadamard.factors(28 * 32)[1] == 28


SANITIZED = """
import sys
sys.path.insert(0, {tests!r})
import orthowatt.transforms.cpu as cpu
from pathlib import Path
cpu._load = lambda: cpu._open(Path({library!r}))
import test_cpu, torch
for kind in test_cpu.KINDS:
    for layout in test_cpu.LAYOUTS:
        for dtype in test_cpu.LIMITS:
            test_cpu.test_values(kind, layout, dtype)
    for dtype in (test_cpu.torch.bfloat16, test_cpu.torch.float16):
        test_cpu.test_16_bit_results_are_the_rounded_exact_ones(kind, dtype)
for isa in ("avx512", "avx2", "baseline"):
    try:
        test_cpu.check_instruction_set(isa, {{torch.float32: 1e-6, torch.bfloat16: 4e-3}})
    except BaseException as error:
        if type(error).__name__ != "Skipped":
            raise
test_cpu.test_any_shape_stride_and_dims()
test_cpu.test_threads_of_python_may_call_at_once()
print("SANITIZED")
"""


@pytest.mark.sanitize
@pytest.mark.timeout(1200)
def test_address_and_undefined_behaviour_sanitizers(tmp_path):
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    build = str(tmp_path / "build")
    best = cpu.library().orthowatt_select(None).decode()
    configure = ["cmake", "-S", root, "-B", build, f"-DORTHOWATT_SANITIZE={best}"]
    subprocess.run([*configure, "-DCMAKE_BUILD_TYPE=Release"], check=True, capture_output=True)
    subprocess.run(["cmake", "--build", build, "-j2"], check=True, capture_output=True)
    library = os.path.join(build, "liborthowatt_kernels.so")
    preload = subprocess.run(
        ["g++", "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    code = SANITIZED.format(tests=os.path.dirname(os.path.abspath(__file__)), library=library)
    environment = {
        **os.environ,
        "LD_PRELOAD": preload,
        # Python and torch keep memory to the end; only our own accesses are under test.
        "ASAN_OPTIONS": "detect_leaks=0",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=1000
    )
    assert "SANITIZED" in done.stdout, done.stderr[-3000:]
