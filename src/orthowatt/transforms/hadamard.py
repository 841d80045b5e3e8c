"""Symmetric Hadamard matrices: which orders exist here, and which matrix each order has.

Sylvester (1867) for powers of two; Paley (1933), "On orthogonal matrices", for the rest: Paley II
for q ≡ 1 (mod 4), and Paley I for q ≡ 3 (mod 4) with its core indexed by a + b instead of a - b,
which makes it symmetric. Results must repeat, so the choice for every order is fixed:
n = 2^k · m with the largest k that leaves a buildable m, H = Sylvester(2^k) ⊗ H(m), H(m) by
Paley II, else Paley I, else the Kronecker product of the smallest factors.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from ..errors import InputError
from .galois import addition_table, prime_power, quadratic_character

_TABLE_LIMIT = 4096


def hadamard(
    n: int, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
) -> torch.Tensor:
    """The symmetric Hadamard matrix of order n: entries ±1, H = Hᵀ, H @ H = n·I; shape (n, n).

    For a power of two it equals `scipy.linalg.hadamard(n)` (natural order). Raises `InputError`
    where no order n can be built, naming the nearest that can.

    >>> H = hadamard(28)
    >>> bool((H @ H == 28 * torch.eye(28, dtype=H.dtype)).all() and (H == H.T).all())
    True
    """
    if isinstance(n, bool) or not isinstance(n, int):
        raise InputError(f"the order is {n!r}, but must be a whole number, such as 28")
    if dtype in (torch.bool, torch.uint8, torch.uint16, torch.uint32, torch.uint64):
        raise InputError(f"dtype is {dtype}, but must hold -1; use torch.int8 or a floating type")
    if not is_order(n):
        raise InputError(f"no Hadamard matrix of order {n} can be built; {nearest(n)}")
    return torch.tensor(matrix(n), dtype=dtype, device=device)


def hadamard_orders(limit: int) -> list[int]:
    """Every order up to and including `limit` that `hadamard` builds, ascending.

    >>> hadamard_orders(32)
    [1, 2, 4, 8, 12, 16, 20, 24, 28, 32]
    """
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise InputError(f"the limit is {limit!r}, but must be a whole number, such as 256")
    return [n for n in range(1, limit + 1) if is_order(n)]


def is_order(n: int, order: str = "exact") -> bool:
    """Whether size n has a matrix: among all orders, or ("pow2") among powers of two only."""
    if n < 1:
        return False
    if order == "pow2":
        return n & (n - 1) == 0
    if n <= _TABLE_LIMIT:
        return n in _ORDERS
    return _is_order_above_table(n)


def padded_size(n: int, order: str = "exact") -> int:
    """The smallest order that is at least n: where zero-padding leads.

    >>> padded_size(14), padded_size(56), padded_size(56, "pow2")
    (16, 56, 64)
    """
    while not is_order(n, order):
        n += 1
    return n


def nearest(n: int, order: str = "exact") -> str:
    """A clause naming the orders next to n, for error messages."""
    above = padded_size(max(n, 1), order)
    below = next((m for m in range(min(n, above) - 1, 0, -1) if is_order(m, order)), None)
    kind = "powers of two" if order == "pow2" else "orders"
    return (
        f"the nearest {kind} are {below} and {above}" if below else f"the smallest order is {above}"
    )


def factors(n: int) -> tuple[int, int]:
    """(2^k, m) with H(n) = Sylvester(2^k) ⊗ H(m): k is the largest that leaves a buildable m.

    >>> factors(224), factors(64), factors(12)
    ((8, 28), (64, 1), (1, 12))
    """
    odd = n
    while odd % 2 == 0:
        odd //= 2
    m = odd
    while not is_order(m):
        m *= 2
    return n // m, m


@lru_cache(maxsize=64)
def matrix(n: int) -> np.ndarray:
    """The matrix of order n as read-only int8; `is_order(n)` must hold."""
    assert is_order(n), f"{n} is no order; callers check with is_order"
    sylvester, m = factors(n)
    result = np.kron(_sylvester(sylvester), _core(m))
    result.setflags(write=False)
    return result


def _sylvester(n: int) -> np.ndarray:
    result = np.ones((1, 1), dtype=np.int8)
    while len(result) < n:
        result = np.block([[result, result], [result, -result]])
    return result


def _core(m: int) -> np.ndarray:
    if m == 1:
        return np.ones((1, 1), dtype=np.int8)
    if _has_paley_two(m):
        return _paley_two(m // 2 - 1)
    if _has_paley_one(m):
        return _paley_one(m - 1)
    pair = _kronecker_factors(m)
    assert pair is not None, f"{m} is no order; callers check with is_order"
    a, b = pair
    return np.kron(matrix(a), matrix(b)).astype(np.int8)


def _paley_one(q: int) -> np.ndarray:
    sums = addition_table(q)
    result = np.ones((q + 1, q + 1), dtype=np.int8)
    result[1:, 1:] = -quadratic_character(q)[sums] - (sums == 0)
    return result


def _paley_two(q: int) -> np.ndarray:
    conference = np.ones((q + 1, q + 1), dtype=np.int8)
    conference[0, 0] = 0
    conference[1:, 1:] = quadratic_character(q)[addition_table(q, -1)]
    one = np.eye(q + 1, dtype=np.int8)
    return np.block([[conference + one, conference - one], [conference - one, -conference - one]])


def _has_paley_one(m: int) -> bool:
    return m % 4 == 0 and prime_power(m - 1) is not None


def _has_paley_two(m: int) -> bool:
    q = m // 2 - 1
    return m % 4 == 0 and q % 4 == 1 and prime_power(q) is not None


def _kronecker_factors(m: int) -> tuple[int, int] | None:
    """The factors (a, m / a), both orders above 2, with the smallest a."""
    for a in range(4, int(m**0.5) + 1, 4):
        if m % a == 0 and is_order(a) and is_order(m // a):
            return a, m // a
    return None


def _is_order_above_table(n: int) -> bool:
    if n % 4:
        return False
    if _has_paley_two(n) or _has_paley_one(n) or is_order(n // 2):
        return True
    return _kronecker_factors(n) is not None


def _table() -> frozenset[int]:
    """All orders up to the table's limit; a table, so that a compiler can look sizes up."""
    found = {1, 2}
    primes = {q for q in range(3, _TABLE_LIMIT, 2) if prime_power(q)}
    for n in range(4, _TABLE_LIMIT + 1, 4):
        paley = n - 1 in primes or (n // 2 - 1 in primes and (n // 2 - 1) % 4 == 1)
        if paley or n // 2 in found:
            found.add(n)
        elif n % 16 == 0:
            found.update(
                [n] * any(n % a == 0 and a in found and n // a in found for a in range(4, n, 4))
            )
    return frozenset(found)


_ORDERS = _table()
