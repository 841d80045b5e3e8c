"""The public transforms against scipy and dense fp64 matrices; derivatives; compile; bad input."""

import numpy as np
import pytest
import scipy.fft
import torch

import orthowatt as ow
from orthowatt.errors import InputError, InputTypeError
from orthowatt.transforms import cpu, hadamard

SIZES = [7, 8, 12, 14, 20, 28, 36, 44, 52, 56, 100]
ORDERS = [n for n in SIZES if hadamard.is_order(n)]
TRIGONOMETRIC = [(family, kind) for family in ("dct", "dst") for kind in (1, 2, 3, 4)]


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(dtype)


def relative(actual, expected):
    expected = torch.as_tensor(expected)
    return float(torch.linalg.norm(actual.double() - expected) / torch.linalg.norm(expected))


def cas_tensor(shape):
    """cas(2π Σ k_i n_i / N_i) from the definition; shape (k_1 … k_d, n_1 … n_d)."""
    angle = np.zeros(shape + shape)
    for i, n in enumerate(shape):
        one = np.outer(np.arange(n), np.arange(n)) * (2 * np.pi / n)
        axes = [1] * (2 * len(shape))
        axes[i] = axes[i + len(shape)] = n
        angle = angle + one.reshape(axes)
    return np.cos(angle) + np.sin(angle)


@pytest.mark.parametrize("norm", ["ortho", None])
@pytest.mark.parametrize("n", [*SIZES, 2, 5, 513, 600])
@pytest.mark.parametrize(("family", "kind"), TRIGONOMETRIC)
def test_trigonometric_values_are_scipys(family, kind, n, norm):
    x = random(2, 3, n, seed=n)
    for name in (family, "i" + family):
        expected = getattr(scipy.fft, name + "n")(x.numpy(), type=kind, norm=norm, axes=(-2, -1))
        actual = getattr(ow, name)(x, type=kind, norm=norm)
        assert relative(actual, expected) <= 1e-13


@pytest.mark.parametrize("n", [*ORDERS, 1, 2, 64, 112, 224, 256])
def test_wht_is_the_product_with_the_matrix(n):
    x = random(2, n, n, seed=n)
    h = ow.hadamard(n)
    assert relative(ow.wht(x, norm=None), h @ x @ h) <= 1e-13
    assert relative(ow.wht(x), h @ x @ h / n) <= 1e-13
    assert relative(ow.iwht(ow.wht(x, norm=None), norm=None), x) <= 1e-13


@pytest.mark.parametrize("n", [560, 1024, 4096, 28 * 256])
def test_long_wht_factor_by_factor(n):
    x = random(2, n)
    h = torch.tensor(hadamard.matrix(n).astype(np.float32))
    expected = (x.float() @ h).double() if n > 2048 else x @ h.double()
    assert relative(ow.wht(x, dims=-1, norm=None), expected) <= (1e-5 if n > 2048 else 1e-13)
    assert relative(ow.wht(ow.wht(x, dims=-1), dims=-1), x) <= 1e-13


@pytest.mark.parametrize("shape", [(7, 14), (8, 8), (20, 28), (5, 6, 7)])
def test_hartley_is_the_joint_cas_transform(shape):
    x = random(*shape)
    dims = tuple(range(-len(shape), 0))
    expected = np.tensordot(cas_tensor(shape), x.numpy(), len(shape))
    assert relative(ow.hartley(x, dims=dims, norm=None), expected) <= 1e-13
    assert relative(ow.hartley(ow.hartley(x, dims=dims), dims=dims), x) <= 1e-13


@pytest.mark.parametrize("shape", [(7, 14), (8, 8), (1, 5)])
@pytest.mark.parametrize("norm", ["ortho", None])
def test_fft_magnitude_is_numpys(shape, norm):
    x = random(3, *shape)
    expected = np.abs(np.fft.fftn(x.numpy(), axes=(-2, -1), norm=norm))
    assert relative(ow.fft_magnitude(x, norm=norm), expected) <= 1e-13
    assert relative(ow.fft_magnitude(x, norm=norm, log=True), np.log1p(expected)) <= 1e-13


def test_fft_magnitude_at_zero_and_at_extremes():
    x = torch.zeros(4, 4, dtype=torch.float64, requires_grad=True)
    y = ow.fft_magnitude(x)
    assert (y == 0).all()
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert (gradient == 0).all()
    large = random(8, 8) * 1e200
    expected = np.abs(np.fft.fft2(large.numpy(), norm="ortho")) * 1e-200
    assert relative(ow.fft_magnitude(large) * 1e-200, expected) <= 1e-13


