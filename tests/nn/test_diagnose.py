"""What diagnose measures, against values that are known."""

import json

import numpy as np
import pytest
import torch
from torch import nn

import orthowatt as ow
from orthowatt.errors import InputError, InputTypeError
from orthowatt.nn import properties, structure


class Cube(nn.Module):
    """Increasing, so it has an inverse."""

    def forward(self, x):
        return x**3 + 0.1 * x


class Square(nn.Module):
    def forward(self, x):
        return x**2


ORTHOGONAL = [
    ow.nn.WHT2d(),
    ow.nn.DCT2d(),
    ow.nn.DST2d(type=4),
    ow.nn.Hartley2d(),
    ow.nn.FFTRealImag2d(),
    ow.nn.FFTRealImag2d(packed=False),
    ow.nn.Identity2d(),
    ow.nn.RandomOrthogonal2d(seed=1),
    ow.nn.TransformFilter2d("wht", 2, 8),
]


@pytest.mark.parametrize("layer", ORTHOGONAL, ids=lambda layer: type(layer).__name__)
def test_orthogonal_layers_are_found_to_be(layer):
    found = ow.diagnose(layer, (2, 8, 12))
    assert found.linear
    assert found.orthogonal
    assert found.invertible
    assert not found.phase_lost
    assert found.energy_kept == pytest.approx(1)
    assert found.singular_values == pytest.approx(np.ones(len(found.singular_values)))


@pytest.mark.parametrize("dims", [(-2, -1), (-1, -3), (-3,)])
def test_verdicts_of_layers_agree_with_the_measurement(dims):
    for shape in ((4, 7, 8), (3, 4, 7)):
        for pad in ("keep", "crop"):
            for norm in ("ortho", None):
                layer = ow.nn.WHT2d(dims, pad=pad, norm=norm)
                found = ow.diagnose(layer, shape)
                assert found.orthogonal is layer.orthogonality(shape)[0]


def test_cropping_loses_what_the_dense_matrix_says():
    found = ow.diagnose(ow.nn.WHT2d(pad="crop"), 14)
    block = ow.hadamard(16).numpy()[:14, :14] / 4
    axis = np.linalg.svd(block, compute_uv=False)
    want = np.sort(np.outer(axis, axis).ravel())[::-1]
    assert found.singular_values == pytest.approx(want)
    assert not found.orthogonal
    assert 0 < found.smallest < 1
    assert "not orthogonal at 14×14 (cropped from 16×16)" in found.layer


def test_a_magnitude_has_no_inverse():
    found = ow.diagnose(ow.nn.FFTMagnitude2d(), 8)
    assert not found.linear
    assert not found.invertible
    assert found.phase_lost
    assert found.energy_kept == pytest.approx(1)  # Parseval: the energy is not what is lost
    assert found.smallest < 1e-9


def test_layers_of_torch():
    halved = ow.diagnose(nn.AvgPool2d(2), (1, 8, 8))
    assert halved.largest == pytest.approx(0.5)
    assert halved.smallest == 0
    assert not halved.invertible
    rectified = ow.diagnose(nn.ReLU(), (1, 6, 6))
    assert not rectified.linear
    assert set(np.round(rectified.singular_values)) <= {0, 1}
    shift = nn.Conv2d(2, 2, 1, bias=False)
    with torch.no_grad():
        shift.weight.copy_(torch.tensor([[3.0, 0], [0, 0.5]])[:, :, None, None])
    found = ow.diagnose(shift, (2, 4, 4))
    assert (found.smallest, found.largest) == (pytest.approx(0.5), pytest.approx(3))


def test_a_learned_filter_shows_its_v():
    layer = ow.nn.TransformFilter2d("dct", 1, 4)
    with torch.no_grad():
        layer.v.mul_(torch.arange(1.0, 17).view(1, 4, 4))
    found = ow.diagnose(layer, 4)
    assert found.singular_values == pytest.approx(np.arange(16, 0, -1))


def test_the_dct_compacts_a_markov_field_most():
    share = {
        type(layer).__name__: ow.diagnose(layer, 32).compaction
        for layer in (ow.nn.DCT2d(), ow.nn.WHT2d(), ow.nn.RandomOrthogonal2d())
    }
    before = ow.diagnose(ow.nn.Identity2d(), 32)
    assert before.compaction == pytest.approx(before.compaction_before)
    assert share["DCT2d"] > share["WHT2d"] > share["RandomOrthogonal2d"] > before.compaction


def test_channel_correlation_is_numpys():
    x = properties.markov_maps((4, 6, 6), seed=0)
    flat = x.movedim(1, 0).reshape(4, -1).numpy()
    matrix = np.abs(np.corrcoef(flat))
    want = matrix[~np.eye(4, dtype=bool)].mean()
    assert properties.channel_correlation(x) == pytest.approx(want)
    found = ow.diagnose(ow.nn.WHT1d(), (4, 6, 6), x=x)
    assert found.channel_correlation_before == pytest.approx(want)
    assert found.channel_correlation < 0.5 * want
    assert ow.diagnose(ow.nn.WHT2d(), (1, 4, 4)).channel_correlation is None


