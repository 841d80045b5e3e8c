"""Claims judged by measured runs, where the runs were made under the claim's conditions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError
from ..record import RunRecord, Study
from ..stats import Comparison, compare, mean_interval
from .claims import Claim, ClaimSet
from .floor import devices
from .workings import Verdict

#: A claim is printed to a point, so half a point of it is rounding.
ROUNDING = 0.005
#: Validation accuracy that moves by more than this within the last half of a run swings.
SWING = 0.2
#: Conditions that must match, by kind of claim. A ratio of energies holds for any epochs and GPU.
CONDITIONS = {
    "accuracy": ("model", "pretrained", "data", "image_size", "epochs"),
    "difference": ("model", "pretrained", "data", "image_size", "epochs"),
    "swing": ("model", "pretrained", "data", "image_size", "epochs"),
    "ratio": ("model", "data", "image_size"),
    "energy": ("model", "data", "image_size", "epochs", "device"),
    "mechanism": ("model", "data", "image_size"),
}
#: Mechanisms on which runs have something to say.
CHECKS = ("adds-work", "multi-scale")


@dataclass(frozen=True)
class Evidence:
    """What one study says on a claim: a sentence, and a verdict where its conditions match."""

    text: str
    verdict: Verdict | None


Measured = tuple[str, Verdict | None] | None


def evidence(claim: Claim, claims: ClaimSet, studies: Sequence[Study]) -> list[Evidence]:
    """What the studies say on a claim, one entry for each variant that it speaks of."""
    found = []
    if claim.kind not in CONDITIONS or (claim.kind == "mechanism" and claim.check not in CHECKS):
        return []
    for study in studies:
        for name in _variants(claim, study):
            said = _measured(claim, claims, study, name)
            if said is None:
                continue
            text, verdict = said
            differing = _differing(claim, claims, study, name)
            if differing:
                text += f"; conditions differ ({', '.join(differing)}), so it does not judge this"
                verdict = None
            found.append(Evidence(f"Study {study.config.name}: {text}.", verdict))
    return found


def combined(found: Sequence[Evidence]) -> Verdict | None:
    """One verdict of several: contradiction by any, reproduction by all; None where none judges."""
    verdicts = {item.verdict for item in found if item.verdict is not None}
    if not verdicts:
        return None
    for verdict in ("contradicted", "inconclusive", "reproduced"):
        if verdict in verdicts:
            return verdict
    return None


def judged(low: float | None, high: float | None, claimed: tuple[float, float],
           margin: float) -> Verdict:  # fmt: skip
    """A measured interval against a claimed value or range, widened by a margin.

    Reproduced when the whole interval lies within, contradicted when none of it does.

    >>> judged(0.78, 0.80, (0.79, 0.79), 0.015), judged(0.70, 0.72, (0.79, 0.79), 0.015)
    ('reproduced', 'contradicted')
    """
    if low is None or high is None:
        return "inconclusive"
    bottom, top = claimed[0] - margin, claimed[1] + margin
    if high < bottom or low > top:
        return "contradicted"
    return "reproduced" if bottom <= low and high <= top else "inconclusive"


def _variants(claim: Claim, study: Study) -> list[str]:
    """The study's variants that a claim speaks of: its transform, bare, at its position."""
    found = []
    for variant in study.config.variants:
        config = study.config.run(variant.name, study.config.seeds[0])
        plain = config.transform == "none"
        if config.transform != claim.transform or not (plain or config.layer == "bare"):
            continue
        if plain or claim.position in (None, config.position):
            found.append(variant.name)
    return found


def _differing(claim: Claim, claims: ClaimSet, study: Study, name: str) -> list[str]:
    """The conditions in which a study's variant is not what the claim speaks of."""
    config = study.config.run(name, study.config.seeds[0])
    context = claims.context
    given = {
        "model": config.model.split(".")[0].removeprefix("orthowatt_"),
        "pretrained": config.pretrained or config.weights is not None,
        "data": config.data,
        "image_size": config.image_size,
    }
    found = []
    for key in CONDITIONS[claim.kind]:
        if key in given:
            stated = getattr(context, key)
            if stated is not None and stated != given[key]:
                found.append(f"{key} {given[key]}, not {stated}")
    if "epochs" in CONDITIONS[claim.kind] and context.epochs is not None:
        low, high = context.epochs
        if not low <= config.epochs <= high:
            found.append(f"{config.epochs} epochs, not {low:g} to {high:g}")
    if "device" in CONDITIONS[claim.kind]:
        found += _other_device(claim, claims, study.of_variant(name))
    return found


def _other_device(claim: Claim, claims: ClaimSet, records: list[RunRecord]) -> list[str]:
    key = claim.device or claims.context.device
    if key is None:
        return []
    wanted = devices().get(key)
    if wanted is None:
        return [f"device {key}, of which no figures are kept"]
    for record in records:
        names = [str(gpu.get("name", "")) for gpu in record.hardware.get("gpus") or []]
        if not any(pattern in name for name in names for pattern in wanted.match):
            shown = ", ".join(names) or "no GPU"
            return [f"device {shown}, not {wanted.name}"]
    return []


