"""Finite fields GF(p^k), as far as Paley's constructions need them.

Elements are the integers 0 … q-1 whose base-p digits (lowest first) are the coefficients of a
polynomial over GF(p). Products are taken modulo the monic irreducible polynomial of degree k whose
lower coefficients, read as such an integer, are smallest; that choice fixes every matrix built on
the field, so it is part of the numerics version.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..errors import InputError


def prime_power(q: int) -> tuple[int, int] | None:
    """(p, k) with q = p**k and p prime, or None.

    >>> prime_power(243), prime_power(12)
    ((3, 5), None)
    """
    if q < 2:
        return None
    p = next((d for d in range(2, int(q**0.5) + 1) if q % d == 0), q)
    k, rest = 0, q
    while rest % p == 0:
        rest //= p
        k += 1
    return (p, k) if rest == 1 else None


def _digits(values: np.ndarray, p: int, k: int) -> np.ndarray:
    """Base-p digits, lowest first: shape (len(values), k)."""
    return (values[:, None] // p ** np.arange(k)) % p


def _multiply(a: np.ndarray, b: np.ndarray, modulus: np.ndarray, p: int) -> np.ndarray:
    """Products of polynomials given row by row as digits, reduced by the monic `modulus`."""
    k = len(modulus) - 1
    product = np.zeros((len(a), 2 * k - 1), dtype=np.int64)
    for i in range(k):
        product[:, i : i + k] += a[:, i : i + 1] * b
    for top in range(2 * k - 2, k - 1, -1):
        product[:, top - k : top + 1] -= product[:, top : top + 1] * modulus
    return product[:, :k] % p


@lru_cache(maxsize=64)
def _modulus(p: int, k: int) -> np.ndarray:
    """The smallest monic irreducible polynomial of degree k over GF(p), lowest digit first."""
    for low in range(p**k):
        modulus = np.append(_digits(np.array([low]), p, k)[0], 1)
        if _is_irreducible(modulus, p, k):
            return modulus
    raise AssertionError("every degree has an irreducible polynomial")


def _is_irreducible(modulus: np.ndarray, p: int, k: int) -> bool:
    """No monic polynomial of degree 1 … k/2 divides it: long division by each of them."""
    for degree in range(1, k // 2 + 1):
        for low in range(p**degree):
            divisor = np.append(_digits(np.array([low]), p, degree)[0], 1)
            rest = modulus.copy()
            for top in range(k, degree - 1, -1):
                rest[top - degree : top + 1] -= rest[top] * divisor
                rest %= p
            if not rest.any():
                return False
    return True


@lru_cache(maxsize=64)
def quadratic_character(q: int) -> np.ndarray:
    """χ over GF(q), q odd: 0 at 0, +1 at non-zero squares, -1 elsewhere; int8 of length q."""
    field = prime_power(q)
    if field is None or q % 2 == 0:
        raise InputError(f"q is {q}, but must be a power of an odd prime")
    p, k = field
    elements = _digits(np.arange(q), p, k)
    squares = _multiply(elements, elements, _modulus(p, k), p) @ p ** np.arange(k)
    chi = np.full(q, -1, dtype=np.int8)
    chi[squares] = 1
    chi[0] = 0
    return chi


def addition_table(q: int, sign: int = 1) -> np.ndarray:
    """The q × q table of a + sign·b over GF(q), as element numbers."""
    field = prime_power(q)
    if field is None:
        raise InputError(f"q is {q}, but must be a prime power")
    p, k = field
    elements = _digits(np.arange(q), p, k)
    sums = (elements[:, None, :] + sign * elements[None, :, :]) % p
    return sums @ p ** np.arange(k)