def test_the_samples_have_the_stated_correlation():
    x = properties.markov_maps((2, 40, 40), seed=0, count=400).numpy()
    neighbours = np.corrcoef(x[..., 1:].ravel(), x[..., :-1].ravel())[0, 1]
    channels = np.corrcoef(x[:, 0].ravel(), x[:, 1].ravel())[0, 1]
    assert neighbours == pytest.approx(0.95, abs=0.01)
    assert channels == pytest.approx(0.8, abs=0.05)


def test_large_maps_go_axis_by_axis():
    found = ow.diagnose(ow.nn.WHT2d(), (1, 112, 56))
    assert found.orthogonal
    assert len(found.singular_values) == 112 * 56
    with pytest.raises(InputError, match=r"Conv2d on maps of 1×112×112 .* smaller size"):
        ow.diagnose(nn.Conv2d(1, 1, 3), (1, 112, 112))


@pytest.mark.parametrize("size", [56, 112, 224])
@pytest.mark.parametrize(
    "layer", [ow.nn.Hartley2d(), ow.nn.FFTRealImag2d(), ow.nn.FFTRealImag2d(packed=False)]
)
def test_the_fourier_family_is_orthogonal_at_the_papers_sizes(layer, size):
    found = ow.diagnose(layer, (1, size, size))
    assert found.orthogonal
    assert found.invertible
    assert len(found.singular_values) == size * size
    assert found.compaction > found.compaction_before
    assert found.energy_kept == pytest.approx(1)


@pytest.mark.parametrize("size", [56, 112, 224])
def test_the_magnitude_loses_half_at_the_papers_sizes(size):
    found = ow.diagnose(ow.nn.FFTMagnitude2d(), (1, size, size))
    kept = (size * size + 4) // 2  # one of each pair k, -k, and the four that are their own
    assert found.singular_values[:kept] == pytest.approx(1)
    assert not found.singular_values[kept:].any()
    assert found.phase_lost
    assert found.invertible is False


@pytest.mark.parametrize("norm", ["ortho", None])
@pytest.mark.parametrize("dims", [(-2, -1), (-1, -3), (-3,)])
@pytest.mark.parametrize(
    "make",
    [
        ow.nn.Hartley2d,
        ow.nn.FFTRealImag2d,
        lambda dims, norm: ow.nn.FFTRealImag2d(dims, norm=norm, packed=False),
        ow.nn.FFTMagnitude2d,
        lambda dims, norm: ow.nn.FFTMagnitude2d(dims, norm=norm, log=True),
    ],
)
def test_structure_agrees_with_the_dense_jacobian(make, dims, norm):
    layer, shape = make(dims, norm=norm).double(), (5, 4, 6)
    sizes = tuple(n if dim in dims else 1 for dim, n in zip((-3, -2, -1), shape, strict=True))
    x = properties.markov_maps(shape, seed=1, count=1)
    plane = x[:, : sizes[0], : sizes[1], : sizes[2]]
    dense = properties._dense_values(properties._jacobian(layer, plane))
    assert structure.singular_values(layer, x) == pytest.approx(dense, abs=1e-9)


def test_an_inverse_that_nothing_disproves_is_not_known():
    smooth = ow.diagnose(nn.Softplus(), (1, 6, 6))  # strictly increasing: it has an inverse
    assert smooth.invertible is None
    assert "invertible not known" in str(smooth)
    assert json.loads(json.dumps(smooth.to_dict()))["invertible"] is None
    assert ow.diagnose(Cube(), (1, 6, 6)).invertible is None
    assert ow.diagnose(nn.ReLU(), (1, 6, 6)).invertible is False
    assert ow.diagnose(Square(), (1, 6, 6)).invertible is False


def test_it_changes_nothing_and_can_be_written_down():
    layer = ow.nn.TransformFilter2d("wht", 2, 8).train()
    found = ow.diagnose(layer, 8)
    assert layer.v.dtype == torch.float32
    assert layer.training
    assert layer.map_shape is None
    assert json.loads(json.dumps(found.to_dict()))["orthogonal"] is True
    assert "singular values 1 … 1" in str(found)


@pytest.mark.parametrize(
    ("layer", "size", "error", "words"),
    [
        (ow.nn.WHT1d(), 8, InputError, r"size has to be \(C, H, W\)"),
        (ow.nn.WHT2d(), (1, 2, 3, 4), InputError, "size is"),
        (ow.nn.WHT2d(), 0, InputError, "size is 0"),
        (ow.wht, 8, InputTypeError, "needs a layer, but got function"),
    ],
)
def test_bad_input_says_what_is_allowed(layer, size, error, words):
    with pytest.raises(error, match=words):
        ow.diagnose(layer, size)


def test_samples_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"must be \(N, 3, 8, 8\)"):
        ow.diagnose(ow.nn.WHT2d(), 8, x=torch.zeros(2, 3, 4, 4))
