"""What an audit is made of: verdicts, the arithmetic behind them, and the text of figures."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

VERDICTS = (
    "reproduced", "contradicted", "inconclusive", "implausible", "not measurable here",
)  # fmt: skip
Verdict = Literal[
    "reproduced", "contradicted", "inconclusive", "implausible", "not measurable here"
]


@dataclass(frozen=True)
class Working:
    """One step of the arithmetic: a number, or a range as (low, high), with unit and formula."""

    label: str
    value: float | tuple[float, float]
    unit: str
    formula: str

    @property
    def text(self) -> str:
        """The figure for a reader.

        >>> Working("floor", 39318.4, "J", "").text
        '39.3 kJ'
        >>> Working("time", (404.9, 1599.1), "s", "").text
        '6.75 to 26.7 min'
        """
        return duration(self.value) if self.unit == "s" else figure(self.value, self.unit)


@dataclass(frozen=True)
class Explanation:
    """Slips that together explain the printed figures, with the arithmetic spelled out.

    `slips` are ids such as ("H1", "H3"), `twins` those that would print the same figures;
    `plausibility` is this explanation's share of the weight of all that were tried: a ranking
    aid, not the probability of what happened.
    """

    slips: tuple[str, ...]
    name: str
    arithmetic: str
    plausibility: float
    twins: tuple[str, ...] = ()


@dataclass(frozen=True)
class SlipReading:
    """A printed figure as one slip would have it: the corrected quantity, and whether it fits.

    `fit` is 1 where the slip, applied to an ordinary run, prints such a figure, and falls by a
    factor of 10,000 for each decade beyond.
    """

    slip: str
    name: str
    label: str
    value: float
    unit: str
    arithmetic: str
    fit: float

    @property
    def text(self) -> str:
        """The corrected figure for a reader."""
        return duration(self.value) if self.unit == "s" else figure(self.value, self.unit)


@dataclass(frozen=True)
class Finding:
    """A claim with its verdict, the reason in a sentence or two, and the arithmetic."""

    claim_id: str
    kind: str
    statement: str
    verdict: Verdict
    reason: str
    source: str = ""
    hypotheses: tuple[str, ...] = ()
    workings: tuple[Working, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    slips: tuple[SlipReading, ...] = ()
    evidence: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON-ready values."""
        values = dataclasses.asdict(self)
        for working, shown in zip(values["workings"], self.workings, strict=True):
            working["text"] = shown.text
        return jsonable(values)


def jsonable(value: Any) -> Any:
    """Tuples as lists, all the way down."""
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [jsonable(item) for item in value]
    return value


_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
#: Units that take a prefix, and the highest one that reads well.
_PREFIXED = {"J": 1e3, "W": 1e3, "FLOP/s": 1e12, "MAC": 1e9, "B": 1e9}


def figure(value: float | tuple[float, float], unit: str = "") -> str:
    """A number or a range with its unit, three digits, thousands set apart.

    >>> figure(25_606_000.0, "J"), figure((0.101, 0.426), "J"), figure(0.998, "%")
    ('25,606 kJ', '0.101 to 0.426 J', '99.8 %')
    """
    values = value if isinstance(value, tuple) else (value,)
    factor, prefix = 1.0, ""
    if unit == "additions" and max(values) >= 1e6:
        factor, prefix = 1e6, "million "
    if unit in _PREFIXED:
        largest = max(abs(item) for item in values)
        for size, name in _PREFIXES:
            if size <= _PREFIXED[unit] and largest >= size:
                factor, prefix = size, name
                break
    if unit == "%":
        factor = 0.01
    shown = [_digits(item / factor) for item in values]
    text = " to ".join(dict.fromkeys(shown))
    return f"{text} {prefix}{unit}".strip()


def duration(seconds: float | tuple[float, float]) -> str:
    """A time or a range of times in s, min or h, whichever reads well.

    >>> duration(63_990), duration((405.0, 1599.1)), duration(97.5)
    ('17.8 h', '6.75 to 26.7 min', '97.5 s')
    """
    largest = max(seconds) if isinstance(seconds, tuple) else seconds
    size, unit = (3600.0, "h") if largest >= 7200 else (60.0, "min") if largest >= 120 else (1, "s")
    if isinstance(seconds, tuple):
        return figure((seconds[0] / size, seconds[1] / size), unit)
    return figure(seconds / size, unit)


def _digits(value: float) -> str:
    if abs(value) >= 1e9:
        return f"{value:.2e}".replace("e+", "e")
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