CALLS = {
    "wht": lambda x: ow.wht(x),
    "wht-none": lambda x: ow.wht(x, norm=None),
    "iwht-none": lambda x: ow.iwht(x, norm=None),
    "hartley": lambda x: ow.hartley(x),
    "hartley-none": lambda x: ow.hartley(x, norm=None),
    **{
        f"{family}{kind}-{norm}": lambda x, f=family, k=kind, n=norm: getattr(ow, f)(x, type=k, norm=n)
        for family in ("dct", "dst", "idct", "idst")
        for kind in (1, 2, 3, 4)
        for norm in ("ortho", None)
    },
}  # fmt: skip


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", [name for name in CALLS if "none" not in name.lower()])
def test_orthonormal_transforms_keep_the_norm(name, n):
    if "wht" in name and not hadamard.is_order(n):
        pytest.skip(f"no Hadamard matrix of order {n}")
    x = random(2, n, n, seed=n)
    y = CALLS[name](x)
    assert abs(float(torch.linalg.norm(y) / torch.linalg.norm(x)) - 1) <= 1e-13


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(("family", "kind"), TRIGONOMETRIC)
@pytest.mark.parametrize("norm", ["ortho", None])
def test_inverse_undoes_forward(family, kind, n, norm):
    x = random(2, n, n, seed=n)
    y = getattr(ow, family)(x, type=kind, norm=norm)
    assert relative(getattr(ow, "i" + family)(y, type=kind, norm=norm), x) <= 1e-13


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize(
    "name",
    [
        "wht",
        "wht-none",
        "hartley",
        "dct2-None",
        "dct3-ortho",
        "dst2-None",
        "idst3-None",
        "idct1-None",
        "dst4-ortho",
    ],
)
def test_first_and_second_derivatives(name, n):
    if "wht" in name and not hadamard.is_order(n):
        pytest.skip(f"no Hadamard matrix of order {n}")
    x = random(n, seed=n).requires_grad_()
    call = CALLS[name]

    def two_rows(v):
        return call(torch.stack([v, 2 * v]))

    assert torch.autograd.gradcheck(two_rows, (x,), fast_mode=n > 28)
    assert torch.autograd.gradgradcheck(two_rows, (x,), fast_mode=True)


@pytest.mark.parametrize("n", SIZES)
def test_magnitude_derivatives(n):
    x = random(2, n, seed=n).requires_grad_()
    assert torch.autograd.gradcheck(ow.fft_magnitude, (x,), fast_mode=n > 14)
    assert torch.autograd.gradgradcheck(ow.fft_magnitude, (x,), fast_mode=True)


@pytest.mark.parametrize("pad", ["keep", "crop"])
@pytest.mark.parametrize("n", [7, 10, 14])
def test_padded_derivatives(n, pad):
    x = random(2, n, n, seed=n).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: ow.wht(v, pad=pad), (x,), fast_mode=True)


@pytest.mark.parametrize("n", [7, 10, 14, 30])
def test_pads(n):
    x = random(2, n, n, seed=n)
    larger = hadamard.padded_size(n)
    kept = ow.wht(x, pad="keep")
    h = ow.hadamard(larger)[:, :n]
    assert kept.shape == (2, larger, larger)
    assert relative(kept, h @ x @ h.T / larger) <= 1e-13
    assert abs(float(kept.norm() / x.norm()) - 1) <= 1e-13
    assert relative(ow.iwht(kept, size=n), x) <= 1e-13
    cropped = ow.wht(x, pad="crop")
    assert torch.equal(cropped, kept[:, :n, :n])


def test_pow2_crop_is_the_papers_reading():
    x = random(1, 56, 56)
    padded = torch.nn.functional.pad(x, (0, 8, 0, 8))
    h = ow.hadamard(64)
    expected = (h @ padded @ h / 64)[:, :56, :56]
    assert relative(ow.wht(x, order="pow2", pad="crop"), expected) <= 1e-13
    with pytest.raises(InputError, match="nearest powers of two are 32 and 64"):
        ow.wht(x, order="pow2")


