"""The figures as Plotly specifications (plain JSON), coloured by the page's own style sheet.

A colour of the form `--name` stands for that custom property of the page, so that one figure
serves light, dark and paper; `page.js` puts the colours in. Trace colours are Okabe and Ito's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from .sections import Section
from .tables import Quantity, Row

#: Okabe and Ito (2008) without the yellow, which white paper swallows.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
BASELINE_COLOUR = "--ink"
_DASHES = ("solid", "dot", "dash", "dashdot")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x")


class Palette:
    """One look a variant name, the same in every figure and every section of a report."""

    def __init__(self, sections: Iterable[Section]):
        self._looks: dict[str, int] = {}
        for section in sections:
            for row in section.others:
                self._looks.setdefault(row.name, len(self._looks))

    def colour(self, row: Row) -> str:
        """The colour of a row's marks: the ink's for a baseline."""
        if row.baseline:
            return BASELINE_COLOUR
        return COLOURS[self._looks[row.name] % len(COLOURS)]

    def dash(self, row: Row) -> str:
        """The dash of a row's line; it changes when the colours come round again."""
        turn = 0 if row.baseline else self._looks[row.name] // len(COLOURS)
        return _DASHES[turn % len(_DASHES)]

    def symbol(self, row: Row) -> str:
        """The marker of a row; it differs between neighbours in colour."""
        if row.baseline:
            return _SYMBOLS[0]
        turn, index = divmod(self._looks[row.name], len(COLOURS))
        return _SYMBOLS[(index + turn + 1) % len(_SYMBOLS)] + ("-open" if turn else "")


def label(text: str) -> str:
    """A name that Plotly shows as it is, for it reads some tags in its texts.

    >>> label("<b>wht</b>")
    '&lt;b>wht&lt;/b>'
    """
    return text.replace("&", "&amp;").replace("<", "&lt;")


#: Up to so many epochs each has its mark on the axis.
FEW_EPOCHS = 12


def accuracy_curves(section: Section, palette: Palette) -> dict[str, Any] | None:
    """Accuracy over the epochs: a thick mean line a variant, a thin line a seed; None if unknown.

    Validation accuracy where every shown run has it, else training accuracy; `layout.meta`
    says which in words.
    """
    key, what = _curve_key(section)
    if not key:
        return None
    traces: list[dict[str, Any]] = []
    for row in (*section.others, section.baseline):  # the baseline lies on top
        curves = [_curve(record.epochs, key) for record in row.records]
        curves = [curve for curve in curves if curve]
        if not curves:
            continue
        line = {"color": palette.colour(row), "dash": palette.dash(row)}
        if len(curves) > 1:
            traces += [_thin(row.name, curve, line) for curve in curves]
        mean = _mean_line(row.name, curves, line, palette.symbol(row))
        traces.append({**mean, "legendrank": 1 if row.baseline else 1000})
    longest = max((len(record.epochs) for record in section.records), default=0)
    few = {"tick0": 1, "dtick": 1} if longest <= FEW_EPOCHS else {}  # else plotly marks 1.5 as 2
    layout = {
        "meta": what,
        "xaxis": {"title": {"text": "Epoch"}, "tickformat": "d", "rangemode": "normal", **few},
        "yaxis": {"title": {"text": f"{what} (%)"}},
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout} if traces else None


def _curve_key(section: Section) -> tuple[str, str]:
    epochs = [epoch for record in section.records for epoch in record.epochs]
    for key, what in (
        ("validation_accuracy", "Validation accuracy"),
        ("train_accuracy", "Training accuracy"),
    ):
        if any(epoch.get(key) is not None for epoch in epochs):
            return key, what
    return "", ""


def _curve(epochs: Sequence[dict[str, Any]], key: str) -> dict[int, float]:
    return {int(e["epoch"]): 100 * float(e[key]) for e in epochs if e.get(key) is not None}


def curve_table(section: Section) -> dict[str, Any]:
    """The means that `accuracy_curves` draws, as a table: epochs down, variants across, in %."""
    key, _ = _curve_key(section)
    columns: dict[str, dict[int, float]] = {}
    for row in section.rows:
        curves = [_curve(record.epochs, key) for record in row.records]
        columns[row.name] = {
            epoch: fmean([curve[epoch] for curve in curves if epoch in curve])
            for epoch in sorted({epoch for curve in curves for epoch in curve})
        }
    epochs = sorted({epoch for column in columns.values() for epoch in column})
    return {
        "names": list(columns),
        "lines": [(epoch, [column.get(epoch) for column in columns.values()]) for epoch in epochs],
    }


def _thin(name: str, curve: dict[int, float], line: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": list(curve),
        "y": [round(value, 4) for value in curve.values()],
        "line": {**line, "width": 1},
        "opacity": 0.35,
        "legendgroup": name,
        "showlegend": False,
        "hoverinfo": "skip",
    }


def _mean_line(
    name: str, curves: Sequence[dict[int, float]], line: dict[str, Any], symbol: str
) -> dict[str, Any]:
    """The mean over the seeds that reached an epoch; hovering says how many did."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    values = [[curve[epoch] for curve in curves if epoch in curve] for epoch in epochs]
    few = len(epochs) <= 12
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": label(name),
        "legendgroup": name,
        "x": epochs,
        "y": [round(fmean(found), 4) for found in values],
        "customdata": [len(found) for found in values],
        "line": {**line, "width": 2.5},
        "marker": {"symbol": symbol, "size": 7, "color": line["color"]},
        "hovertemplate": "%{y:.2f} % at epoch %{x}, mean of %{customdata}",
    }


def cost_of(section: Section) -> str:
    """Which cost the accuracy is drawn against: "energy" if each drawn row has it, else "time"."""
    rows = [row for row in section.rows if row.accuracy.interval]
    measured = [row.energy.interval is not None and not row.energy.estimated for row in rows]
    return "energy" if rows and all(measured) else "time"


def cost_plot(section: Section, palette: Palette) -> dict[str, Any] | None:
    """Test accuracy against what a run cost, means with 95 % intervals; None without both."""
    kind = cost_of(section)
    traces = []
    for row in section.rows:
        cost = row.energy if kind == "energy" else row.time
        if cost.mean is None or row.accuracy.mean is None:
            continue
        colour = palette.colour(row)
        unit = "J" if kind == "energy" else "s"
        trace = {
            "type": "scatter",
            "mode": "markers",
            "name": label(row.name),
            "x": [cost.mean],
            "y": [100 * row.accuracy.mean],
            "marker": {"color": colour, "symbol": palette.symbol(row), "size": 11},
            "hovertemplate": f"%{{y:.2f}} %, %{{x:.4s}} {unit}, n = {row.n}",
        }
        for axis, quantity, factor in (("x", cost, 1), ("y", row.accuracy, 100)):
            bar = _bar(quantity, factor, colour)
            if bar:
                trace[f"error_{axis}"] = bar
        traces.append(trace)
    if not traces:
        return None
    title = "Energy of the whole run (J)" if kind == "energy" else "Training time (s)"
    layout = {
        "meta": kind,
        "xaxis": {"title": {"text": title}},
        "yaxis": {"title": {"text": "Test accuracy (%)"}},
        "hovermode": "closest",
    }
    return {"data": traces, "layout": layout}


def _bar(quantity: Quantity, factor: float, colour: str) -> dict[str, Any] | None:
    if quantity.half is None:
        return None
    return {
        "type": "data",
        "array": [factor * quantity.half],
        "color": colour,
        "thickness": 1,
        "width": 0,
    }
