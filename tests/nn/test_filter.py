"""T⁻¹(v ⊙ T x): the identity at v = 1 at every size, and what v does once it is learned."""

import pytest
import torch

import orthowatt as ow
from orthowatt.errors import InputError
from orthowatt.nn import order
from orthowatt.nn.filter import KINDS, TransformFilter2d
from orthowatt.nn.order import coordinates, sequency

DIMS = [(-2, -1), (-1, -3), (-3,), (-3, -1)]


def maps(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=dtype, generator=generator)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [7, 10, 14, 20, 28, 56])
def test_begins_as_the_identity(kind, size):
    for dims in DIMS:
        layer = ow.nn.TransformFilter2d(kind, 3, size, dims=dims)
        x = maps(2, 3, size, size)
        torch.testing.assert_close(layer(x), x, rtol=0, atol=1e-13)
        half = x.bfloat16()  # computed in fp32: at most the last place of 16 bits moves
        torch.testing.assert_close(layer(half), half, rtol=2**-8, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nominal", [14, (7, 20), None])
def test_stays_the_identity_at_other_sizes(kind, nominal):
    for dims in DIMS:
        layer = ow.nn.TransformFilter2d(kind, 3, nominal, dims=dims)
        for size in ((14, 14), (28, 10), (9, 33), (1, 2)):
            x = maps(2, 3, *size)
            torch.testing.assert_close(layer(x), x, rtol=0, atol=1e-13)


def test_one_v_for_each_channel_and_coefficient():
    assert ow.nn.TransformFilter2d("wht", 5, 14).v.shape == (5, 16, 16)
    assert ow.nn.TransformFilter2d("wht", 5, 56, order="pow2").v.shape == (5, 64, 64)
    assert ow.nn.TransformFilter2d("dct", 5, (7, 9)).v.shape == (5, 7, 9)
    assert ow.nn.TransformFilter2d("fft", 5, (7, 9)).v.shape == (5, 7, 5)
    assert ow.nn.TransformFilter2d("fft", 5, (7, 8)).v.shape == (5, 7, 5)
    assert ow.nn.TransformFilter2d("wht", 5, 14, dims=(-1, -3)).v.shape == (8, 1, 16)
    assert ow.nn.TransformFilter2d("dct", 5, None).v.shape == (5, 1, 1)
    assert list(ow.nn.TransformFilter2d("random", 5, 7).state_dict()) == ["v"]


@torch.no_grad()
def test_v_acts_on_the_spectrum():
    x = maps(2, 3, 14, 14)
    layer = ow.nn.TransformFilter2d("dct", 3, 14)
    layer.v.zero_()[:, 0, 0] = 1.0  # only the mean is left
    torch.testing.assert_close(layer(x), x.mean((2, 3), keepdim=True).expand_as(x))
    layer = ow.nn.TransformFilter2d("wht", 3, 14)
    layer.v.copy_(maps(3, 16, 16, dtype=torch.float32))
    want = ow.iwht(ow.wht(x, pad="keep") * layer.v, size=14)
    torch.testing.assert_close(layer(x), want)


@torch.no_grad()
@pytest.mark.parametrize("size", [(7, 7), (8, 8), (7, 10)])
def test_the_fourier_filter_is_a_circular_convolution(size):
    layer = ow.nn.TransformFilter2d("fft", 2, size)
    layer.v.copy_(maps(*layer.v.shape, dtype=torch.float32))
    x = maps(2, 2, *size)
    # irfft2 takes the conjugate pairs of the first column as their mean, and so does the layer.
    want = torch.fft.irfft2(torch.fft.rfft2(x) * layer.v, s=size)
    torch.testing.assert_close(layer(x), want)
    shifted = torch.roll(x, (2, 3), (-2, -1))
    torch.testing.assert_close(layer(shifted), torch.roll(layer(x), (2, 3), (-2, -1)))


@torch.no_grad()
def test_a_low_pass_stays_one_at_another_size():
    for kind, low in (("dct", 3), ("wht", 3)):
        layer = ow.nn.TransformFilter2d(kind, 1, 16)
        ranks = sequency(16) if kind == "wht" else range(16)
        for h, rank_h in enumerate(ranks):
            for w, rank_w in enumerate(ranks):
                layer.v[0, h, w] = float(rank_h <= low and rank_w <= low)
        v = layer.v_at((1, 32, 32))[0]
        order = torch.as_tensor(sequency(32).argsort()) if kind == "wht" else torch.arange(32)
        v = v[order][:, order]
        kept = round(32 * low / 16)
        assert torch.equal(v[: kept + 1, : kept + 1], torch.ones(kept + 1, kept + 1))
        assert not v[kept + 2 :].any()
        assert not v[:, kept + 2 :].any()


def test_sequency_counts_sign_changes():
    from scipy.linalg import hadamard

    changes = (abs(hadamard(16)[:, 1:] - hadamard(16)[:, :-1]) // 2).sum(axis=1)
    assert sequency(16).tolist() == changes.tolist()
    assert sorted(sequency(28)) == list(range(28))
    assert coordinates("half", 7).tolist() == [0, 1 / 7, 2 / 7, 3 / 7]
    assert coordinates("fft-realimag", 5).tolist() == [0, 0.2, 0.4, -0.4, -0.2]


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_v_and_the_input(kind):
    layer = ow.nn.TransformFilter2d(kind, 1, (4, 3)).double()
    x = maps(1, 1, 3, 5).requires_grad_()  # a size at which v is resampled

    def run(x, v):
        return torch.func.functional_call(layer, {"v": v}, (x,))

    v = (layer.v.detach() + maps(*layer.v.shape, seed=3) * 0.1).requires_grad_()
    assert torch.autograd.gradcheck(run, (x, v))
    assert torch.autograd.gradgradcheck(run, (x, v), fast_mode=True)


def test_training_changes_v():
    layer = ow.nn.TransformFilter2d("dct", 1, 8)
    x = maps(16, 1, 8, 8, dtype=torch.float32)
    optimizer = torch.optim.SGD(layer.parameters(), lr=5.0)
    for _ in range(50):
        optimizer.zero_grad()
        (layer(x) - 0.5 * x).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(layer.v.detach(), torch.full((1, 8, 8), 0.5), rtol=0, atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("wth", 3, 8), "did you mean 'wht'"),
        (("wht", 0, 8), "channels is 0"),
        (("wht", 2.0, 8), "channels is 2.0"),
        (("wht", 3, 0), "size is 0"),
        (("wht", 3, (8, 8, 8)), r"size is \(8, 8, 8\)"),
        (("wht", 3, "8"), "size is '8'"),
    ],
)
def test_bad_options_say_what_is_allowed(arguments, words):
    with pytest.raises(InputError, match=words):
        ow.nn.TransformFilter2d(*arguments)


def test_maps_of_other_channels_are_refused():
    layer = ow.nn.TransformFilter2d("wht", 3, 8)
    with pytest.raises(InputError, match=r"made for 3 channels, but the map has 4 .* channels=4"):
        layer(maps(1, 4, 8, 8))


def test_repr_shows_the_transform_and_the_nominal_size():
    text = repr(ow.nn.TransformFilter2d("wht", 3, 14))
    assert "kind='wht', channels=3, size=14×14" in text
    assert "the identity as long as v is 1" in text
    assert "pad='keep'" in text
    assert "one v a channel" in repr(ow.nn.TransformFilter2d("dct", 3, None))


def test_what_is_read_at_another_size_in_inference_serves_training():
    order._tensors.cache_clear()
    layer = TransformFilter2d("wht", channels=2, size=12)
    x = torch.rand(1, 2, 8, 6)  # padded to 8, of a nominal 12
    with torch.inference_mode():
        expected = layer(x)
    y = layer(x)
    assert torch.equal(y, expected)
    y.sum().backward()
    assert layer.v.grad is not None
    assert order._tensors.cache_info().misses == 1  # copied to the device once
