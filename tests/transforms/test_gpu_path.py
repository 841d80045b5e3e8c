"""Which path a call on a GPU takes and why; nothing here needs one."""

import warnings

import pytest
import torch

from orthowatt.bench import compiler
from orthowatt.transforms import gpu, hadamard
from orthowatt.transforms.gpu import axis, plan, tables

CUDA = torch.device("cuda", 0)


def steps(shape, kind="wht", dims=(-2, -1), dtype=torch.float32, channels_last=False):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    strides = torch.empty(shape, device="meta", memory_format=layout).stride()
    return plan.steps(shape, strides, dtype, kind, dims, "ortho", False)


def kernels(*arguments, **options):
    return [step.kernel for step in steps(*arguments, **options)]


def test_both_axes_go_in_one_kernel_wherever_a_tile_holds_them():
    for n in (12, 14, 16, 20, 28, 56, 64, 112, 128):
        for kind in ("wht", "dct2", "dst3", "hartley"):
            if (kind == "wht" and n == 14) or (kind == "hartley" and n > 64):
                continue
            for dtype in (torch.float32, torch.bfloat16):
                assert kernels((2, 3, n, n), kind, dtype=dtype) == ["planes"], (kind, n)
    for n in (12, 28, 56, 64):
        for dtype in (torch.float32, torch.bfloat16):
            assert kernels((2, 3, n, n), channels_last=True, dtype=dtype) == ["maps"]
    assert kernels((2, 3, 7, 7), "hartley") == ["rows"]  # a small plane is one line
    assert kernels((2, 3, 7, 7), "dct2", channels_last=True) == ["lanes"]


def test_larger_ones_keep_fp32_between_their_passes():
    for shape in ((2, 3, 224, 224), (2, 3, 256, 256)):
        first, second = steps(shape, dtype=torch.bfloat16)
        assert (first.kernel, second.kernel) == ("lanes", "rows")
        assert (first.source, first.target) == (torch.bfloat16, torch.float32)
        assert (second.source, second.target) == (torch.float32, torch.bfloat16)
    assert kernels((2, 64, 112, 112), channels_last=True) == ["lanes", "lanes"]


def test_joint_hartley_beyond_one_tile_sums_mirrored_places_last():
    planes = steps((2, 3, 112, 128), "hartley", dtype=torch.bfloat16)
    assert [step.kernel for step in planes] == ["lanes", "rows", "mirror"]
    maps = steps((2, 8, 56, 56), "hartley", dtype=torch.float16, channels_last=True)
    assert [step.kernel for step in maps] == ["lanes", "lanes", "mirror"]
    large = steps((2, 3, 224, 256), "hartley", dtype=torch.bfloat16)
    assert [step.kernel for step in large] == ["lanes", "lanes", "mirror"]
    for found in (planes, maps, large):
        assert [step.source for step in found[1:]] == [torch.float32] * 2
        assert [step.target for step in found[:2]] == [torch.float32] * 2
        assert found[2].target == found[0].source
        assert len({step.elements for step in found}) == 1
        assert found[2].scale == 0.5
    # Rows 0 to 56 of a plane with their mirror images, 8 a block; and of a map, all 8 channels.
    assert [found[2].blocks for found in (planes, maps)] == [6 * 8, 2 * 29]


def test_what_no_kernel_covers_is_named():
    assert "fp64" in steps((3, 28, 28), dtype=torch.float64)
    assert "dct4 of size 300" in steps((3, 300), "dct4", (-1,))
    assert "hartley of size 129" in steps((3, 129, 16), "hartley")
    assert "hartley of size 258" in steps((3, 258, 16), "hartley")
    assert "next to each other" in steps((28, 3, 28), "hartley", (-3, -1))
    assert plan.steps((4, 4), (8, 2), torch.float32, "wht", (-1,), "ortho", False).endswith("gaps")


def test_offsets_of_one_plane_stay_within_32_bits():
    assert kernels((1, 2**20, 56, 56), channels_last=True) == ["lanes", "lanes"]
    assert kernels((2**22, 1, 56, 56)) == ["planes"]


