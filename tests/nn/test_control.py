"""The random control: orthogonal, the same on every machine, and without anything to save."""

import copy
import pickle

import numpy as np
import pytest
import torch

import orthowatt as ow
from orthowatt.errors import InputTypeError
from orthowatt.nn.control import random_orthogonal


def maps(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("n", [1, 2, 7, 56, 200])
def test_the_matrix_is_orthogonal(n):
    q = random_orthogonal(3, -1, n)
    assert q @ q.T == pytest.approx(np.eye(n), abs=1e-13)


def test_the_matrix_is_the_one_of_its_seed():
    """Printed once; studies rest on it."""
    want = [
        [0.1189329777649979, -0.41231252958378106, -0.9032459934858135],
        [0.25259600722455455, -0.8672079333786519, 0.4291219610079875],
        [-0.9602344525865354, -0.27919308414312777, 0.0010088768433661852],
    ]
    assert random_orthogonal(0, -1, 3) == pytest.approx(np.array(want), abs=1e-12)


def test_seeds_axes_and_sizes_differ():
    base = random_orthogonal(0, -1, 8)
    for other in (random_orthogonal(1, -1, 8), random_orthogonal(0, -2, 8)):
        assert np.abs(base - other).max() > 0.1
    assert np.abs(base[:7, :7] - random_orthogonal(0, -1, 7)).max() > 0.1


def test_rows_point_everywhere():
    """Haar: the mean of an entry's square is 1/n, the mean of an entry 0."""
    first = np.array([random_orthogonal(seed, -1, 4)[0] for seed in range(400)])
    assert np.square(first).mean(axis=0) == pytest.approx([0.25] * 4, abs=0.05)
    assert first.mean(axis=0) == pytest.approx([0] * 4, abs=0.1)


def test_each_axis_is_multiplied_by_its_matrix():
    x = maps(2, 3, 5, 7)
    rows, columns = random_orthogonal(4, -2, 5), random_orthogonal(4, -1, 7)
    layer = ow.nn.RandomOrthogonal2d(seed=4)
    assert layer(x).numpy() == pytest.approx(rows @ x.numpy() @ columns.T, abs=1e-12)
    torch.testing.assert_close(layer.inverse(layer(x), (3, 5, 7)), x)


def test_copies_give_the_same_without_a_state():
    layer, x = ow.nn.RandomOrthogonal2d(seed=9), maps(1, 2, 7, 8)
    y = layer(x)
    assert not layer.state_dict()
    assert torch.equal(copy.deepcopy(layer)(x), y)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x), y)
    with torch.inference_mode():
        assert torch.equal(ow.nn.RandomOrthogonal2d(seed=9)(x), y)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # opcheck's own doing
@pytest.mark.parametrize("dims", [[-2, -1], [-1, -3]])
def test_the_operator_is_sound(dims):
    x = maps(2, 3, 5, 7).requires_grad_()
    strided = maps(2, 7, 5, 3).transpose(1, 3).detach().requires_grad_()
    for sample in (x, strided):
        torch.library.opcheck(torch.ops.orthowatt.rotate.default, (sample, 5, dims, False))
    assert torch.autograd.gradgradcheck(ow.nn.RandomOrthogonal2d(dims), (x,))


def test_it_maps_over_batches():
    x = maps(4, 2, 3, 5)
    layer = ow.nn.RandomOrthogonal2d(seed=2)
    torch.testing.assert_close(torch.vmap(layer)(x), layer(x))


def test_whole_numbers_are_refused():
    with pytest.raises(InputTypeError, match=r"torch.int64; convert it with x.float\(\)"):
        ow.nn.RandomOrthogonal2d()(torch.ones(1, 4, 4, dtype=torch.int64))


def test_identity_gives_back_its_input():
    x = maps(1, 2, 3, 3)
    assert ow.nn.Identity2d()(x) is x
