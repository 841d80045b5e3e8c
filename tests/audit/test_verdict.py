"""The audit as a whole: verdicts and reasons, without runs."""

import dataclasses
import json

import pytest

from orthowatt.audit import (
    VERDICTS,
    Claim,
    ClaimSet,
    Context,
    audit_claims,
    load_claims,
)
from orthowatt.errors import InputError, InputTypeError

PAPER = load_claims("arxiv-2506.16418")
AUDIT = audit_claims(PAPER)


def energy(joules, unit="kJ", **context):
    given = dataclasses.replace(PAPER.context, **context)
    claim = Claim("e", "energy", "It takes that.", "here", (joules,), unit)
    return audit_claims(ClaimSet("n", "t", "s", (claim,), context=given)).results[0]


def working(finding, label):
    return next(w.value for w in finding.workings if w.label == label)


def test_every_claim_has_one_of_the_five_verdicts_and_a_reason():
    assert len(AUDIT.results) == len(PAPER.claims)
    for finding in AUDIT.results:
        assert finding.verdict in VERDICTS
        assert finding.reason.endswith(".")
        assert finding.source


def test_the_baselines_energy():
    """25,606 kJ = 7.11 kWh = 17.8 h at 400 W: 16 to 63 kW over an ordinary run."""
    found = AUDIT.get("energy-none")
    assert found.verdict == "implausible"
    assert working(found, "stated energy") == pytest.approx(7.11, abs=0.005)
    assert working(found, "time at the power limit") / 3600 == pytest.approx(17.8, abs=0.05)
    low, high = working(found, "implied mean power")
    assert low == pytest.approx(16.0e3, rel=0.01)
    assert high == pytest.approx(63.2e3, rel=0.01)
    assert "17.8 h" in found.reason


def test_the_variants_energy():
    """39 kJ / 25 epochs / 50,000 = 0.031 J an image, 3 to 5 times below the best rate."""
    found = AUDIT.get("energy-wht-early-late")
    assert found.verdict == "implausible"
    assert working(found, "energy of an image") == pytest.approx(0.0312)
    assert working(found, "compute floor") == pytest.approx(39.4e3, rel=0.005)
    assert "3.24 to 5.19 times less" in found.reason
    assert "101 % of the bf16 peak" in found.reason


def test_both_energies_share_the_best_explanation():
    for claim_id in ("energy-none", "energy-wht-early-late", "saving-wht-early-late"):
        assert [e.slips for e in AUDIT.get(claim_id).explanations] == [("H1", "H3"), ("H2", "H4")]
    assert len(AUDIT.explanations) == 2


def test_the_saving():
    found = AUDIT.get("saving-wht-early-late")
    assert found.verdict == "implausible"
    ratio = working(found, "ratio of the two figures")
    assert 1 - ratio == pytest.approx(0.998, abs=0.0006)
    assert AUDIT.get("saving-dct").verdict == "implausible"


@pytest.mark.parametrize(
    ("kilojoules", "verdict"),
    [
        (25_606, "implausible"),
        (1_300, "implausible"),
        (1_200, "not measurable here"),
        (493, "not measurable here"),
        (60, "not measurable here"),
        (45, "implausible"),
        (39, "implausible"),
    ],
)
def test_energies_far_outside_the_ordinary_are_implausible(kilojoules, verdict):
    found = energy(kilojoules)
    assert found.verdict == verdict
    assert bool(found.explanations) == (verdict == "implausible")


def test_without_conditions_an_energy_is_inconclusive():
    found = energy(39, epochs=None)
    assert found.verdict == "inconclusive"
    assert "how many epochs" in found.reason


def test_without_a_public_rate_the_floor_still_holds():
    """T4: 20 epochs of 1.23e15 FLOP at 65 TFLOP/s and 70 W take at least 26 kJ."""
    low, high = energy(20, device="t4"), energy(40, device="t4")
    assert (low.verdict, low.hypotheses) == ("implausible", ("H13",))
    assert working(low, "compute floor") == pytest.approx(26.4e3, rel=0.005)
    assert high.verdict == "inconclusive"
    assert "no public training rate" in high.reason


def test_inference_is_not_judged_as_training():
    found = energy(0.1, phase="inference")
    assert found.verdict == "inconclusive"
    assert "only training" in found.reason


def test_memory_is_checked_against_the_boards():
    assert AUDIT.get("memory-l4").verdict == "implausible"
    assert "24 GB" in AUDIT.get("memory-l4").reason
    assert AUDIT.get("memory-t4").verdict == "inconclusive"
    assert AUDIT.get("memory-wht").verdict == "inconclusive"
    assert "batch size" in AUDIT.get("memory-wht").reason


def test_accuracy_takes_runs_and_the_baseline_is_weak():
    assert AUDIT.get("accuracy-none").verdict == "not measurable here"
    assert "84 to 87 %" in AUDIT.get("accuracy-none").reason
    gain = AUDIT.get("gain-wht-early-late")
    assert gain.verdict == "inconclusive"
    assert gain.hypotheses == ("H17",)
    # the error of 10,000 test images at 66 and 79 %: 0.47 and 0.41 points
    assert gain.workings[0].value == pytest.approx(0.47, abs=0.005)
    late = AUDIT.get("accuracy-wht-early-late")
    assert late.workings[0].value == pytest.approx(0.41, abs=0.005)


def test_a_ratio_near_one_is_ordinary():
    claims = (
        Claim("a", "energy", "A.", "here", (300,), "kJ"),
        Claim("b", "energy", "B.", "here", (310,), "kJ", against="a"),
        Claim("r", "ratio", "R.", "here", (3.3,), "% more", against="a", variant="b"),
    )
    found = audit_claims(dataclasses.replace(PAPER, claims=claims))
    assert [f.verdict for f in found.results] == ["not measurable here"] * 3
    assert found.explanations == ()


def test_counts_and_summary_agree():
    assert sum(AUDIT.counts.values()) == len(AUDIT.results)
    assert set(AUDIT.counts) == set(VERDICTS)
    assert f"Of {len(AUDIT.results)} claims" in AUDIT.summary
    assert "H1 with H3" in AUDIT.summary


def test_to_dict_is_strict_json():
    values = AUDIT.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    first = next(r for r in values["results"] if r["claim_id"] == "energy-none")
    assert first["workings"][1]["text"] == "17.8 h"


def test_claims_may_be_given_directly():
    context = Context(**{**dataclasses.asdict(PAPER.context), "epochs": (25, 25)})
    claim = Claim("e", "energy", "It takes 39 kJ.", "here", (39,), "kJ", context=context)
    assert audit_claims([claim]).results[0].verdict == "implausible"


def test_bad_arguments():
    with pytest.raises(InputTypeError, match="claims is list"):
        audit_claims([])
    with pytest.raises(InputTypeError, match="a bundled name"):
        audit_claims([1, 2])
    with pytest.raises(InputError, match="neither a file nor a bundled"):
        audit_claims("nowhere.toml")
