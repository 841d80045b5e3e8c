"""The text of each cell of the tables, the same for the page and for Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from ..stats import Comparison
from .summary import UNCHANGED, detectable, margin
from .summary import change as relative
from .tables import Quantity, Row
from .words import (
    METRIC,
    TIMES,
    UNKNOWN,
    count,
    decimals_for,
    fixed,
    number,
    percent,
    plain,
    plural,
    scaled,
    seconds,
    size,
)

_SPACE = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Cell:
    """What a cell says: one line, and smaller lines under it."""

    text: str
    small: tuple[str, ...] = ()


def accuracy(row: Row) -> Cell:
    """Test accuracy: the mean and half the width of its 95 % interval, in per cent."""
    found = row.accuracy
    if found.mean is None:
        return Cell(UNKNOWN, (found.reason or "",))
    if found.half is None:
        return Cell(percent(found.mean), ("one seed: no interval",))
    places = decimals_for(100 * found.half, least=1, most=2)
    half = fixed(100 * found.half, places)
    return Cell(f"{fixed(100 * found.mean, places)} ± {half}{_SPACE}%")


def difference(row: Row) -> Cell:
    """The paired difference to the baseline in points of accuracy, with its interval."""
    found = row.accuracy.comparison
    if row.baseline:
        return Cell("baseline" if row.accuracy.interval else UNKNOWN)
    if found is None or not known(found.effect):
        return Cell(UNKNOWN)
    text = fixed(100 * found.effect, 1, sign=True)
    if not (known(found.low) and known(found.high)):
        return Cell(text, ("no interval",))
    return Cell(text, (f"{_signed(100 * found.low)} to {_signed(100 * found.high)}",))


def change(quantity: Quantity, baseline: bool) -> Cell:
    """A cost's paired change in per cent, with its interval."""
    found = quantity.comparison
    if baseline:
        return Cell("baseline" if quantity.interval else UNKNOWN)
    if found is None or not known(found.effect):
        return Cell(UNKNOWN)
    text = _signed_change(found.effect)
    if not (known(found.low) and known(found.high)):
        return Cell(text, ("no interval",))
    low, high = _signed_change(found.low), _signed_change(found.high)
    return Cell(text, (f"{low.removesuffix(_SPACE + '%')} to {high}",))


def verdict(kind: str, quantity: Quantity) -> Cell:
    """The verdict's word; under it the p-value, or what it would take to reach a verdict."""
    found = quantity.comparison
    if found is None:
        return Cell("")
    if found.verdict == "inconclusive":
        return Cell(found.verdict, _ways_out(kind, found))
    if found.verdict == "equivalent":
        return Cell(found.verdict, (_p(found.p_equivalence, "TOST"),))
    return Cell(found.verdict, (_p(found.p_holm, "Holm"),))


def _ways_out(kind: str, found: Comparison) -> tuple[str, ...]:
    """Why there is no verdict: never the bare word alone."""
    lines = []
    if found.n < 2:
        lines.append(f"n = {found.n}: needs two seeds or more")
    if found.detectable is not None:
        lines.append(f"{plural(found.n, 'seed')} can show {detectable(kind, found.detectable)}")
        needed = f"takes about {found.seeds_needed:,}" if found.seeds_needed else "is out of reach"
        lines.append(f"{margin(kind, found.margin)} {needed}")
    return tuple(lines or found.notes or (f"n = {found.n}",))


def _p(value: float | None, test: str) -> str:
    if not known(value):
        return ""
    return f"p < 0.001 ({test})" if value < 0.001 else f"p = {number(value, 2)} ({test})"


def time(row: Row) -> Cell:
    """Training time: mean and half-width; under it the median step."""
    text = _spread(row.time, "", TIMES)
    step = (f"{seconds(row.step_seconds)} a step",) if row.step_seconds else ()
    return Cell(text, step)


def energy(row: Row) -> Cell:
    """Energy of the run: mean and half-width; a dash and no number where it was not measured.

    Under it that of a training image. An estimate is an upper bound and says so in both lines.
    """
    text, each = _spread(row.energy, "J", METRIC), row.joules_per_image
    image = (f"{scaled(each, 'J', METRIC)} a training image",) if each is not None else ()
    if not row.energy.estimated:
        return Cell(text, image)
    return Cell(f"≤ {text}", ("estimated, from the power limit", *(f"≤ {line}" for line in image)))


def _spread(quantity: Quantity, symbol: str, steps: Sequence[tuple[float, str]]) -> str:
    """Mean ± half-width in one unit."""
    if quantity.mean is None:
        return UNKNOWN
    mean = scaled(quantity.mean, symbol, steps)
    if quantity.half is None:
        return mean
    name = mean.partition(_SPACE)[2]
    factor = next((size for size, found in steps if found + symbol == name), 1.0)
    half = quantity.half / factor
    places = decimals_for(half, least=0, most=3)
    return f"{fixed(quantity.mean / factor, places)} ± {fixed(half, places)}{_SPACE}{name}"


def memory(row: Row) -> Cell:
    """The highest peak of memory over the seeds, and whose memory it is."""
    return Cell(size(row.memory_bytes), (row.memory_kind,) if row.memory_kind else ())


def added_macs(row: Row) -> Cell:
    """Multiply-adds that the inserted transforms add an image, done as dense products."""
    return Cell(count(row.added_macs_dense))


def added_additions(row: Row) -> Cell:
    """Additions that the inserted transforms add an image, done by the fast algorithm."""
    return Cell(count(row.added_adds_fast))


def logit_shift(row: Row) -> Cell:
    """The relative change of the logits on insertion, before training."""
    if row.logit_shift is None:
        return Cell(UNKNOWN)
    if row.logit_shift < UNCHANGED:
        below = "0" if row.logit_shift == 0 else f"< {plain(100 * UNCHANGED)}{_SPACE}%"
        return Cell(below)
    return Cell(percent(row.logit_shift, 0))


def runs(row: Row) -> Cell:
    """How many runs the row stands on, and of how many if some are lacking."""
    return Cell(str(row.n) if row.n == row.asked else f"{row.n} of {row.asked}")


ACCURACY_COLUMNS = (
    ("Test accuracy", accuracy),
    ("Difference, points", difference),
    ("Verdict", lambda row: verdict("accuracy", row.accuracy)),
    ("n", runs),
)
COST_COLUMNS = (
    ("Training time", time),
    ("Change of time", lambda row: change(row.time, row.baseline)),
    ("Verdict on time", lambda row: verdict("time", row.time)),
    ("Energy", energy),
    ("Change of energy", lambda row: change(row.energy, row.baseline)),
    ("Verdict on energy", lambda row: verdict("energy", row.energy)),
    ("n", runs),
)
WORK_COLUMNS = (
    ("Logit shift", logit_shift),
    ("Added multiply-adds, dense", added_macs),
    ("Added additions, fast", added_additions),
    ("Peak memory", memory),
    ("n", runs),
)


def _signed_change(log_ratio: float) -> str:
    """A log-ratio as a change with its sign, or as a factor where that is easier to grasp."""
    if log_ratio >= math.log(10):
        return relative(log_ratio)
    return f"{_signed(100 * math.expm1(log_ratio))}{_SPACE}%"


def _signed(value: float) -> str:
    return fixed(value, 1, sign=True)


def known(value: float | None) -> TypeGuard[float]:
    """Whether a value is there and finite."""
    return value is not None and math.isfinite(value)
