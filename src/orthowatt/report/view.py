"""One section as the page's template needs it: every text, picture and figure made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from markupsafe import Markup

from ..errors import InputError
from . import cells, figures, pictures, repeat, summary, words
from .sections import Section, shared
from .tables import Row, scopes


def section_view(section: Section, palette: figures.Palette) -> dict[str, Any]:
    """Everything that the template needs for one section."""
    curves = figures.accuracy_curves(section, palette)
    cost = figures.cost_plot(section, palette)
    return {
        "section": section,
        "key": section.key,
        "lede": summary.lede(section),
        "points": summary.points(section),
        "swatches": {row.name: _swatch(palette, row) for row in section.rows},
        "intervals": _intervals(section),
        "accuracy_margin": summary.margin("accuracy", section.config.accuracy_margin),
        "cost_margin": summary.margin("time", math.log(section.config.cost_margin)),
        "energy_known": any(row.energy.interval for row in section.rows),
        "energy_reason": summary.energy_reason(section),
        "energy_scopes": scopes(section.records),
        "seed_range": _seed_range(section),
        "changes": [
            (variant.name, "; ".join(f"{k} = {t}" for k, t in words.facts(dict(variant.changes))))
            for variant in section.config.variants
        ],
        "curves": curves,
        "curve_table": figures.curve_table(section) if curves else None,
        "cost": cost,
        "pictures": _transforms(section),
        "grid": _grid(section),
        "dates": _dates(section),
        "facts": {
            part: list(shared(section.records, part).items())
            for part in ("hardware", "software", "settings", "data", "code")
        },
        "base": words.facts(section.config.base.to_dict()),
        "layers": _layers(section),
        "command": repeat.command(section.config, section.directory),
        "toml": repeat.as_toml(section.config),
        "toml_name": repeat.file_name(section.config),
    }


def _intervals(section: Section) -> dict[str, Markup]:
    """The picture of each paired difference in accuracy, all on one scale."""
    known = {
        row.name: (comparison.effect, comparison.low, comparison.high)
        for row in section.others
        if (comparison := row.accuracy.comparison) and cells.known(comparison.effect)
    }
    margin = section.config.accuracy_margin
    reach = [max(abs(value) for value in values if cells.known(value)) for values in known.values()]
    # one far outlier gets an arrow head instead of squeezing all others onto the zero line
    far = max(8 * margin, 3 * median(reach)) if reach else margin
    limit = max([2 * margin, *(1.05 * value for value in reach if value <= far)])
    return {
        name: pictures.interval_svg(
            effect,
            low,
            high,
            margin=margin,
            limit=limit,
            label=f"{name}: {words.fixed(100 * effect, 1, sign=True)} points",
        )
        for name, (effect, low, high) in known.items()
    }


def _transforms(section: Section) -> dict[str, Any] | None:
    """The transforms' checks, an order a column, and their spectra as images."""
    if not section.transforms:
        return None
    checks: dict[tuple[str, str], dict[int, float]] = {}
    for check in section.transforms["checks"]:
        errors = checks.setdefault((check["name"], check["reference"]), {})
        errors[check["order"]] = check["max_error"]
    return {
        "orders": sorted({order for errors in checks.values() for order in errors}),
        "checks": [
            {"name": name, "reference": reference, "errors": errors}
            for (name, reference), errors in checks.items()
        ],
        "title": section.transforms["spectra"]["title"],
        "note": section.transforms["spectra"]["note"],
        "images": [_picture(image) for image in section.transforms["spectra"]["images"]],
    }


def _picture(image: Mapping[str, Any]) -> dict[str, Any]:
    """The scan itself in grey, a spectrum as a heat map; what is no picture says why."""
    scan = image["name"].lower() == "scan"
    draw = pictures.grey_picture if scan else pictures.heat_map
    try:
        return {"name": image["name"], "scan": scan, "uri": draw(image["values"]), "error": ""}
    except InputError as error:
        return {"name": image["name"], "scan": scan, "uri": None, "error": str(error)}


def _layers(section: Section) -> list[dict[str, Any]]:
    """Where each variant's layers sit, from the first of its runs."""
    sites = {row.name: row.records[0].layers for row in section.rows if row.records}
    return [
        {"name": name, "sites": [_site(site) for site in found]}
        for name, found in sites.items()
        if found
    ]


def _site(site: Mapping[str, Any]) -> str:
    """One inserted layer in words, with the reason where it is not orthogonal."""
    if not {"name", "where", "layer"} <= set(site):
        return "; ".join(f"{label}: {text}" for label, text in words.facts(site))
    text = f"{site['where']} {site['name']}: {site['layer']}"
    if site.get("channels"):
        text += f", {site['channels']} channels"
    if site.get("orthogonal") is False:
        text += f"; not orthogonal{': ' + str(site['reason']) if site.get('reason') else ''}"
    return text


def _grid(section: Section) -> str:
    """How many runs of the study's grid the section stands on."""
    seeds = len(section.config.seeds)
    done, asked = len(section.records), len(section.rows) * seeds
    size = f"{words.plural(len(section.rows), 'variant')} × {words.plural(seeds, 'seed')}"
    runs = words.plural(asked, "run")
    return f"{runs} ({size})" if done == asked else f"{done} of {runs} ({size})"


def _dates(section: Section) -> str:
    days = sorted({record.started[:10] for record in section.records if record.started})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""


def _seed_range(section: Section) -> str:
    counts = sorted({row.n for row in section.rows if row.n})
    return " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1]))) if counts else "0"


def _swatch(palette: figures.Palette, row: Row) -> str:
    """The style of a row's mark: filled as long as colours last, then a ring."""
    colour = palette.colour(row)
    colour = f"var({colour})" if colour.startswith("--") else colour
    ring = palette.symbol(row).endswith("-open")
    return f"border-color: {colour}" + ("" if ring else f"; background: {colour}")
