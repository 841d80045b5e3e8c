"""The bare layers against scipy and torch.fft, on every axis; what they say and what they refuse."""

import numpy as np
import pytest
import scipy.fft
import scipy.linalg
import torch

import orthowatt as ow
from orthowatt.errors import InputError, InputTypeError

DIMS = [(-2, -1), (2, 3), (-1, -3), (3, 1), (-3,), (1,), (-3, -2, -1)]


def maps(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=dtype, generator=generator)


@pytest.mark.parametrize("dims", DIMS)
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_cosine_and_sine_layers_have_scipys_values(dims, kind):
    x = maps(2, 5, 7, 10)
    cosine = ow.nn.DCT2d(dims, type=kind)(x)
    sine = ow.nn.DST2d(dims, type=kind, norm=None)(x)
    assert cosine.numpy() == pytest.approx(
        scipy.fft.dctn(x.numpy(), type=kind, axes=dims, norm="ortho"), abs=1e-12
    )
    assert sine.numpy() == pytest.approx(scipy.fft.dstn(x.numpy(), type=kind, axes=dims), abs=1e-10)


def test_wht_layer_multiplies_every_axis_by_the_hadamard_matrix():
    x = maps(2, 4, 8, 16)
    h8, h16, h4 = (scipy.linalg.hadamard(n) / n**0.5 for n in (8, 16, 4))
    assert ow.nn.WHT2d()(x).numpy() == pytest.approx(h8 @ x.numpy() @ h16, abs=1e-12)
    both = np.einsum("ij,njhw,wv->nihv", h4, x.numpy(), h16)
    assert ow.nn.WHT2d((-1, -3))(x).numpy() == pytest.approx(both, abs=1e-12)
    only = np.einsum("ij,njhw->nihw", h4, x.numpy())
    assert ow.nn.WHT1d()(x).numpy() == pytest.approx(only, abs=1e-12)
    assert torch.equal(ow.nn.WHT1d(-1)(x), ow.nn.WHT2d((-1,))(x))


@pytest.mark.parametrize("dims", DIMS)
def test_fourier_layers_have_torch_ffts_values(dims):
    x = maps(2, 5, 7, 10)
    spectrum = torch.fft.fftn(x, dim=dims, norm="ortho")
    torch.testing.assert_close(ow.nn.Hartley2d(dims)(x), spectrum.real - spectrum.imag)
    torch.testing.assert_close(ow.nn.FFTMagnitude2d(dims)(x), spectrum.abs())
    logarithm = ow.nn.FFTMagnitude2d(dims, log=True, norm=None)(x)
    unscaled = torch.fft.fftn(x, dim=dims).abs()
    torch.testing.assert_close(logarithm, unscaled.log1p())


@pytest.mark.parametrize("order", ["exact", "pow2"])
def test_pads_of_the_wht_layer(order):
    x = maps(1, 2, 14, 56)
    kept = ow.nn.WHT2d(order=order, pad="keep")
    y = kept(x)
    assert y.shape == (1, 2, 16, 56 if order == "exact" else 64)
    torch.testing.assert_close(y.norm(), x.norm())
    torch.testing.assert_close(kept.inverse(y, (2, 14, 56)), x)
    assert kept.spectrum_shape((2, 14, 56)) == y.shape[1:]
    cropped = ow.nn.WHT2d(order=order, pad="crop")(x)
    assert torch.equal(cropped, y[..., :14, :56])


