"""What was found, in sentences made from the verdicts: the first thing that a reader sees."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import failures
from .sections import Section
from .tables import Row
from .words import fixed, listing, number, percent, plain, plural

_SPACE = "\N{NO-BREAK SPACE}"
#: The change of the logits below which an insertion left the network's function as it was.
UNCHANGED = 1e-4
#: The verdicts of an audit, those first that say most.
AUDIT_ORDER = ("contradicted", "implausible", "reproduced", "inconclusive", "not measurable here")


def lede(section: Section) -> str:
    """One sentence: is any variant shown to be better than the baseline?"""
    base = f"the baseline ({section.config.baseline})"
    if not section.records:
        return "No run of this study is finished yet, so there is nothing to compare."
    if not section.others:
        return f"One variant was run, {section.config.baseline}: there is nothing to compare with."
    compared = [row for row in section.others if row.accuracy.comparison]
    if not compared:
        return f"No variant can be compared with {base}: one side of each pair has no finished run."
    better = [row for row in _of(compared, "accuracy", "different") if _effect(row) > 0]
    worse = [row for row in _of(compared, "accuracy", "different") if _effect(row) < 0]
    same = _of(compared, "accuracy", "equivalent")
    open_ = _of(compared, "accuracy", "inconclusive")
    if better:
        first = f"{listing(_names(better))} {_is(better)} more accurate than {base}"
    else:
        first = f"No variant is shown to be more accurate than {base}"
    rest = []
    if worse:
        rest.append(f"{len(worse)} {_is(worse)} less accurate")
    if same:
        rest.append(f"{len(same)} {_is(same)} equivalent")
    if open_:
        rest.append(f"{len(open_)} cannot be told apart with {_seeds(open_)}")
    tail = f": of {plural(len(compared), 'variant')}, {listing(rest)}" if rest else ""
    return f"{first}{tail}."


def points(section: Section) -> list[tuple[str, str]]:
    """The findings of a section as (topic, sentences), in the order in which they are read."""
    if not section.records:
        return []
    found = [("Accuracy", _accuracy(section)), ("Time", _cost(section, "time"))]
    found.append(("Energy", _cost(section, "energy")))
    found.append(("Insertion", _insertion(section)))
    found.append(("Added work", _added(section)))
    found.append(("Failure signatures", failures.sentences(section)))
    return [(topic, text) for topic, text in found if text]


def audit_sentence(audit: Mapping[str, Any]) -> str:
    """How the claims fared, in one sentence."""
    findings = audit["findings"]
    counts: dict[str, int] = {}
    for finding in findings:
        counts[finding["verdict"]] = counts.get(finding["verdict"], 0) + 1
    parts = [f"{counts[verdict]} {verdict}" for verdict in AUDIT_ORDER if verdict in counts]
    return f"Of {plural(len(findings), 'claim')}: {listing(parts)}."


def _accuracy(section: Section) -> str:
    base = section.baseline.accuracy
    sentences = []
    if base.mean is not None and base.interval:
        spread = f" ± {fixed(100 * base.half, 1)}" if base.half is not None else ""
        seeds = base.interval.n
        of = f"the mean of {seeds} seeds" if seeds > 1 else "with one seed"
        sentences.append(
            f"The baseline ({section.config.baseline}) reaches "
            f"{fixed(100 * base.mean, 1)}{spread} % on the test set, {of}."
        )
    different = _of(section.others, "accuracy", "different")
    for rows, word in (
        ([row for row in different if _effect(row) > 0], "More accurate"),
        ([row for row in different if _effect(row) < 0], "Less accurate"),
    ):
        if rows:
            each = [f"{row.name} by {_points(row)} points" for row in rows]
            sentences.append(f"{word}: {listing(each)}.")
    within = margin("accuracy", section.config.accuracy_margin)
    same = _of(section.others, "accuracy", "equivalent")
    if same:
        sentences.append(f"Equivalent within ±{within}: {listing(_names(same))}.")
    sentences += _undecided(section, "accuracy", within)
    return " ".join(sentences)


def _cost(section: Section, kind: str) -> str:
    quantities = [getattr(row, kind) for row in section.rows]
    if not any(quantity.interval for quantity in quantities):
        return energy_reason(section) if kind == "energy" else ""
    sentences = []
    noun = "energy" if kind == "energy" else "training time"
    different = _of(section.others, kind, "different")
    for sign, word in ((1, "More"), (-1, "Less")):
        rows = [row for row in different if sign * _effect(row, kind) > 0]
        if rows:
            each = [f"{row.name} by {change(abs_effect(row, kind))}" for row in rows]
            sentences.append(f"{word} {noun}: {listing(each)}.")
    within = margin(kind, math.log(section.config.cost_margin))
    same = _of(section.others, kind, "equivalent")
    if same:
        sentences.append(f"Equal {noun} within ±{within}: {listing(_names(same))}.")
    sentences += _undecided(section, kind, within)
    if not sentences:
        sentences.append(f"{noun.capitalize()} was measured, but there is nothing to compare.")
    return " ".join(sentences)


def energy_reason(section: Section) -> str:
    """One sentence saying why no energy is shown, and the command that helps; "" if some is."""
    quantities = [row.energy for row in section.rows if row.records]
    if not quantities or any(quantity.interval for quantity in quantities):
        return ""
    why = "; ".join(
        sorted({quantity.reason.rstrip(".") for quantity in quantities if quantity.reason})
    )
    mend = "lists every sensor" if "mend" in why else "says how to mend it"
    mend = "" if "orthowatt doctor" in why else f" `orthowatt doctor` {mend}."
    return f"Energy was not measured: {why or 'no run recorded it'}.{mend}"


def _undecided(section: Section, kind: str, within: str) -> list[str]:
    """What the seeds at hand could have shown, and how many a difference of the margin needs."""
    rows = _of(section.others, kind, "inconclusive")
    if not rows:
        return []
    found = [getattr(row, kind).comparison for row in rows]
    parts = [f"Not settled with {_seeds(rows)}: {listing(_names(rows))}"]
    seen = [comparison.detectable for comparison in found if comparison.detectable]
    needed = [comparison.seeds_needed for comparison in found if comparison.seeds_needed]
    if seen:
        parts.append(f"the least difference that could have been seen is {_span(kind, seen)}")
    if needed:
        many = (
            f"{max(needed):,}" if len(set(needed)) == 1 else f"{min(needed):,} to {max(needed):,}"
        )
        parts.append(f"seeing one of {within} takes about {many} seeds")
    return ["; ".join([parts[0], ", and ".join(parts[1:])]) + "." if parts[1:] else parts[0] + "."]


def _insertion(section: Section) -> str:
    """What inserting alone did to the network's output, before any training."""
    known = [row for row in section.others if row.logit_shift is not None]
    kept = [row for row in known if row.logit_shift < UNCHANGED]  # type: ignore[operator]
    moved = [row for row in known if row.logit_shift >= UNCHANGED]  # type: ignore[operator]
    sentences = []
    if kept:
        sentences.append(
            f"Before any training, {listing(_names(kept))} "
            f"{'leaves' if len(kept) == 1 else 'leave'} the logits as they were."
        )
    if moved:
        shifts = [float(row.logit_shift or 0) for row in moved]
        sentences.append(
            f"Inserting {listing(_names(moved))} changes them by {_range(shifts, 0)}."
            if kept
            else f"Before any training, inserting {listing(_names(moved))} changes the logits by "
            f"{_range(shifts, 0)}."
        )
    return " ".join(sentences)


