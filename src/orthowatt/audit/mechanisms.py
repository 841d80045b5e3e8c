"""Mechanisms judged by arithmetic from shapes: what a layer adds, which sizes it can have."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from .claims import Claim, ClaimSet, Site
from .floor import macs_of
from .workings import Finding, Verdict, Working, figure

#: Exact Hadamard orders that contradict a need for powers of two: 28 · 2^k.
WITNESS_ORDERS = (28, 56, 112, 224)

#: A relative change of the magnitude below this is rounding.
PHASE_CHANGE = 1e-9

Judged = tuple[Verdict, str, tuple[Working, ...], tuple[str, ...]]


def dense_macs(size: int, channels: int) -> float:
    """MACs of a 2D transform of `channels` planes of size × size as two matrix products.

    >>> dense_macs(64, 256) / 1e6
    134.217728
    """
    return 2.0 * size**3 * channels


def fast_additions(size: int, channels: int) -> float:
    """Additions of the same as a fast Walsh-Hadamard transform; `size` is a power of two.

    >>> fast_additions(64, 256) / 1e6
    12.582912
    """
    return 2.0 * math.log2(size) * size * size * channels


def hadamard_28() -> np.ndarray:
    """The Hadamard matrix of order 28 by Paley's second construction over GF(13).

    [[C + I, C − I], [C − I, −C − I]] with C the symmetric conference matrix of order 14: the
    witness that exact orders beside the powers of two exist. Source: Paley 1933.

    >>> h = hadamard_28()
    >>> bool((h @ h.T == 28 * np.eye(28)).all() and (h == h.T).all())
    True
    """
    squares = {a * a % 13 for a in range(1, 13)}
    c = np.ones((14, 14), dtype=np.int64)
    for a in range(13):
        for b in range(13):
            c[a + 1, b + 1] = 0 if a == b else (1 if (a - b) % 13 in squares else -1)
    c[0, 0] = 0
    eye = np.eye(14, dtype=np.int64)
    return np.block([[c + eye, c - eye], [c - eye, -c - eye]])


def witnessed_orders() -> list[int]:
    """Orders 28 · 2^k whose matrix was built and found to satisfy H · Hᵀ = n · I."""
    h, found = hadamard_28(), []
    for order in WITNESS_ORDERS:
        if (h @ h.T == order * np.eye(order, dtype=np.int64)).all():
            found.append(order)
        h = np.kron(np.array([[1, 1], [1, -1]]), h)
    return found


def judge_mechanism(claim: Claim, claims: ClaimSet) -> Finding:
    """A mechanism's finding by arithmetic alone."""
    assert claim.check is not None
    verdict, reason, workings, hypotheses = CHECKS[claim.check](claim, claims)
    return Finding(
        claim.id, claim.kind, claim.statement, verdict, reason, claim.source, hypotheses, workings
    )


def added_work(claims: ClaimSet) -> tuple[list[Working], tuple[float, float] | None]:
    """What the layers at the stated sites add, and the least and most of it as shares of a pass."""
    macs = macs_of(claims.context)
    if macs is None or not claims.sites:
        return [], None
    shape = f"{claims.context.model} at {claims.context.image_size}, from its shapes"
    workings = [Working("forward pass of the network", macs, "MAC", shape)]
    dense = fast = 0.0
    for site in claims.sites:
        workings += _site_workings(site, macs)
        dense += dense_macs(site.padded, site.channels)
        fast += fast_additions(site.padded, site.channels)
    # an addition costs at most what a multiply-accumulate does
    shares = fast / macs, dense / macs
    workings.append(
        Working("added by all sites", shares, "%", "fast additions to dense MACs, over the pass")
    )
    return workings, shares


def _site_workings(site: Site, macs: float) -> list[Working]:
    n, c = site.padded, site.channels
    dense, fast = dense_macs(n, c), fast_additions(n, c)
    return [
        Working(
            f"dense transform added at {site.layer}", dense, "MAC",
            f"2 × {n}³ × {c} channels, {figure(dense / macs, '%')} of the pass",
        ),
        Working(
            f"fast transform added at {site.layer}", fast, "additions",
            f"2 × log2 {n} × {n}² × {c} channels, {figure(fast / macs, '%')} of the pass",
        ),
    ]  # fmt: skip


def _adds_work(claim: Claim, claims: ClaimSet) -> Judged:
    workings, shares = added_work(claims)
    if shares is None:
        reason = "The network or the places of the layer are not stated, so nothing can be counted."
        return "inconclusive", reason, (), ("H15",)
    net = net_work(claims, shares)
    if net is None:
        return "inconclusive", NOT_STATED, tuple(workings), ("H15",)
    workings += _removed(claims)
    added = figure(shares, "%")
    if not claims.context.macs_removed:
        reason = (
            "The layer is inserted and no convolution is removed, so it replaces no "
            f"multiplication: it adds {added} to the work of a forward pass."
        )
        return "contradicted", reason, tuple(workings), ("H15",)
    removed = figure(shares[0] - net[0], "%")
    reason = f"The layer adds {added} to the work of a forward pass and removes {removed} of it"
    if net[0] > 0:
        return "contradicted", f"{reason}: it adds work.", tuple(workings), ("H15",)
    reason += "; whether that saves energy takes a measurement."
    return "inconclusive", reason, tuple(workings), ("H15",)


#: Why nothing follows from what a layer adds alone.
NOT_STATED = (
    "What the layer replaces is not stated (`macs_removed` in [context], 0 where it is inserted "
    "only), so what it adds says nothing on the whole."
)