LAYOUTS = {
    "contiguous": lambda x: x,
    "channels_last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "transposed": lambda x: x.transpose(-1, -2),
    "strided": lambda x: x.repeat_interleave(2, -1)[..., ::2],
    "expanded": lambda x: x[:1].expand(3, -1, -1, -1),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dims", [(-2, -1), (1,), (-1, 1), (1, 2, 3), 0, (3, 2)])
def test_layouts_and_dims(layout, dims):
    x = LAYOUTS[layout](random(4, 8, 12, 12))
    wanted = (dims,) if isinstance(dims, int) else dims
    expected = scipy.fft.dctn(x.numpy(), axes=wanted, norm="ortho")
    y = ow.dct(x, dims)
    assert relative(y, expected) <= 1e-13
    assert y.stride() == torch.empty_like(x).stride()
    if x.shape[0] == 4:
        expected = x
        for dim in wanted:
            n = x.shape[dim]
            expected = (expected.movedim(dim, -1) @ ow.hadamard(n) / n**0.5).movedim(-1, dim)
        assert relative(ow.wht(x, dims), expected) <= 1e-13


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["wht", "dct2-ortho", "hartley"])
def test_16_bit_inputs_are_rounded_once(dtype, name):
    x = random(4, 56, 56, dtype=dtype)
    assert torch.equal(CALLS[name](x), CALLS[name](x.float()).to(dtype))


@pytest.mark.parametrize("name", ["wht", "dct2-ortho", "dst3-ortho", "hartley"])
def test_fp32_error(name):
    x = random(4, 56, 56, dtype=torch.float32)
    assert relative(CALLS[name](x), CALLS[name](x.double())) <= 1e-6


def test_autocast_and_lowered_matmul_precision_change_nothing():
    x = random(2, 28, 28, dtype=torch.float32)
    expected = ow.wht(x)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(ow.wht(x), expected)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


# opcheck itself reads .grad of copies that it made non-leaf; nothing of ours is meant.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")
@pytest.mark.parametrize("name", ["wht", "dct2-ortho", "idst3-None", "hartley"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "transposed"])
def test_opcheck(name, layout):
    x = LAYOUTS[layout](random(2, 3, 12, 12)).detach().requires_grad_()
    kind = name.split("-")[0].lstrip("i")
    torch.library.opcheck(
        torch.ops.orthowatt.transform.default, (x, kind, [-2, -1], "ortho", False)
    )


def every_transform(x):
    y = ow.wht(x) + ow.dct(x) + ow.idst(x, type=4) + ow.hartley(x, dims=(1, -1))
    return y + ow.fft_magnitude(x) + ow.wht(x[..., :7, :7], pad="crop").sum()


def test_compile_whole_graph():
    x = random(2, 4, 28, 28, dtype=torch.float32)
    compiled = torch.compile(every_transform, fullgraph=True)
    assert relative(compiled(x), every_transform(x).double()) <= 1e-6
    wanted, actual = x.clone().requires_grad_(), x.clone().requires_grad_()
    every_transform(wanted).pow(2).sum().backward()
    compiled(actual).pow(2).sum().backward()
    assert relative(actual.grad, wanted.grad.double()) <= 1e-5


def test_export_shows_one_node_a_call():
    class Layer(torch.nn.Module):
        def forward(self, x):
            return ow.wht(x)

    program = torch.export.export(Layer(), (random(2, 3, 28, 28),))
    calls = [n.target for n in program.graph.nodes if n.op == "call_function"]
    assert calls == [torch.ops.orthowatt.transform.default]


def test_vmap():
    x = random(5, 3, 12, 12)
    assert relative(torch.vmap(ow.wht, in_dims=1, out_dims=1)(x), ow.wht(x)) <= 1e-14


def test_out():
    x = random(2, 7, 7)
    out = torch.empty(2, 8, 8, dtype=torch.float64)
    assert ow.wht(x, pad="keep", out=out) is out
    assert torch.equal(out, ow.wht(x, pad="keep"))
    expected = ow.dct(x)
    assert ow.dct(x, out=x) is x
    assert torch.equal(x, expected)
    with pytest.raises(InputError, match=r"out is \(2, 8, 8\).*result is \(2, 7, 7\)"):
        ow.hartley(x, out=out)
    with pytest.raises(InputError, match="cannot take part in a gradient"):
        ow.hartley(x.requires_grad_(), out=torch.empty(2, 7, 7, dtype=torch.float64))


def test_a_view_with_a_lazy_sign_is_resolved():
    x = torch.randn(2, 28, 28, generator=torch.Generator().manual_seed(0))
    minus = torch._neg_view(x)
    assert torch.equal(ow.wht(minus), -ow.wht(x))
    result = torch.zeros(2, 28, 28)
    ow.wht(x, out=torch._neg_view(result))
    assert torch.equal(result, -ow.wht(x))


