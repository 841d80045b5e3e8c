"""Hadamard matrices: which orders exist, that each is one, and that it stays the same one."""

import hashlib

import numpy as np
import pytest
import scipy.linalg
import torch

import orthowatt as ow
from orthowatt.errors import InputError
from orthowatt.transforms import galois, hadamard


def test_every_multiple_of_four_to_256_but_eight_exists():
    missing = sorted(set(range(4, 257, 4)) - set(ow.hadamard_orders(256)))
    assert missing == [92, 116, 156, 172, 184, 188, 232, 236]


@pytest.mark.parametrize("n", [*ow.hadamard_orders(256), 400, 448, 512, 1008])
def test_is_a_symmetric_hadamard_matrix(n):
    h = hadamard.matrix(n).astype(np.int64)
    assert set(np.unique(h)) <= {-1, 1}
    assert (h == h.T).all()
    assert (h @ h == n * np.eye(n, dtype=np.int64)).all()


@pytest.mark.parametrize("n", [1, 2, 4, 64, 256])
def test_powers_of_two_are_scipys(n):
    assert (ow.hadamard(n).numpy() == scipy.linalg.hadamard(n)).all()


@pytest.mark.parametrize(
    ("n", "split"), [(56, (2, 28)), (112, (4, 28)), (224, (8, 28)), (24, (2, 12)), (36, (1, 36))]
)
def test_the_sylvester_part_is_as_large_as_it_can_be(n, split):
    assert hadamard.factors(n) == split
    expected = np.kron(scipy.linalg.hadamard(split[0]), hadamard.matrix(split[1]))
    assert (hadamard.matrix(n) == expected).all()


def test_the_matrices_are_frozen():
    """Results must repeat: a change of any matrix needs a new numerics version."""
    digest = hashlib.sha256()
    for n in ow.hadamard_orders(256):
        digest.update(hadamard.matrix(n).tobytes())
    assert digest.hexdigest()[:16] == "d5d2749d279317b8"


def test_orders_beyond_the_table_agree_with_its_rule():
    limit = hadamard._TABLE_LIMIT
    assert all(hadamard._is_order_above_table(n) == (n in hadamard._ORDERS) for n in range(4, 600))
    assert hadamard.is_order(2 * limit)
    assert not hadamard.is_order(2 * limit + 2)
    assert hadamard.is_order(28 * 1024)


@pytest.mark.parametrize(
    ("n", "order", "next_order"), [(14, "exact", 16), (56, "pow2", 64), (92, "exact", 96)]
)
def test_padded_size(n, order, next_order):
    assert hadamard.padded_size(n, order) == next_order


def test_no_such_order_names_the_neighbours():
    with pytest.raises(InputError, match="order 14 can be built; the nearest orders are 12 and 16"):
        ow.hadamard(14)
    with pytest.raises(InputError, match="must be a whole number"):
        ow.hadamard(8.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="smallest order is 1"):
        ow.hadamard(0)


@pytest.mark.parametrize("q", [9, 25, 27, 49, 81, 121, 125, 243])
def test_prime_power_fields(q):
    """χ is a multiplicative character: half squares, and its autocorrelation is -1 everywhere."""
    chi = galois.quadratic_character(q).astype(int)
    assert chi[0] == 0
    assert chi.sum() == 0
    core = chi[galois.addition_table(q, -1)]
    assert (core @ core.T == q * np.eye(q, dtype=int) - 1).all()


def test_dtype_and_device():
    assert ow.hadamard(4).dtype is torch.float64
    assert ow.hadamard(4, dtype=torch.int8, device="cpu").dtype is torch.int8