def net_work(claims: ClaimSet, shares: tuple[float, float]) -> tuple[float, float] | None:
    """`shares` of added work less what is removed; None where what is removed is not stated."""
    macs, removed = macs_of(claims.context), claims.context.macs_removed
    if macs is None or removed is None:
        return None
    return shares[0] - removed / macs, shares[1] - removed / macs


def _removed(claims: ClaimSet) -> list[Working]:
    removed = claims.context.macs_removed
    if not removed:
        return []
    return [Working("removed with what the layers replace", removed, "MAC", "as stated")]


def _power_of_two(claim: Claim, claims: ClaimSet) -> Judged:
    orders = witnessed_orders()
    workings = tuple(
        Working(f"Hadamard matrix of order {n}", float(n), "", f"built; H · Hᵀ = {n} · I holds")
        for n in orders
    )
    sizes = sorted({site.size for site in claims.sites}, reverse=True)
    without = [n for n in sizes if n > 2 and n % 4]
    reason = (
        f"Exact Hadamard matrices of orders {', '.join(map(str, orders))} exist and were built "
        "here, so powers of two are not required."
    )
    if without:
        reason += (
            f" Of {', '.join(map(str, without))} none exists (an order above 2 is a multiple of "
            "4), so there some padding is."
        )
    return "contradicted", reason, workings, ("H18",)


def _n_log_n(claim: Claim, claims: ClaimSet) -> Judged:
    workings = []
    for site in claims.sites:
        n = site.padded
        workings.append(
            Working(
                f"dense over fast at {site.layer}", n / math.log2(n), "",
                f"2 × {n} MACs against 2 × log2 {n} = {2 * math.log2(n):g} additions an element",
            )
        )  # fmt: skip
    reason = (
        "A fast WHT does cost O(N log N), but the recursive Sylvester construction that the "
        "sources name builds a matrix, and products with it cost O(N √N) for a plane of N "
        "elements; which of the two ran is not stated."
    )
    return "inconclusive", reason, tuple(workings), ("H15",)


def _in_place(claim: Claim, claims: ClaimSet) -> Judged:
    grown = [site for site in claims.sites if site.padded != site.size]
    workings = tuple(
        Working(
            f"map at {site.layer} after padding", (site.padded / site.size) ** 2, "times",
            f"({site.padded} / {site.size})²",
        )
        for site in grown
    )  # fmt: skip
    if not grown:
        reason = "No size needs padding, so only a measured peak of memory can judge this."
        return "not measurable here", reason, (), ("H16",)
    reason = (
        "Over height and width, at powers of two, the maps do not fit in their own memory: "
        + " and ".join(
            f"{site.size} × {site.size} padded to {site.padded} × {site.padded} holds "
            f"{figure((site.padded / site.size) ** 2)} times the elements"
            for site in grown
        )
    )
    channels = sorted({site.channels for site in grown})
    if all(n & (n - 1) == 0 for n in channels):
        reason += (
            f"; over the channels ({', '.join(f'{n:,}' for n in channels)}: powers of two) "
            "nothing is padded and nothing grows"
        )
    reason += ". Which axes are transformed is not stated, so it stays open."
    return "inconclusive", reason, workings, ("H16", "H18")


def _phase(claim: Claim, claims: ClaimSet) -> Judged:
    size = max((site.size for site in claims.sites), default=8)
    image = np.random.default_rng(0).standard_normal((size, size))
    moved = np.roll(image, (3, 1), axis=(0, 1))
    spectra = [np.abs(np.fft.fft2(plane)) for plane in (image, moved)]
    change = float(np.linalg.norm(spectra[0] - spectra[1]) / np.linalg.norm(spectra[0]))
    distinct = len(np.unique(spectra[0].round(9)))
    workings = (
        Working("change of the magnitude when the image is shifted", change, "",
                f"relative, random {size} × {size} plane, shifted by (3, 1)"),
        Working("distinct magnitudes", float(distinct), "",
                f"counted, of {size * size:,} real values: a real plane's spectrum is symmetric"),
    )  # fmt: skip
    if change > PHASE_CHANGE or distinct == size * size:
        reason = f"The magnitude of a shifted plane differs by {figure(change, '%')}: no such loss."
        return "contradicted", reason, workings, ("H18",)
    reason = (
        "The magnitude of a shifted plane is that of the plane itself, and only "
        f"{figure(distinct / size**2, '%')} of its values are distinct: where a feature lies is "
        "lost, and no later layer can restore it."
    )
    return "reproduced", reason, workings, ("H18",)


def _axes(claim: Claim, claims: ClaimSet) -> Judged:
    reason = (
        "tf.signal.fft2d transforms the two innermost axes (its documentation says so), and "
        "Keras keeps maps as (batch, height, width, channels): without a transposition, which no "
        "source mentions, these are width and channels."
    )
    return "inconclusive", reason, (), ("H18",)


def _multi_scale(claim: Claim, claims: ClaimSet) -> Judged:
    reason = (
        "No measurable quantity is stated; a gain over a fixed random orthogonal layer at the "
        "same places would be the least that it needs, and takes training runs."
    )
    return "not measurable here", reason, (), ("H17",)


CHECKS: dict[str, Callable[[Claim, ClaimSet], Judged]] = {
    "adds-work": _adds_work,
    "axes": _axes,
    "in-place": _in_place,
    "multi-scale": _multi_scale,
    "n-log-n": _n_log_n,
    "phase": _phase,
    "power-of-two": _power_of_two,
}
