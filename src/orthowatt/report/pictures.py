"""Small pictures drawn without a plotting library: matrices as PNG, intervals as SVG."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from ..errors import InputError

#: Cividis (Nuñez, Anderton, Renslow 2018): even in lightness, the same to colour-blind readers.
CIVIDIS = (
    (0, 32, 76), (0, 42, 102), (0, 52, 110), (39, 63, 108), (60, 74, 107), (76, 85, 107),
    (91, 95, 109), (104, 106, 112), (117, 117, 117), (131, 129, 120), (146, 140, 120),
    (161, 152, 118), (176, 165, 114), (192, 178, 109), (209, 191, 102), (225, 204, 92),
    (243, 219, 79), (255, 233, 69),
)  # fmt: skip
#: Coefficients smaller than the largest by more than this many powers of ten share one colour.
DECADES = 4


def grey_picture(values: Any) -> str:
    """A matrix as a grey PNG data URI, its smallest value black and its largest white.

    >>> grey_picture([[0, 1], [2, 3]])[:22]
    'data:image/png;base64,'
    """
    rows = matrix(values)
    low, high = min(map(min, rows)), max(map(max, rows))
    span = (high - low) or 1.0
    levels = [[round(255 * (value - low) / span) for value in row] for row in rows]
    return _png(len(rows[0]), len(rows), 0, [bytes(row) for row in levels])


def heat_map(values: Any) -> str:
    """A matrix of coefficients as a PNG data URI: log10 of |value| over the largest, Cividis.

    The scale runs from 10^-`DECADES` (dark; smaller values too) to 1 (bright).
    """
    rows = matrix(values)
    peak = max(abs(value) for row in rows for value in row) or 1.0
    lines = [b"".join(_colour(abs(value) / peak) for value in row) for row in rows]
    return _png(len(rows[0]), len(rows), 2, lines)


def matrix(values: Any) -> list[list[float]]:
    """The values as equal rows of finite numbers; `InputError` when they are none."""
    try:
        rows = [[float(value) for value in row] for row in values]
    except (TypeError, ValueError) as error:
        raise InputError(f"a picture needs rows of numbers, but {error}") from error
    if not rows or not rows[0] or len({len(row) for row in rows}) != 1:
        raise InputError("a picture needs at least one row, and rows of equal length")
    if not all(math.isfinite(value) for row in rows for value in row):
        raise InputError("a picture needs finite numbers, but holds NaN or infinity")
    return rows


def _colour(share: float) -> bytes:
    level = 0.0 if share <= 0 else max(0.0, 1 + math.log10(share) / DECADES)
    position = level * (len(CIVIDIS) - 1)
    index = min(int(position), len(CIVIDIS) - 2)
    part = position - index
    pairs = zip(CIVIDIS[index], CIVIDIS[index + 1], strict=True)
    return bytes(round(low + part * (high - low)) for low, high in pairs)


def _png(width: int, height: int, colour_type: int, lines: Sequence[bytes]) -> str:
    """PNG (ISO 15948): 8 bits a sample, no filter; `colour_type` 0 is grey, 2 is RGB."""
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


def interval_svg(
    effect: float, low: float | None, high: float | None, *, margin: float, limit: float, label: str
) -> Markup:
    """One interval on a line from -limit to limit, over a band of ±margin; a table's cell.

    What runs out of the line ends in an arrow head. `label` is read out in place of the picture.
    """
    width, height, middle = 168.0, 24.0, 12.0

    def x(value: float) -> float:
        clipped = max(-limit, min(limit, value))
        return round(width / 2 + clipped / limit * (width / 2 - 7), 1)

    parts = [
        f'<rect class="band" x="{x(-margin)}" y="2" width="{round(x(margin) - x(-margin), 1)}" '
        f'height="{height - 4:g}"/>',
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{height:g}"/>',
    ]
    if low is not None and high is not None:
        parts.append(
            f'<line class="whisker" x1="{x(low)}" x2="{x(high)}" y1="{middle:g}" y2="{middle:g}"/>'
        )
        parts += [
            _arrow(x(end), side) for end, side in ((low, -1), (high, 1)) if end * side > limit
        ]
    if abs(effect) <= limit:
        parts.append(f'<circle class="dot" cx="{x(effect)}" cy="{middle:g}" r="4"/>')
    else:
        parts.append(_arrow(x(effect), 1 if effect > 0 else -1))
    return Markup(
        '<svg class="interval" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">'
    ).format(width, height, label) + Markup("".join(parts) + "</svg>")


def _arrow(x: float, side: int) -> str:
    tip = x + 6 * side
    return f'<path class="arrow" d="M{tip:g} 12L{x:g} 7.5V16.5Z"/>'
