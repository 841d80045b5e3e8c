"""An audit as plain text for a terminal or a pipe."""

from __future__ import annotations

import textwrap

from .slips import HYPOTHESES
from .verdict import Audit
from .workings import Explanation, Finding, Working

INDENT = "    "


def format_audit(audit: Audit, width: int = 100, details: bool = True) -> str:
    """The audit as text no wider than `width` columns (40 at least); no colour, no control codes.

    `details=False` leaves out the arithmetic, the evidence and the table of slips.

    >>> from .verdict import audit_claims
    >>> format_audit(audit_claims("arxiv-2506.16418"), width=80).splitlines()[0]
    'Efficient Transformations in Deep Learning Convolutional Neural Networks'
    """
    width = max(width, 40)
    lines = [*_wrapped(audit.title, width), *_wrapped(audit.source, width)]
    if audit.url:
        lines.append(audit.url)
    lines.append("")
    shown: dict[Working, str] = {}
    for finding in audit.results:
        lines += _finding(finding, width, details, shown)
    if audit.explanations:
        lines += [*_wrapped("What would explain the stated energies best", width), ""]
        for number, explanation in enumerate(audit.explanations, start=1):
            lines += _explanation(number, explanation, width)
    if details:
        lines += _slips(audit, width)
    if audit.unknown:
        lines += [*_wrapped(f"No source states: {', '.join(audit.unknown)}.", width), ""]
    lines += _wrapped(audit.summary, width)
    return "\n".join(lines) + "\n"


def audit_rows(audit: Audit) -> list[tuple[str, str, str, str]]:
    """Claim id, verdict, statement and reason of each finding, for tables."""
    return [(f.claim_id, f.verdict, f.statement, f.reason) for f in audit.results]


def _finding(finding: Finding, width: int, details: bool, shown: dict[Working, str]) -> list[str]:
    lines = _wrapped(f"{finding.verdict.upper()}  {finding.statement}  [{finding.claim_id}]", width)
    lines += _wrapped(finding.reason, width, INDENT)
    if details:
        earlier = [shown[working] for working in finding.workings if working in shown]
        for working in finding.workings:
            if working not in shown:
                shown[working] = finding.claim_id
                text = f"{working.label}: {working.text} ({working.formula})"
                lines += _wrapped(text, width, INDENT + "· ", INDENT + "  ")
        if earlier:
            text = f"the other figures as at {', '.join(dict.fromkeys(earlier))}"
            lines += _wrapped(text, width, INDENT + "· ", INDENT + "  ")
        for said in finding.evidence:
            lines += _wrapped(said, width, INDENT + "› ", INDENT + "  ")
    return [*lines, ""]


def _explanation(number: int, explanation: Explanation, width: int) -> list[str]:
    head = f"{number}. {' + '.join(explanation.slips)}: {explanation.name}"
    if explanation.twins:
        head += f" ({', '.join(explanation.twins)} prints the same figures)"
    share = f"{100 * explanation.plausibility:.0f} % of the weight of all explanations tried."
    return [
        *_wrapped(head, width, "", "   "),
        *_wrapped(explanation.arithmetic, width, "   "),
        *_wrapped(share, width, "   "),
        "",
    ]


def _slips(audit: Audit, width: int) -> list[str]:
    """Each stated energy as each slip alone would have it; best fits first."""
    lines = []
    for finding in audit.results:
        if finding.verdict != "implausible" or not finding.slips:
            continue
        lines += [*_wrapped(f"{finding.claim_id}, one slip at a time", width), ""]
        for slip in finding.slips:
            said = "fits" if slip.fit >= 0.5 else "near" if slip.fit >= 0.01 else "does not fit"
            text = f"{slip.slip:<4}{said:<13}{HYPOTHESES[slip.slip]}: {slip.arithmetic}"
            lines += _wrapped(text, width, INDENT, INDENT + " " * 17)
        lines.append("")
    return lines


def _wrapped(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
    )