@pytest.mark.parametrize("call", [ow.wht, ow.dct, ow.hartley, ow.fft_magnitude])
def test_empty_batches(call):
    assert call(torch.empty(0, 3, 8, 8)).shape == (0, 3, 8, 8)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ow.wht(torch.arange(8)), InputTypeError, r"float32.*got torch.int64; convert it with x.float"),
        (lambda: ow.dct(torch.zeros(4, dtype=torch.complex64), -1), InputTypeError, "x.real and x.imag"),
        (lambda: ow.dct([1.0]), InputTypeError, "torch.as_tensor"),
        (lambda: ow.wht(torch.zeros(8, 8), (0, -2)), InputError, "names a dimension twice"),
        (lambda: ow.wht(torch.zeros(8, 8), 2), InputError, r"dim 2 is out of range.*-2 … 1"),
        (lambda: ow.wht(torch.zeros(8, 8), ()), InputError, "dims is empty"),
        (lambda: ow.wht(torch.zeros(8, 8), (0.5,)), InputTypeError, "whole numbers"),
        (lambda: ow.dct(torch.zeros(0, 8)), InputError, "size 0"),
        (lambda: ow.wht(torch.zeros(14, 14)), InputError, "size 14.*12 and 16.*pad='keep'.*pad='crop'"),
        (lambda: ow.iwht(torch.zeros(14, 14)), InputError, "size 14"),
        (lambda: ow.wht(torch.zeros(8, 8), norm="orthonormal"), InputError, "must be one of ortho, None"),
        (lambda: ow.wht(torch.zeros(8, 8), order="pow3"), InputError, "did you mean 'pow2'"),
        (lambda: ow.wht(torch.zeros(8, 8), pad="zero"), InputError, "None, keep, crop"),
        (lambda: ow.dct(torch.zeros(8, 8), type=5), InputError, "must be one of 1, 2, 3, 4"),
        (lambda: ow.dct(torch.zeros(8, 8), type=2.0), InputError, "type is 2.0"),
        (lambda: ow.dct(torch.zeros(8, 8), type=True), InputError, "type is True"),
        (lambda: ow.dct(torch.zeros(8, 8), None), InputTypeError, "dims is None"),
        (lambda: ow.dct(torch.zeros(8, 8), 1.0), InputTypeError, "dims is 1.0"),
        (lambda: ow.dct(torch.zeros(8, 8), norm=["ortho"]), InputError, "norm is "),
        (lambda: ow.dct(torch.tensor(1.0), 0), InputError, "no dimensions"),
        (lambda: ow.iwht(torch.zeros(8, 8), size=True), InputError, "size is True"),
        (lambda: ow.iwht(torch.zeros(8, 8), size=4.0), InputError, "size is 4.0"),
        (lambda: ow.hadamard_orders(32.0), InputError, "limit is 32.0"),
        (lambda: ow.hadamard(4, dtype=torch.bool), InputError, "must hold -1"),
        (lambda: ow.dct(torch.zeros(1, 8), type=1), InputError, "at least 2"),
        (lambda: ow.iwht(torch.zeros(8, 8), size=9), InputError, "size is 9"),
        (lambda: ow.iwht(torch.zeros(8, 8), size=(8, 8, 8)), InputError, r"size is \(8, 8, 8\)"),
    ],
)  # fmt: skip
def test_bad_input_is_answered(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_backend_info_says_why():
    info = ow.backend_info(torch.zeros(8, 8))
    assert info.path == ("cpu" if cpu.library() else "torch")
    assert cpu.reason() in info.reason
    assert ow.backend_info(torch.zeros(4, 8), "dct1", dims=-1).path == "torch"
    assert ow.backend_info(torch.zeros(7, 7)).path == info.path  # with a pad: 8 × 8
    with pytest.raises(InputError, match="did you mean 'dct2'"):
        ow.backend_info(torch.zeros(8, 8), "dct22")


def test_shapes_without_data():
    assert ow.wht(torch.empty(2, 14, 14, device="meta"), pad="keep").shape == (2, 16, 16)
    assert ow.dct(torch.empty(2, 14, 14, device="meta")).is_meta


# torch itself still scripts its own decompositions, and warns of that
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("call", [ow.wht, ow.dct, ow.hartley, lambda x: ow.idst(x) ** 2])
def test_forward_mode(call):
    x, direction = random(2, 8, 8), random(2, 8, 8, seed=1)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        tangent = torch.autograd.forward_ad.unpack_dual(call(dual)).tangent
    step = 1e-6
    expected = (call(x + step * direction) - call(x - step * direction)) / (2 * step)
    assert relative(tangent, expected) <= 1e-8
    assert relative(torch.func.jvp(call, (x,), (direction,))[1], expected) <= 1e-8
