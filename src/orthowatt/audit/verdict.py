"""The audit: every claim of a source with its verdict, reason and arithmetic."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputTypeError
from ..record import Study
from .claims import Claim, ClaimSet, load_claims
from .figures import judge_energy, judge_memory, judge_ratio
from .measured import combined, evidence
from .mechanisms import judge_mechanism
from .workings import VERDICTS, Explanation, Finding, Working, figure, jsonable


@dataclass(frozen=True)
class Audit:
    """The findings on one source's claims, in the order in which it makes them."""

    name: str
    title: str
    source: str
    results: tuple[Finding, ...]
    summary: str
    url: str | None = None
    unknown: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many claims have each verdict; all five verdicts are named."""
        found = [finding.verdict for finding in self.results]
        return {verdict: found.count(verdict) for verdict in VERDICTS}

    @property
    def explanations(self) -> tuple[Explanation, ...]:
        """The best explanations of the implausible energies, each once."""
        found = [e for finding in self.results for e in finding.explanations]
        return tuple(dict.fromkeys(found))

    def get(self, claim_id: str) -> Finding | None:
        """The finding on one claim, or None."""
        return next((f for f in self.results if f.claim_id == claim_id), None)

    def to_dict(self) -> dict[str, Any]:
        """The audit as JSON-ready values."""
        values = {
            f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "results"
        }
        results = [finding.to_dict() for finding in self.results]
        return jsonable({**values, "counts": self.counts, "results": results})


def audit_claims(
    claims: str | Path | ClaimSet | Sequence[Claim], studies: Iterable[Study | str | Path] = ()
) -> Audit:
    """Judge claims by arithmetic and, where studies match their conditions, by measured runs.

    `claims` is the name of a bundled file, a TOML file's path, or claims; `studies` are studies
    or their folders. Raises `InputError` for bad claims, `DataError` for unreadable files.

    >>> audit = audit_claims("arxiv-2506.16418")
    >>> audit.get("energy-none").verdict
    'implausible'
    """
    claims = _claim_set(claims)
    loaded = [study if isinstance(study, Study) else Study.load(Path(study)) for study in studies]
    results = tuple(_judge(claim, claims, loaded) for claim in claims.claims)
    return Audit(
        name=claims.name,
        title=claims.title,
        source=claims.source,
        results=results,
        summary=_summary(results),
        url=claims.url,
        unknown=claims.unknown,
    )


def _claim_set(claims: Any) -> ClaimSet:
    if isinstance(claims, ClaimSet):
        return claims
    if isinstance(claims, (str, Path)):
        return load_claims(claims)
    listed = tuple(claims) if isinstance(claims, Iterable) else (claims,)
    if not listed or not all(isinstance(claim, Claim) for claim in listed):
        raise InputTypeError(
            f"claims is {type(claims).__name__}, but must be a bundled name, a TOML file or a list "
            "of claims"
        )
    return ClaimSet("claims", "Claims", "given directly", listed, context=listed[0].context)


def _judge(claim: Claim, claims: ClaimSet, studies: Sequence[Study]) -> Finding:
    finding = _by_arithmetic(claim, claims)
    found = evidence(claim, claims, studies)
    if not found:
        return finding
    texts = tuple(item.text for item in found)
    verdict = combined(found)
    if verdict is None:
        return dataclasses.replace(finding, evidence=texts)
    if verdict == "inconclusive" and finding.verdict == "implausible":
        return dataclasses.replace(finding, evidence=texts)  # the arithmetic still stands
    deciding = next(item.text for item in found if item.verdict == verdict)
    return dataclasses.replace(finding, verdict=verdict, reason=deciding, evidence=texts)


def _by_arithmetic(claim: Claim, claims: ClaimSet) -> Finding:
    if claim.kind == "energy":
        return judge_energy(claim, claims)
    if claim.kind == "ratio":
        return judge_ratio(claim, claims)
    if claim.kind == "memory":
        return judge_memory(claim, claims)
    if claim.kind == "mechanism":
        return judge_mechanism(claim, claims)
    return _accuracy(claim, claims)


def _accuracy(claim: Claim, claims: ClaimSet) -> Finding:
    """Accuracy cannot be calculated: what a run would have to show, and against what."""
    workings = _binomial(claim, claims)
    reference = claims.reference
    known = ""
    if reference is not None:
        low, high = reference.accuracy_percent
        known = f"the same network without any transform reaches {low:g} to {high:g} %"
    if claim.kind == "difference":
        reason = "One figure a row, without seeds or spread, cannot show a gain"
        reason += f", and {known}: the baseline is weak." if known else "."
        verdict = "inconclusive"
    elif claim.kind == "swing":
        reason = "This takes training runs; none under the stated conditions is given."
        verdict = "not measurable here"
    else:
        reason = "This takes training runs; none under the stated conditions is given."
        if reference is not None and 100 * claim.scaled[1] < reference.accuracy_percent[0]:
            reason += f" It is low, for {known} ({reference.source})."
        verdict = "not measurable here"
    return Finding(
        claim.id, claim.kind, claim.statement, verdict, reason, claim.source, ("H17",), workings
    )


def _binomial(claim: Claim, claims: ClaimSet) -> tuple[Working, ...]:
    """The error that a finite test set alone gives an accuracy."""
    images = claims.context.test_images
    rows = [claim] if claim.kind == "accuracy" else [claims.get(claim.against)]
    if images is None or claim.kind == "swing" or rows[0] is None or rows[0].kind != "accuracy":
        return ()
    workings = []
    for p in dict.fromkeys(rows[0].scaled):
        error = math.sqrt(p * (1 - p) / images)
        workings.append(
            Working(
                f"binomial error at {figure(p, '%')}", 100 * error, "points",
                f"√(p (1 − p) / {images:,} test images)",
            )
        )  # fmt: skip
    return tuple(workings)


def _summary(results: Sequence[Finding]) -> str:
    counts = {v: sum(f.verdict == v for f in results) for v in VERDICTS}
    named = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    text = f"Of {len(results)} claims: {', '.join(named)}."
    best = next((f.explanations[0] for f in results if f.explanations), None)
    if best is not None:
        text += f" The energies are best explained by {' with '.join(best.slips)}: {best.name}."
    return text