LAYERS = [
    ow.nn.WHT2d(pad="crop"),
    ow.nn.WHT1d(pad="crop"),
    ow.nn.DCT2d(),
    ow.nn.DCT1d(),
    ow.nn.DST2d(),
    ow.nn.Hartley2d(),
    ow.nn.FFTMagnitude2d(),
    ow.nn.FFTRealImag2d(),
    ow.nn.FFTRealImag2d(packed=False),
    ow.nn.Identity2d(),
    ow.nn.RandomOrthogonal2d(),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_no_bare_layer_has_anything_to_save(layer):
    assert not layer.state_dict()
    assert not list(layer.buffers())


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bits_are_computed_in_fp32_and_rounded_once(layer, dtype):
    x = maps(2, 4, 7, 14, dtype=torch.float32).to(dtype)
    assert layer(x).dtype == dtype
    assert torch.equal(layer(x), layer(x.float()).to(dtype))


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_maps_without_a_batch_and_of_any_strides(layer):
    x = maps(2, 4, 7, 14)
    want = layer(x)
    torch.testing.assert_close(layer(x[1]), want[1])
    torch.testing.assert_close(layer(x.to(memory_format=torch.channels_last)), want)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_gradients_of_both_orders(layer):
    x = (maps(1, 2, 3, 4) + 2).requires_grad_()
    assert torch.autograd.gradcheck(layer, (x,))
    assert torch.autograd.gradgradcheck(layer, (x,), fast_mode=True)


def test_repr_says_axes_order_norm_pad_and_orthogonality():
    text = repr(ow.nn.WHT2d((-1, -3), order="pow2", pad="keep"))
    for part in ("[W, C]", "order='pow2'", "norm='ortho'", "pad='keep'", "orthogonal (pads"):
        assert part in text
    assert "not orthogonal where a size has no order" in repr(ow.nn.WHT2d(pad="crop"))
    assert "not orthogonal (unscaled)" in repr(ow.nn.DCT2d(norm=None))
    assert "not orthogonal (phase discarded)" in repr(ow.nn.FFTMagnitude2d())
    assert "seed=5, orthogonal" in repr(ow.nn.RandomOrthogonal2d(seed=5))


@pytest.mark.parametrize(
    ("shape", "orthogonal", "words"),
    [
        ((64, 56, 56), True, "orthogonal at 56×56"),
        ((64, 14, 14), False, "not orthogonal at 14×14 (cropped from 16×16)"),
        ((64, 28, 7), False, "not orthogonal at 28×7 (cropped from 28×8)"),
    ],
)
def test_orthogonality_at_a_size(shape, orthogonal, words):
    layer = ow.nn.WHT2d(pad="crop")
    layer.map_shape = shape
    assert layer.orthogonality(shape)[0] is orthogonal
    assert words in repr(layer)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ow.nn.WHT2d((-2, -2)), InputError, "each once"),
        (lambda: ow.nn.WHT2d((0, -1)), InputError, "one to three of"),
        (lambda: ow.nn.WHT2d(()), InputError, "each once"),
        (lambda: ow.nn.DCT2d((1, -3)), InputError, "each once"),
        (lambda: ow.nn.DCT2d((-1.0,)), InputTypeError, "whole numbers"),
        (lambda: ow.nn.WHT2d(pad="zero"), InputError, "pad is 'zero'"),
        (lambda: ow.nn.WHT2d(order="2"), InputError, "order is '2'"),
        (lambda: ow.nn.DST2d(norm="orto"), InputError, "did you mean 'ortho'"),
        (lambda: ow.nn.DST2d(type=5), InputError, "type is 5"),
        (lambda: ow.nn.RandomOrthogonal2d(seed=-1), InputError, "seed is -1"),
        (lambda: ow.nn.RandomOrthogonal2d(seed=0.5), InputTypeError, "seed is 0.5"),
    ],
)
def test_bad_options_say_what_is_allowed(make, error, words):
    with pytest.raises(error, match=words.replace("(", r"\(")):
        make()


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_bad_maps_are_refused_with_one_sentence(layer):
    with pytest.raises(InputTypeError, match="got tuple"):
        layer((maps(1, 2, 4, 4),))
    with pytest.raises(InputError, match=r"got \(4, 4\)"):
        layer(maps(4, 4))


def test_a_size_without_an_order_names_the_way_out():
    with pytest.raises(InputError, match=r"size 14 .* 12 and 16; pad='keep'"):
        ow.nn.WHT2d()(maps(1, 1, 14, 16))
