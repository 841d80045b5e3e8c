"""The audit as the report shows it: plain values out of an `Audit`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .summary import AUDIT_ORDER
from .words import percent

if TYPE_CHECKING:
    from ..audit import Audit, Finding


def audit_view(audit: Audit) -> dict[str, Any]:
    """An audit as JSON-ready values, each figure also as `text` with its unit.

    The findings that say most come first, those of one verdict in the audit's order.
    """
    findings = [_finding(finding) for finding in audit.results]
    return {
        "name": audit.name,
        "title": audit.title,
        "source": audit.source,
        "summary": audit.summary,
        "findings": sorted(findings, key=lambda found: AUDIT_ORDER.index(found["verdict"])),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    values = finding.to_dict()
    for slip, found in zip(values["slips"], finding.slips, strict=True):
        slip["text"] = found.text
    for shown in values["explanations"]:
        shown["share"] = percent(shown["plausibility"], 0)
    return values
