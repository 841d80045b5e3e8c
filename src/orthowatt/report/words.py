"""Numbers as a reader wants them: few digits, a unit, a true minus, and a dash where unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

UNKNOWN = "—"
_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant digits, with a true minus; a dash when unknown.

    >>> number(-0.012345), number(1234.5), number(1.5e-15), number(0), number(None)
    ('−0.0123', '1,234', '1.50·10⁻¹⁵', '0', '—')
    """
    if value is None or not math.isfinite(value):
        return UNKNOWN
    if value == int(value) and abs(value) < 10 ** max(digits, 4):
        return fixed(value, 0)  # a whole number needs no noughts behind it
    magnitude = math.floor(math.log10(abs(value)))
    if magnitude < -4 or magnitude >= 7:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        power = str(int(exponent)).translate(_SUPERSCRIPTS)
        return f"{mantissa.replace('-', _MINUS)}·10{power}"
    return fixed(value, max(0, digits - 1 - magnitude))


def plain(value: float) -> str:
    """A number as it was set, without noughts to fill it up.

    >>> plain(1.0), plain(0.25), plain(100 * (1.05 - 1))
    ('1', '0.25', '5')
    """
    return f"{value:.4g}".replace("-", _MINUS)


def fixed(value: float, decimals: int, *, sign: bool = False) -> str:
    """A number with a fixed count of decimals; `sign` writes the plus as well.

    >>> fixed(1.25, 1, sign=True), fixed(-0.001, 1)
    ('+1.2', '0.0')
    """
    text = f"{value:{'+' if sign else ''},.{decimals}f}"
    if not any(digit in text for digit in "123456789"):
        text = text.lstrip("+-")  # a rounded nothing has no direction
    return text.replace("-", _MINUS)


def scaled(value: float | None, unit: str, steps: Sequence[tuple[float, str]]) -> str:
    """A number in the largest unit of `steps` that leaves at least 1."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    for size, prefix in steps:
        if abs(value) >= size * (1 - 1e-12):
            return f"{number(value / size)}{_SPACE}{prefix}{unit}".rstrip()
    size, prefix = steps[-1]
    return f"{number(value / size)}{_SPACE}{prefix}{unit}".rstrip() if value else f"0{_SPACE}{unit}"


TIMES = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
METRIC = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"))
_COUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_BYTES = ((2.0**40, "Ti"), (2.0**30, "Gi"), (2.0**20, "Mi"), (2.0**10, "Ki"), (1.0, ""))


def seconds(value: float | None) -> str:
    """A duration.

    >>> seconds(0.0051), seconds(200)
    ('5.10\\xa0ms', '3.33\\xa0min')
    """
    return scaled(value, "", TIMES) if value else ("0\xa0s" if value == 0 else UNKNOWN)


def joules(value: float | None) -> str:
    """An energy.

    >>> joules(25606.0)
    '25.6\\xa0kJ'
    """
    return scaled(value, "J", METRIC)


def count(value: float | None) -> str:
    """A count such as MACs.

    >>> count(134217728), count(0)
    ('134\\xa0M', '0')
    """
    return "0" if value == 0 else scaled(value, "", _COUNTS)


def size(value: float | None) -> str:
    """Bytes in binary units.

    >>> size(3 * 2**20)
    '3\\xa0MiB'
    """
    return scaled(value, "B", _BYTES)


def decimals_for(half: float | None, least: int = 1, most: int = 4) -> int:
    """How many decimals a mean deserves: those of its half-width, which has one or two digits.

    >>> decimals_for(2.3), decimals_for(0.043), decimals_for(0.14), decimals_for(None)
    (1, 2, 2, 1)
    """
    if half is None or not math.isfinite(half) or half <= 0:
        return least
    return min(most, max(least, -math.floor(math.log10(half / 2))))


def percent(fraction: float | None, decimals: int = 1) -> str:
    """A fraction as a percentage.

    >>> percent(0.983)
    '98.3\\xa0%'
    """
    if fraction is None or not math.isfinite(fraction):
        return UNKNOWN
    return f"{fixed(100 * fraction, decimals)}{_SPACE}%"


def plural(amount: int, noun: str, many: str | None = None) -> str:
    """A count with its noun.

    >>> plural(1, "seed"), plural(3, "seed")
    ('1 seed', '3 seeds')
    """
    return f"{amount:,} {noun if amount == 1 else many or noun + 's'}"


def listing(items: Iterable[str]) -> str:
    """Items as a clause.

    >>> listing(["a", "b", "c"])
    'a, b and c'
    """
    found = list(items)
    if len(found) < 2:
        return "".join(found)
    return ", ".join(found[:-1]) + " and " + found[-1]


def facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A JSON object as (label, text) lines; nested objects keep their path in the label.

    >>> facts({"cpu": "x", "memory_bytes": 2**30, "gpus": [{"name": "A"}], "none": None})
    [('cpu', 'x'), ('memory', '1\\xa0GiB'), ('gpus 1: name', 'A')]
    """
    lines: list[tuple[str, str]] = []
    for key, value in values.items():
        label = str(key).replace("_", " ")
        if value is None or value in ({}, [], ""):
            continue
        if isinstance(value, Mapping):
            lines += [(f"{label}: {name}", text) for name, text in facts(value)]
        elif isinstance(value, (list, tuple)) and any(isinstance(v, Mapping) for v in value):
            for index, item in enumerate(value, start=1):
                lines += [
                    (f"{label} {index}: {name}", text) for name, text in facts({**dict(item)})
                ]
        else:
            lines.append(_line(str(key), label, value))
    return lines


def _line(key: str, label: str, value: Any) -> tuple[str, str]:
    if isinstance(value, bool):
        return label, "yes" if value else "no"
    if isinstance(value, (int, float)) and key.endswith("_bytes"):
        return label.removesuffix(" bytes"), size(value)
    if isinstance(value, (int, float)) and key.endswith("_seconds"):
        return label.removesuffix(" seconds"), seconds(value)
    if isinstance(value, float):
        return label, number(value, 4)
    if isinstance(value, (list, tuple)):
        return label, ", ".join(str(item) for item in value)
    return label, str(value)
