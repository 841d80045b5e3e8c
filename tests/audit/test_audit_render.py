"""The audit as text."""

import pytest

from orthowatt.audit import audit_claims, format_audit
from orthowatt.audit.render import audit_rows
from orthowatt.audit.workings import duration, figure

AUDIT = audit_claims("arxiv-2506.16418")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_asked(width):
    for details in (False, True):
        text = format_audit(AUDIT, width, details)
        assert all(len(line) <= width for line in text.splitlines())


def test_every_claim_and_its_verdict_is_there():
    text = " ".join(format_audit(AUDIT, details=False).split())
    for finding in AUDIT.results:
        assert f"{finding.verdict.upper()} {finding.statement} [{finding.claim_id}]" in text
        assert finding.reason in text
    assert AUDIT.summary in text


def test_details_show_the_arithmetic_once():
    text = " ".join(format_audit(AUDIT).split())
    assert "17.8 h (25,606 kJ / 400 W)" in text
    assert "12.6 million additions (2 × log2 64 × 64² × 256 channels" in text
    assert text.count("134 MMAC") == 1
    assert "the other figures as at saving-wht-early-late" in text
    assert text.count("1.52 times the baseline") == 2  # two explanations, each once
    assert "(25,606 kJ / 400 W)" not in format_audit(AUDIT, details=False)


def test_rows_for_tables():
    rows = audit_rows(AUDIT)
    assert len(rows) == len(AUDIT.results)
    assert ("energy-none", "implausible") in [row[:2] for row in rows]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (25_606_000.0, "J", "25,606 kJ"),
        (39.0, "J", "39 J"),
        (0.0312, "J", "0.0312 J"),
        (63_200.0, "W", "63.2 kW"),
        (1.226e15, "FLOP", "1.23e15 FLOP"),
        (4.089e9, "MAC", "4.09 GMAC"),
        (12_582_912.0, "additions", "12.6 million additions"),
        ((0.0036, 0.035), "%", "0.36 to 3.5 %"),
        ((5.0, 5.0), "", "5"),
        (12_821.0, "images/s", "12,821 images/s"),
    ],
)
def test_figures(value, unit, text):
    assert figure(value, unit) == text


def test_durations():
    assert duration(97.5) == "97.5 s"
    assert duration(63_990) == "17.8 h"
    assert duration((405, 1600)) == "6.75 to 26.7 min"