def test_parts_multiply_to_the_whole_matrix():
    """Sylvester(parts) ⊗ part, and for cosines the fold, are the matrix itself."""
    import numpy as np

    for n, part in ((112, 32), (224, 64), (56, 16), (96, 32)):
        found = axis.axis("wht", n, "none", False, part)
        whole = np.kron(hadamard.matrix(found.parts), found.matrices()[0])
        assert (whole == hadamard.matrix(n)).all()
    for kind in ("dct2", "dct3", "dst2", "dst3", "hartley"):
        for transpose in (False, True):
            found = axis.axis(kind, 112, "ortho", transpose, 64)
            even, odd = found.matrices()
            whole = axis.dense(kind, 112, "ortho", transpose)
            x = np.random.default_rng(0).standard_normal(112)
            if found.sums == axis.FIRST:
                half, mirror = x[:56], x[:55:-1] if found.way_in == axis.MIRRORED else x[56:]
                y = np.empty(112)
                y[0::2], y[1::2] = even @ (half + mirror), odd @ (half - mirror)
            else:
                a, b = even @ x[0::2], odd @ x[1::2]
                y = np.concatenate([a + b, (a - b)[::-1]])
            assert np.allclose(y, whole @ x, atol=1e-13)


def test_pieces_sum_to_the_matrix():
    one = axis.axis("dct2", 56, "ortho", False, 64)
    exact = torch.tensor(one.matrices()[0])
    for pieces, limit in ((1, 2**-8), (2, 2**-16), (3, 2**-24)):
        table = tables.table(one, pieces, False, torch.bfloat16, torch.device("cpu"))
        error = (table.double().sum(1)[0, :56, :56] - exact).abs()
        assert float((error / exact.abs()).max()) <= limit
        assert not table[:, :, 56:].any()


def test_the_first_call_without_kernels_says_so_once_with_the_mend(monkeypatch):
    gpu._unusable.cache_clear()
    gpu._warn.cache_clear()
    monkeypatch.setattr(gpu.torch.version, "hip", None)
    monkeypatch.setattr(gpu, "find_spec", lambda name: None)
    try:
        with pytest.warns(UserWarning, match="plain torch here: Triton is not installed; install"):
            assert not gpu.usable(CUDA)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert not gpu.usable(CUDA)
    finally:
        gpu._unusable.cache_clear()
        gpu._warn.cache_clear()


def test_a_missing_c_compiler_an_old_gpu_and_other_devices_are_named(monkeypatch):
    gpu._unusable.cache_clear()
    monkeypatch.setattr(gpu, "find_spec", lambda name: object())
    monkeypatch.setattr(gpu, "_compiler", lambda: None)
    try:
        assert "C compiler" in gpu.unusable(CUDA)
        gpu._unusable.cache_clear()
        monkeypatch.setattr(gpu, "_compiler", lambda: "/usr/bin/gcc")
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
        assert "capability 7.5" in gpu.unusable(CUDA)
        gpu._unusable.cache_clear()
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
        assert gpu.unusable(CUDA) == ""
        assert "no kernels for mps" in gpu.unusable(torch.device("mps"))
    finally:
        gpu._unusable.cache_clear()


def test_a_kernel_that_does_not_compile_leaves_the_plain_path(monkeypatch):
    def broken(*arguments):
        raise RuntimeError("Triton Error [CUDA]: out of resource")

    monkeypatch.setattr(gpu, "_broken", [])
    monkeypatch.setattr(gpu, "_unusable", lambda device: "")
    monkeypatch.setattr(gpu, "_run", broken)
    gpu._warn.cache_clear()
    x = torch.randn(2, 28, 28, generator=torch.Generator().manual_seed(0))
    with pytest.warns(
        UserWarning, match="cannot be made for this GPU .* CC names a working C compiler"
    ):
        assert gpu.transform(x, "wht", (-2, -1), "ortho", False) is None
    assert gpu.transform(x, "wht", (-2, -1), "ortho", False) is None
    assert gpu.backend(x, "wht", (-2, -1))[0] == "torch"
    gpu._warn.cache_clear()


