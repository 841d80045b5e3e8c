"""`orthowatt list`: the names that other verbs take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..config import LAYERS, TRANSFORMS
from .common import Common, parse, print_json

_PLACES = {
    "input": "before the first layer",
    "early": "after the first block of the first stage",
    "late": "after the last block of the last stage but one",
    "early+late": "at both",
    "final": "after the last stage, before pooling",
    "MODULE[+MODULE…]": "after the modules so named, as in layer2.1 or conv4_block6",
}


def run(argv: Sequence[str]) -> int:
    """Print every name with its one-line description."""
    options = parse(
        Common, argv, "list",
        "Recipes, studies, transforms, positions, data sets and claims by name.",
        "orthowatt list",
    )  # fmt: skip
    names = _names()
    if options.json:
        print_json(names)
        return 0
    for group, entries in names.items():
        print(group)
        for name, text in entries.items():
            print(f"  {name:<28} {text}".rstrip())
    return 0


def _names() -> dict[str, dict[str, str]]:
    from ..audit.claims import bundled
    from ..data.names import DATA_SETS
    from ..recipes.run import RECIPES
    from ..recipes.study import STUDIES

    return {
        "recipes (orthowatt run)": _first_lines(RECIPES),
        "studies (orthowatt study)": _first_lines(STUDIES),
        "transforms (--transform)": dict.fromkeys(TRANSFORMS, ""),
        "positions (--position)": _PLACES,
        "layers (--layer)": dict.fromkeys(LAYERS, ""),
        "data sets (--data)": dict(DATA_SETS),
        "claims (orthowatt audit)": dict.fromkeys(bundled(), ""),
    }


def _first_lines(functions: Mapping[str, Callable[..., object]]) -> dict[str, str]:
    return {name: (f.__doc__ or "").strip().splitlines()[0] for name, f in functions.items()}
