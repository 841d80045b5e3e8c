"""Claims of accuracy, energy, memory and mechanism, judged by arithmetic and by measured runs."""

from .claims import Claim, ClaimSet, Context, bundled, load_claims
from .render import format_audit
from .selftest import self_test
from .verdict import Audit, audit_claims
from .workings import VERDICTS, Explanation, Finding, Working

__all__ = [
    "VERDICTS",
    "Audit",
    "Claim",
    "ClaimSet",
    "Context",
    "Explanation",
    "Finding",
    "Working",
    "audit_claims",
    "bundled",
    "format_audit",
    "load_claims",
    "self_test",
]
