"""`write_report`: studies and an audit in, one self-contained file out."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..errors import InputError, check_choice
from ..record import dumps, write_atomic
from . import cells, figures, pictures, plain, summary, words
from .findings import audit_view
from .sections import Section, read_sections
from .view import section_view

if TYPE_CHECKING:
    from ..audit import Audit

FORMATS = {"html": ".html", "md": ".md", "json": ".json", "csv": ".csv"}


def write_report(
    directories: Sequence[Path | str],
    out: Path | str | None = None,
    *,
    format: str = "html",
    audit: Audit | None = None,
) -> Path:
    """Write the report of the studies in `directories` and return the path of the file.

    Each directory is a study's folder or a single run's; each study is split by device, for runs
    of different devices are never pooled. `format` is "html" (one self-contained page that loads
    nothing), "md", "json" or "csv" (one line a variant and device). Without `out` the file is
    `report.<format>` in the first directory; it is replaced whole or not at all.

    Raises `InputError` for an unknown format or nothing to report on, and `DataError` for a
    directory that holds no study.

    >>> write_report([], "nowhere.html")
    Traceback (most recent call last):
    ...
    orthowatt.errors.InputError: there is nothing to report on: give a study's folder or an audit
    """
    check_choice("format", format, FORMATS)
    folders = [Path(directory) for directory in directories]
    if not folders and audit is None:
        raise InputError("there is nothing to report on: give a study's folder or an audit")
    if out is None and not folders:
        raise InputError("an audit alone has no folder of its own: say where with out=FILE")
    path = Path(out) if out is not None else folders[0] / f"report{FORMATS[format]}"
    if path.is_dir():
        raise InputError(f"{path} is a folder, but out must be a file; try {path / 'report.html'}")
    sections = read_sections(folders)
    view = audit_view(audit) if audit is not None else None
    write_atomic(path, _RENDERERS[format](sections, view))
    return path


def render_html(sections: Sequence[Section], audit: dict[str, Any] | None = None) -> str:
    """The page as text: markup, style, figures and the plotting library, in one."""
    palette = figures.Palette(sections)
    views = [section_view(section, palette) for section in sections]
    drawn = any(view["curves"] or view["cost"] for view in views)
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=_title(sections, audit),
            headline=_headline(views, audit),
            views=views,
            audit=audit,
            audit_sentence=summary.audit_sentence(audit) if audit else "",
            plotly=_packed_plotly() if drawn else None,
            version=_version(),
            decades=pictures.DECADES,
            cividis=", ".join(f"rgb{colour}" for colour in pictures.CIVIDIS),
        )
    )


def _title(sections: Sequence[Section], audit: dict[str, Any] | None) -> str:
    names = list(dict.fromkeys(section.title for section in sections))
    if not names:
        return f"Audit of {audit['title']}" if audit else "Report"
    return words.listing(names) if len(names) < 4 else f"{len(names)} studies"


def _headline(views: Sequence[dict[str, Any]], audit: dict[str, Any] | None) -> str:
    """What was found, in one sentence; of several studies only what they are."""
    if len(views) == 1:
        return views[0]["lede"]
    if views:
        studies = words.plural(
            len({view["section"].directory for view in views}), "study", "studies"
        )
        devices = words.plural(len({view["section"].device for view in views}), "device")
        return f"{studies} on {devices}"
    return summary.audit_sentence(audit) if audit else ""


def _packed_plotly() -> str:
    """Plotly.js, gzipped: 2 MB of text in the page where the plain library takes 4.8 MB."""
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode(), 9, mtime=0)
    return base64.b64encode(packed).decode()


def _version() -> str:
    try:
        return version("orthowatt")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return ""


def script_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: no text in it can close the element.

    >>> print(script_json({"name": "</script>"}))
    {"name": "\\u003c/script\\u003e"}
    """
    text = dumps(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orthowatt.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(cells=cells)
    environment.filters.update(
        script_json=script_json,
        number=words.number,
        listing=words.listing,
        plural=words.plural,
        coded=_coded,
    )
    return environment


def _coded(text: str) -> Markup:
    """Text whose `backquoted` parts are commands; everything is escaped first.

    >>> print(_coded("run `a < b` now"))
    run <code>a &lt; b</code> now
    """
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return Markup.escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else Markup.escape(part)
        for index, part in enumerate(parts)
    )


_RENDERERS = {
    "html": render_html,
    "md": plain.markdown,
    "json": plain.as_json,
    "csv": plain.as_csv,
}
