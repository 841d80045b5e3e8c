"""How a study is done again: its settings as TOML, and the command that runs them."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from pathlib import Path
from typing import Any

from ..config import RunConfig, StudyConfig


def command(study: StudyConfig, directory: Path) -> str:
    """The command line that runs the study again; what is already done is not done twice.

    >>> base = RunConfig()
    >>> from orthowatt.config import Variant
    >>> command(StudyConfig("paper", base, (Variant("none"),)), Path("out"))
    'orthowatt study paper.toml --out out'
    """
    out = shlex.quote(str(directory))
    if _is_demo(study, directory):
        return f"orthowatt demo --out {out} --seeds {len(study.seeds)}"
    return f"orthowatt study {file_name(study)} --out {out}"


def _is_demo(study: StudyConfig, directory: Path) -> bool:
    """Whether `orthowatt demo` makes this very study: it leaves what it asks for beside the claims.

    Seeds are the demo's own when they count from 0; a study that is only called "demo" is not it.
    """
    try:
        asked = json.loads((directory / "claims.json").read_text(encoding="utf-8"))["study"]
        made = StudyConfig.from_dict(asked)
    except (OSError, ValueError, TypeError, KeyError):
        return False
    contiguous = study.seeds == tuple(range(len(study.seeds)))
    return contiguous and dataclasses.replace(made, seeds=study.seeds) == study


def file_name(study: StudyConfig) -> str:
    """A file name for the study's TOML that every system accepts."""
    return (re.sub(r"[^A-Za-z0-9._-]+", "-", study.name).strip("-.") or "study") + ".toml"


def as_toml(study: StudyConfig) -> str:
    """The study as the TOML that `orthowatt study FILE.toml` reads; defaults are left out.

    >>> from orthowatt.config import Variant
    >>> print(as_toml(StudyConfig("s", RunConfig(epochs=9), (Variant("none"),), seeds=(0,))))
    name = "s"
    seeds = [0]
    baseline = "none"
    accuracy_margin = 0.01
    cost_margin = 1.05
    <BLANKLINE>
    [base]
    epochs = 9
    <BLANKLINE>
    [[variants]]
    name = "none"
    <BLANKLINE>
    """
    lines = [f"name = {_value(study.name)}", f"seeds = {_value(list(study.seeds))}"]
    lines.append(f"baseline = {_value(study.baseline)}")
    lines.append(f"accuracy_margin = {_value(study.accuracy_margin)}")
    lines.append(f"cost_margin = {_value(study.cost_margin)}")
    if study.description:
        lines.append(f"description = {_value(study.description)}")
    defaults = {f.name: f.default for f in dataclasses.fields(RunConfig)}
    base = {
        f.name: getattr(study.base, f.name)
        for f in dataclasses.fields(RunConfig)
        if getattr(study.base, f.name) != defaults[f.name] and f.name != "seed"
    }
    lines += ["", "[base]", *_settings(base)]
    for variant in study.variants:
        lines += ["", "[[variants]]", f"name = {_value(variant.name)}"]
        lines += _settings({key: variant.changes[key] for key in sorted(variant.changes)})
    return "\n".join(lines) + "\n"


def _settings(values: dict[str, Any]) -> list[str]:
    lines = []
    for key, value in values.items():
        if value is None and key in ("pad", "norm"):  # TOML has no null
            lines.append(f'{key} = "none"')
        elif value is None:
            lines.append(f"# {key} is None here, which TOML cannot say: set it from Python")
        else:
            lines.append(f"{key} = {_value(value)}")
    return lines


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, float):
        return repr(value)
    # JSON's strings, booleans and integers are TOML's; DEL alone needs an escape of its own
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
