"""Which slips explain printed energies best: one figure alone, or a baseline and its variant.

Every explanation is a slip common to both rows (one script measured them), a slip in one row, a
unit slip in one row on top of a common one, or none. Its weight is a prior, 0.1 for each slip and
0.3 more for each that contradicts what the source states, times the density of the printed
figures under it (`slips.density`). For a pair whose rows differ by known factors only, the second
density is that of the corrected ratio, which the same network with a layer more should keep near
1. A share of all the weight ranks explanations; it is no probability of what happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .claims import Context
from .floor import OrdinaryRun
from .slips import HYPOTHESES, SLIPS, Slip, Span, density
from .workings import Explanation, figure

PRIOR = 0.1
AGAINST_FACT = 0.3
AS_STATED = 0.5
#: Energy of the variant over the baseline's: a layer adds work, at worst an unoptimised one.
RATIOS: Span = (0.8, 2.0)
UNIT_SLIPS = ("H1", "H2")

_BY_KEY = {slip.key: slip for slip in SLIPS}


@dataclass(frozen=True)
class Row:
    """A printed energy in J, and what to call it."""

    joules: float
    name: str


@dataclass(frozen=True)
class _Candidate:
    """The slips of each row; `common` is applied to both, `single` to the row of that index."""

    common: Slip | None
    single: Slip | None
    index: int | None
    weight: float

    def of_row(self, index: int) -> list[Slip]:
        own = [self.single] if self.single is not None and self.index == index else []
        return [slip for slip in [self.common, *own] if slip is not None]

    @property
    def ids(self) -> tuple[str, ...]:
        found = [slip.id for slip in (self.single, self.common) if slip is not None]
        return tuple(sorted(found, key=lambda name: int(name[1:])))


def explain(
    rows: list[Row], run: OrdinaryRun, context: Context | None, count: int = 2
) -> tuple[Explanation, ...]:
    """The `count` best explanations of one printed energy, or of a baseline and a variant.

    `context` holds what the source states; None weighs no slip down. Empty when the figures
    explain themselves: taken as stated they outweigh every slip.

    >>> from .floor import ordinary_run
    >>> context = Context(model="resnet50", image_size=224, train_images=50_000,
    ...                   epochs=(20, 30), device="a100-sxm4", phase="training")
    >>> run = ordinary_run(context)
    >>> rows = [Row(25_606e3, "baseline"), Row(39e3, "variant")]
    >>> [found.slips for found in explain(rows, run, context)]
    [('H1', 'H3'), ('H2', 'H4')]
    """
    candidates = [_weighed(c, rows, run, context) for c in _candidates(len(rows), run)]
    total = sum(candidate.weight for candidate in candidates)
    ranked = sorted(candidates, key=lambda candidate: -candidate.weight)
    if not ranked[0].ids or total == 0:
        return ()
    found: dict[str, list[_Candidate]] = {}
    for candidate in ranked:
        if candidate.ids:
            found.setdefault(_arithmetic_key(candidate), []).append(candidate)
    groups = sorted(found.values(), key=lambda group: -sum(c.weight for c in group))
    return tuple(_explanation(group, rows, run, total) for group in groups[:count])


def _candidates(rows: int, run: OrdinaryRun) -> Iterable[_Candidate]:
    usable = [slip for slip in SLIPS if slip.span(run) is not None]
    units = [slip for slip in usable if slip.id in UNIT_SLIPS]
    rest = [slip for slip in usable if slip.id not in UNIT_SLIPS]
    yield _Candidate(None, None, None, 0.0)
    if rows == 1:  # one row: "common" and "single" are the same thing, so only one is used
        for slip in usable:
            yield _Candidate(None, slip, 0, 0.0)
    else:
        for slip in usable:
            if slip.id != "H12":  # counted in one row only, by its own definition
                yield _Candidate(slip, None, None, 0.0)
        for slip in usable:
            for index in range(rows):
                yield _Candidate(None, slip, index, 0.0)
    for common in rest:
        if common.id == "H12" and rows > 1:
            continue
        for unit in units:
            for index in range(rows):
                yield _Candidate(common, unit, index, 0.0)


def _weighed(
    candidate: _Candidate, rows: list[Row], run: OrdinaryRun, context: Context | None
) -> _Candidate:
    slips = [slip for slip in (candidate.common, candidate.single) if slip is not None]
    weight = AS_STATED if not slips else 1.0
    for slip in slips:
        weight *= PRIOR * (AGAINST_FACT if context and slip.against_fact(context) else 1.0)
    weight *= density(rows[0].joules, _span(candidate.of_row(0), run))
    if len(rows) == 2:
        if candidate.single is None or candidate.single.id in UNIT_SLIPS:
            ratio = _true(rows[1], candidate.of_row(1)) / _true(rows[0], candidate.of_row(0))
            weight *= density(ratio, RATIOS)
        else:
            weight *= density(rows[1].joules, _span(candidate.of_row(1), run))
    return _Candidate(candidate.common, candidate.single, candidate.index, weight)


def _span(slips: list[Slip], run: OrdinaryRun) -> Span:
    """What a row prints: the ordinary range, moved by its slips (at most one is no unit slip)."""
    low, high = run.joules
    factor = 1.0
    for slip in slips:
        if slip.id in UNIT_SLIPS:
            factor *= 1000.0
        else:
            span = slip.span(run)
            assert span is not None
            low, high = span
    return low * factor, high * factor


def _true(row: Row, slips: list[Slip]) -> float:
    """The row up to a factor common to both rows: a unit slip undone."""
    return row.joules / 1000.0 ** sum(slip.id in UNIT_SLIPS for slip in slips)


def _arithmetic_key(candidate: _Candidate) -> str:
    """Equal for explanations with the same arithmetic: H1 and H2 both divide by a thousand."""
    parts = [slip.key for slip in (candidate.common, candidate.single) if slip is not None]
    joined = "+".join("unit" if part in UNIT_SLIPS else part for part in parts)
    return f"{joined}@{candidate.index}"


def _explanation(
    group: list[_Candidate], rows: list[Row], run: OrdinaryRun, total: float
) -> Explanation:
    # readings in mW add up to H2; what is not a sum of readings is rather misprinted, H1
    sums = any(slip is not None and slip.id in ("H4", "H5") for slip in [group[0].common])
    wanted = "H2" if sums else "H1"
    chosen = next((c for c in group if wanted in c.ids), group[0])
    others = {slip for c in group for slip in c.ids} - set(chosen.ids)
    share = sum(candidate.weight for candidate in group) / total
    return Explanation(
        slips=chosen.ids,
        name=_name(chosen, rows),
        arithmetic=_arithmetic(chosen, rows, run),
        plausibility=share,
        twins=tuple(sorted(others)),
    )


def _name(candidate: _Candidate, rows: list[Row]) -> str:
    parts = []
    if candidate.single is not None:
        where = f" in the row of {rows[candidate.index or 0].name}" if len(rows) > 1 else ""
        parts.append(f"{HYPOTHESES[candidate.single.id]}{where}")
    if candidate.common is not None:
        where = " in both rows" if len(rows) > 1 else ""
        parts.append(f"{HYPOTHESES[candidate.common.id]}{where}")
    return ", and ".join(parts)


def _arithmetic(candidate: _Candidate, rows: list[Row], run: OrdinaryRun) -> str:
    parts = [
        f"{row.name}: {_row_text(row, candidate.of_row(index), run)}"
        for index, row in enumerate(rows)
    ]
    low, high = run.joules_per_image
    parts.append(f"ordinary are {figure((low, high), 'J')} an image")
    text = "; ".join(parts)
    if len(rows) == 2 and (candidate.single is None or candidate.single.id in UNIT_SLIPS):
        ratio = _true(rows[1], candidate.of_row(1)) / _true(rows[0], candidate.of_row(0))
        text += f". The variant then costs {figure(ratio)} times the baseline"
    return text + "."


def _row_text(row: Row, slips: list[Slip], run: OrdinaryRun) -> str:
    unit = next((slip for slip in slips if slip.id in UNIT_SLIPS), None)
    other = next((slip for slip in slips if slip.id not in UNIT_SLIPS), None)
    if other is None:
        if unit is not None:
            return unit.read(row.joules, run)[3]
        image = figure(row.joules / run.middle_images, "J")
        return f"{figure(row.joules, 'J')} as printed, {image} an image"
    if unit is None:
        return other.read(row.joules, run)[3]
    if other.id == "H4":
        watts = run.watts[0]
        count = row.joules / (1000 * watts)
        return f"{row.joules:,.0f} = {count:,.0f} samples of {1000 * watts:,.0f} mW"
    true = row.joules / 1000
    return f"{figure(row.joules, 'J')} is {true:,.0f} J, and {other.read(true, run)[3]}"
