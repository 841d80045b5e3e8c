"""Mechanisms: what a layer adds by shape, exact orders beside powers of two, the lost phase."""

import dataclasses

import numpy as np
import pytest
import scipy.linalg

from orthowatt.audit import Claim, ClaimSet, audit_claims, load_claims
from orthowatt.audit.mechanisms import (
    added_work,
    dense_macs,
    fast_additions,
    hadamard_28,
    witnessed_orders,
)

PAPER = load_claims("arxiv-2506.16418")


def finding(claim_id):
    found = audit_claims(PAPER).get(claim_id)
    assert found is not None
    return found


def test_added_work_is_the_papers():
    """134 MMAC (3.3 %) dense and 12.6 M additions (0.3 %) fast at 64; 8.4 MMAC (0.2 %) at 16."""
    assert dense_macs(64, 256) == pytest.approx(134e6, rel=0.005)
    assert fast_additions(64, 256) == pytest.approx(12.6e6, rel=0.005)
    assert dense_macs(16, 1024) == pytest.approx(8.4e6, rel=0.005)
    _, shares = added_work(PAPER)
    assert shares == pytest.approx((0.0036, 0.0349), rel=0.01)


def test_work_is_that_of_a_transform_that_was_run():
    """Both ways on one plane, every operation counted as it is done."""
    n, plane = 8, np.random.default_rng(0).integers(-9, 9, (8, 8))
    fast, additions = plane.copy(), 0
    for axis in (0, 1):
        half = 1
        while half < n:
            rows = np.moveaxis(fast, axis, 0)  # a view: the butterflies are done in place
            for start in range(0, n, 2 * half):
                for k in range(start, start + half):
                    a, b = rows[k].copy(), rows[k + half].copy()
                    rows[k], rows[k + half] = a + b, a - b
                    additions += 2 * n
            half *= 2
    h = scipy.linalg.hadamard(n)
    assert (fast == h @ plane @ h).all()
    assert fast_additions(n, 1) == additions
    products = (h[:, :, None] * plane[None]).size + (plane[:, :, None] * h[None]).size
    assert dense_macs(n, 1) == products


def test_nothing_is_replaced():
    found = finding("mechanism-additions")
    assert found.verdict == "contradicted"
    assert found.hypotheses == ("H15",)
    assert "0.359 to 3.49 %" in found.reason


def test_exact_orders_contradict_powers_of_two():
    found = finding("requirement-power-of-two")
    assert found.verdict == "contradicted"
    assert witnessed_orders() == [28, 56, 112, 224]
    assert "Of 14 none exists" in found.reason


def test_the_witness_is_a_hadamard_matrix():
    h = hadamard_28()
    assert set(np.unique(h)) == {-1, 1}
    assert abs(np.linalg.det(h.astype(float))) == pytest.approx(28.0**14, rel=1e-9)


def test_padding_grows_the_map_only_over_height_and_width():
    """No source states the axes; over 256 and 1024 channels nothing is padded."""
    found = finding("mechanism-in-place")
    assert found.verdict == "inconclusive"
    assert "over the channels (256, 1,024: powers of two) nothing is padded" in found.reason
    assert found.workings[0].value == pytest.approx((64 / 56) ** 2)
    assert any("axes of the WHT" in text for text in PAPER.unknown)
    sites = tuple(dataclasses.replace(site, channels=300) for site in PAPER.sites)
    other = audit_claims(dataclasses.replace(PAPER, sites=sites)).get("mechanism-in-place")
    assert "over the channels" not in other.reason


def removing(macs_removed, saving="saving-wht-early-late"):
    context = dataclasses.replace(PAPER.context, macs_removed=macs_removed)
    audit = audit_claims(dataclasses.replace(PAPER, context=context))
    return audit.get("mechanism-additions"), audit.get(saving)


def test_what_is_removed_comes_from_the_claims():
    assert PAPER.context.macs_removed == 0
    mechanism, saving = removing(None)  # a file that does not say so
    assert (mechanism.verdict, saving.verdict) == ("inconclusive", "inconclusive")
    assert "macs_removed" in mechanism.reason
    assert "macs_removed" in saving.reason
    mechanism, saving = removing(1e6)  # less than the least that is added
    assert (mechanism.verdict, saving.verdict) == ("contradicted", "implausible")
    mechanism, saving = removing(2e9)  # half of the pass: possible, but not 99.8 %
    assert (mechanism.verdict, saving.verdict) == ("inconclusive", "implausible")
    assert "as much as is claimed" in saving.reason
    less = removing(2e9, "saving-wht")[1]  # less, but by no stated figure
    assert less.verdict == "not measurable here"


def test_the_phase_is_judged_by_what_is_computed(monkeypatch):
    monkeypatch.setattr(np.fft, "fft2", lambda plane: plane)  # a "magnitude" that moves along
    assert finding("fft-phase").verdict == "contradicted"


def test_the_claims_on_lowest_energy_and_failing_ffts_are_judged():
    assert finding("saving-wht").verdict == "implausible"
    failing = finding("accuracy-fft-failure")
    assert failing.verdict == "not measurable here"
    assert all(working.value > 0 for working in failing.workings)


def test_the_magnitude_loses_the_phase():
    found = finding("fft-phase")
    assert found.verdict == "reproduced"
    change, distinct = found.workings
    assert change.value < 1e-12
    plane = np.random.default_rng(1).standard_normal((56, 56))
    magnitudes = np.abs(np.fft.fft2(plane)).round(9)
    assert len(np.unique(magnitudes)) == distinct.value


@pytest.mark.parametrize(
    ("claim_id", "verdict"),
    [
        ("fft-axes", "inconclusive"),
        ("mechanism-n-log-n", "inconclusive"),
        ("mechanism-multi-scale", "not measurable here"),
    ],
)
def test_what_arithmetic_cannot_decide_stays_open(claim_id, verdict):
    assert finding(claim_id).verdict == verdict


def test_without_shapes_nothing_is_counted():
    claim = Claim("m", "mechanism", "It saves.", "here", check="adds-work")
    found = audit_claims(ClaimSet("n", "t", "s", (claim,))).results[0]
    assert found.verdict == "inconclusive"
    assert found.workings == ()
