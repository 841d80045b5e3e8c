"""Models with transforms in them: surgery on any model, the paper's networks, what they cost.

Importing this package, as `orthowatt.models` and `orthowatt.insert` do when first used, registers
"orthowatt_resnet50", "orthowatt_resnet18" and "orthowatt_resnet8" with timm; the other names are
loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import speed as speed  # registers its model with timm
from . import zoo as zoo  # registers its models with timm

if TYPE_CHECKING:
    from .cost import Cost as Cost
    from .cost import count as count
    from .positions import insert_transform as insert_transform
    from .surgery import Edits as Edits
    from .surgery import insert as insert
    from .zoo import build as build
    from .zoo import freeze as freeze
    from .zoo import paper_resnet50 as paper_resnet50

_HOMES = {
    "Cost": "cost",
    "Edits": "surgery",
    "build": "zoo",
    "count": "cost",
    "freeze": "zoo",
    "insert": "surgery",
    "insert_transform": "positions",
    "paper_resnet50": "zoo",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(_HOMES)