def _measured(claim: Claim, claims: ClaimSet, study: Study, name: str) -> Measured:
    """A sentence on what was measured and the verdict it would give; None without any run."""
    records = [r for r in study.of_variant(name) if r.status == "finished" and not r.stale]
    if not records:
        return None
    if claim.kind == "accuracy":
        return _accuracy(claim, study, name, records)
    if claim.kind == "energy":
        return _energy(claim, study, name, records)
    if claim.kind == "swing":
        return _swing(name, records)
    if claim.check == "adds-work":
        return _cost(study, name, records)
    if claim.check == "multi-scale":
        return _against_random(study, name, records)
    return _compared(claim, claims, study, name, records)


def _accuracy(claim: Claim, study: Study, name: str, records: list[RunRecord]) -> Measured:
    found = mean_interval(record.metric("test_accuracy") for record in records)
    if found.mean is None:
        return None
    text = f"{name} reaches {100 * found.mean:.1f} %"
    if found.low is not None and found.high is not None:
        text += f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    text += f" in {found.n} run{'s' if found.n > 1 else ''}"
    margin = study.config.accuracy_margin + ROUNDING
    return text, judged(found.low, found.high, claim.scaled, margin)


def _energy(claim: Claim, study: Study, name: str, records: list[RunRecord]) -> Measured:
    known = [
        record.energy_of("run")["joules"]
        for record in records
        if not record.resumed and record.energy_of("run").get("status") == "measured"
    ]
    found = mean_interval(math.log(joules) for joules in known if joules and joules > 0)
    if found.mean is None:
        return None
    text = f"{name} takes {math.exp(found.mean) / 1000:,.3g} kJ in {found.n} runs"
    claimed = tuple(math.log(value) for value in claim.scaled)
    margin = math.log(study.config.cost_margin)
    return text, judged(found.low, found.high, (claimed[0], claimed[1]), margin)


def _swing(name: str, records: list[RunRecord]) -> Measured:
    spreads = []
    for record in records:
        seen = [epoch.get("validation_accuracy") for epoch in record.epochs]
        half = [value for value in seen[len(seen) // 2 :] if value is not None]
        if len(half) > 1:
            spreads.append(max(half) - min(half))
    if not spreads:
        return None
    text = f"validation accuracy of {name} moves by up to {100 * max(spreads):.1f} points"
    text += " in the last half"
    swings = [spread > SWING for spread in spreads]
    verdict: Verdict = "inconclusive"
    if all(swings):
        verdict = "reproduced"
    elif not any(swings):
        verdict = "contradicted"
    return text, verdict


def _compared(
    claim: Claim, claims: ClaimSet, study: Study, name: str, records: list[RunRecord]
) -> Measured:
    against = claims.get(claim.against)
    assert against is not None
    base = [b for b in _variants(against, study) if b != name]
    if not base:
        return None
    metric = "energy" if claim.kind == "ratio" else "accuracy"
    try:
        found = compare(study.of_variant(base[0]), records, metric=metric)
    except InputError as error:
        return f"{name} cannot be compared with {base[0]}: {error}", "inconclusive"
    text = f"{name} against {base[0]}, {found.describe()}"
    if claim.kind == "difference":
        margin = study.config.accuracy_margin + ROUNDING
        return text, judged(found.low, found.high, claim.scaled, margin)
    return text, _ratio_verdict(claim, found, math.log(study.config.cost_margin))


def _ratio_verdict(claim: Claim, found: Comparison, margin: float) -> Verdict:
    if claim.values:
        low, high = (math.log(max(value, 1e-12)) for value in claim.scaled)
        return judged(found.low, found.high, (low, high), margin)
    if found.low is None or found.high is None:
        return "inconclusive"
    if found.high < -margin:  # "less" without a figure: more than the margin less
        return "reproduced"
    return "contradicted" if found.low > -margin else "inconclusive"


def _cost(study: Study, name: str, records: list[RunRecord]) -> Measured:
    """What a layer costs in energy, or in time where no energy is known; judges nothing alone."""
    if name == study.config.baseline:
        return None
    base = study.of_variant(study.config.baseline)
    for metric in ("energy", "time"):
        try:
            found = compare(base, records, metric=metric)
        except InputError:
            continue
        if found.n:
            return f"{name} against {study.config.baseline}, {found.describe()}", None
    return None


def _against_random(study: Study, name: str, records: list[RunRecord]) -> Measured:
    """A layer against the fixed random orthogonal one at the same place: a gain is the least."""
    config = study.config.run(name, study.config.seeds[0])
    place = ("random", config.position, config.layer)
    for variant in study.config.variants:
        control = study.config.run(variant.name, study.config.seeds[0])
        if (control.transform, control.position, control.layer) != place:
            continue
        found = compare(study.of_variant(variant.name), records)
        if not found.n:
            continue
        text = f"{name} against {variant.name}, {found.describe()}"
        no_gain = found.verdict == "equivalent" or (found.high is not None and found.high < 0)
        return text, "contradicted" if no_gain else "inconclusive"
    return None