def _added(section: Section) -> str:
    """Nothing is replaced by an insertion, so the work can only grow."""
    added = [row for row in section.others if (row.added_macs_dense or 0) > 0]
    macs = [m for r in section.baseline.records if (m := r.metric("macs"))]
    if not added or not macs:
        return ""
    shares = [float(row.added_macs_dense or 0) / macs[0] for row in added]
    return (
        "A transform is inserted and no convolution is taken out, so each adds work: as dense "
        f"products {_range(shares, 1)} of the baseline's multiply-adds an image."
    )


def margin(kind: str, value: float) -> str:
    """An equivalence margin in the reader's unit, from the comparison's.

    >>> margin("accuracy", 0.01), margin("time", math.log(1.05))
    ('1 point', '5\xa0%')
    """
    if kind != "accuracy":
        return f"{plain(100 * math.expm1(value))}{_SPACE}%"
    shown = plain(100 * value)
    return f"{shown} {'point' if shown == '1' else 'points'}"


def change(log_ratio: float) -> str:
    """A log-ratio as a change in per cent, or as a factor where that is easier to grasp.

    >>> change(math.log(1.05)), change(math.log(12)), change(80.0)
    ('5.0\\xa0%', '12-fold', 'over 1,000-fold')
    """
    if log_ratio > math.log(1000):
        return "over 1,000-fold"
    if log_ratio >= math.log(10):
        return f"{number(math.exp(log_ratio))}-fold"
    return percent(math.expm1(log_ratio))


def detectable(kind: str, effect: float) -> str:
    """The size of an effect in the reader's unit: points of accuracy, or per cent of a cost."""
    if kind == "accuracy":
        return f"{fixed(100 * effect, 1)} points"
    return change(effect)


def _span(kind: str, effects: Sequence[float]) -> str:
    """The range of some effect sizes; one size where they print alike."""
    low, high = detectable(kind, min(effects)), detectable(kind, max(effects))
    if low == high:
        return low
    size, unit = _parted(low)
    return f"{size if unit == _parted(high)[1] else low} to {high}"


def _parted(text: str) -> tuple[str, str]:
    """The number and the unit of a size in print: "1.5 points", "20 %" or "12-fold"."""
    size, unit = re.fullmatch(r"(.*\d)(.*)", text).groups()  # type: ignore[union-attr]
    return size, unit.strip()


def abs_effect(row: Row, kind: str) -> float:
    """A cost's change towards its own sign: 5 % more reads 5 %, 5 % less reads 5 %."""
    effect = _effect(row, kind)
    return effect if effect > 0 else math.log(2 - math.exp(effect))


def _range(shares: Sequence[float], decimals: int) -> str:
    """The range of some fractions in per cent; one number where they print alike."""
    low, high = percent(min(shares), decimals), percent(max(shares), decimals)
    return low if low == high else f"{low.partition(_SPACE)[0]} to {high}"


def _effect(row: Row, kind: str = "accuracy") -> float:
    return getattr(row, kind).comparison.effect


def _points(row: Row) -> str:
    return fixed(abs(100 * _effect(row)), 1)


def _of(rows: Sequence[Row], kind: str, verdict: str) -> list[Row]:
    return [row for row in rows if (c := getattr(row, kind).comparison) and c.verdict == verdict]


def _names(rows: Sequence[Row]) -> list[str]:
    return [row.name for row in rows]


def _is(rows: Sequence[Row]) -> str:
    return "is" if len(rows) == 1 else "are"


def _seeds(rows: Sequence[Row]) -> str:
    least = min(row.n for row in rows)
    most = max(row.n for row in rows)
    return plural(most, "seed") if least == most else f"{least} to {most} seeds"