def test_a_kernel_that_asks_for_too_much_is_left_out_alone(monkeypatch):
    class OutOfResources(Exception):
        """As Triton names it; its text says triton."""

    ran = []

    def run(key, x, out):
        ran.append(x.shape)
        if x.shape[-1] == 56:
            raise OutOfResources("out of resource: shared memory; reduce triton block sizes")
        out.copy_(x)

    monkeypatch.setattr(gpu, "_left_out", set())
    monkeypatch.setattr(gpu, "_unusable", lambda device: "")
    monkeypatch.setattr(gpu, "_run", run)
    gpu._warn.cache_clear()
    large, small = torch.zeros(1, 56, 56), torch.zeros(1, 28, 28)
    with pytest.warns(UserWarning, match="out of resource"):
        assert gpu.transform(large, "wht", (-2, -1), "ortho", False) is None
    assert gpu.transform(large, "wht", (-2, -1), "ortho", False) is None
    assert gpu.transform(small, "wht", (-2, -1), "ortho", False) is not None
    assert ran == [large.shape, small.shape]
    assert gpu.backend(large, "wht", (-2, -1)) == (
        "torch", "its kernel asks for more than this GPU has"
    )  # fmt: skip
    assert gpu.backend(small, "wht", (-2, -1))[0] == "gpu"
    gpu._warn.cache_clear()


@pytest.mark.parametrize("error", [FileNotFoundError("cc"), AssertionError("libcuda.so")])
def test_whatever_fails_within_triton_is_the_compilers(error):
    """Its launcher is built by a C compiler, and may find none."""
    source = "def build(error):\n    raise error\n"
    for package, own in (("triton.runtime.build", True), ("orthowatt.somewhere", False)):
        names = {"__name__": package}
        exec(compile(source, "build.py", "exec"), names)
        with pytest.raises(type(error)) as raised:
            names["build"](error)
        raised.value.__traceback__ = raised.tb
        assert gpu._of_the_compiler(raised.value) == own
        error.__traceback__ = None


def test_a_compiler_that_is_named_has_to_be_there(monkeypatch):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    assert gpu._compiler() is None
    monkeypatch.setenv("CC", "sh")
    assert gpu._compiler().endswith("/sh")


def test_backend_says_how_many_passes(monkeypatch):
    monkeypatch.setattr(gpu, "_unusable", lambda device: "")
    x = torch.empty(2, 3, 56, 56, device="meta")
    assert gpu.backend(x, "wht", (-2, -1)) == ("gpu", "Triton kernels, one pass")
    assert "2 passes" in gpu.backend(torch.empty(1, 224, 224, device="meta"), "wht", (-2, -1))[1]
    assert "dense copy" in gpu.backend(x[..., :28], "dct2", (-1,))[1]
    assert gpu.backend(x.double(), "wht", (-2, -1))[0] == "torch"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("n", "kind", "channels_last"),
    [
        (28, "wht", False),
        (56, "wht", False),
        (28, "wht", True),
        (56, "dct2", False),
        (7, "dct2", True),
    ],
)
def test_kernels_compile_for_hopper_without_spills(n, kind, channels_last, dtype):
    pytest.importorskip("triton", reason="Triton is not installed on this system")
    for step in steps((64, 256, n, n), kind, channels_last=channels_last, dtype=dtype):
        found = compiler.compiled(step)
        assert found.spilled_bytes == 0
        assert found.shared_bytes <= compiler.LARGEST_SHARED
        assert found.programs >= 1
        assert found.matrix_instructions + found.warpgroup_instructions > 0


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_of_mirrored_places_compile_for_hopper_without_spills(dtype):
    pytest.importorskip("triton", reason="Triton is not installed on this system")
    for n, channels_last in ((112, False), (56, True)):
        *_, last = steps((64, 64, n, n), "hartley", dtype=dtype, channels_last=channels_last)
        found = compiler.compiled(last)
        assert (found.kernel, found.spilled_bytes) == ("mirror", 0)
        assert found.shared_bytes <= 4096  # Triton 3.6 turns its order there, 3.9 in registers
        assert found.programs >= 4
