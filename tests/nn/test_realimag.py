"""The packed spectrum: an isometry at even and odd sizes whose entries are those of torch.fft."""

import pytest
import torch

import orthowatt as ow

SIZES = [(7, 7), (8, 8), (7, 14), (14, 7), (1, 5), (2, 1), (9, 12)]


def maps(*shape):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dims", [(-2, -1), (-1, -2), (-1, -3), (-3,), (-3, -2, -1)])
def test_packing_is_orthogonal_and_undone(size, dims):
    layer, n = ow.nn.FFTRealImag2d(dims), 3 * size[0] * size[1]
    units = torch.eye(n, dtype=torch.float64).view(n, 3, *size)
    matrix = layer(units).view(n, n)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(n, dtype=torch.float64))
    x = maps(2, 3, *size)
    torch.testing.assert_close(layer.inverse(layer(x), x.shape[1:]), x)


@pytest.mark.parametrize("size", SIZES)
def test_each_entry_is_a_real_or_an_imaginary_part(size):
    x = maps(3, *size)
    y = ow.nn.FFTRealImag2d()(x)
    spectrum = torch.fft.fftn(x, dim=(-2, -1), norm="ortho")
    for h in range(size[0]):
        for w in range(size[1]):
            mirror = (-h % size[0], -w % size[1])
            value = spectrum[:, h, w]
            if mirror == (h, w):
                torch.testing.assert_close(y[:, h, w], value.real)
                continue
            # One of the pair holds √2·Re, the other √2·Im of it; the right half comes first.
            first = (w, h) if 2 * w % size[1] else (h, w)
            length = size[1] if 2 * w % size[1] else size[0]
            if 2 * first[0] < length:
                torch.testing.assert_close(y[:, h, w], 2**0.5 * value.real)
                torch.testing.assert_close(y[:, *mirror], 2**0.5 * value.imag)


@pytest.mark.parametrize("norm", ["ortho", None])
def test_unpacked_is_real_then_imaginary(norm):
    x = maps(2, 3, 7, 10)
    spectrum = torch.fft.fft2(x, norm=norm)
    want = torch.cat([spectrum.real, spectrum.imag], dim=1)
    layer = ow.nn.FFTRealImag2d(norm=norm, packed=False)
    torch.testing.assert_close(layer(x), want)
    assert layer.may_change_channels
    assert layer.spectrum_shape((3, 7, 10)) == (6, 7, 10)


@pytest.mark.parametrize("layer", [ow.nn.FFTRealImag2d(norm=None), ow.nn.Hartley2d(norm=None)])
def test_unscaled_inverse_divides(layer):
    x = maps(2, 3, 7, 10)
    torch.testing.assert_close(layer.inverse(layer(x), (3, 7, 10)), x)
