"""What a run is computed with beside its configuration: it decides how its sums are rounded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..energy.provenance import host
from ..errors import TrainingError

Conditions = Mapping[str, Any]


def here(device: torch.device, precision: str, transforms: str, processes: int) -> dict[str, Any]:
    """The conditions by name; a device whose name nobody tells is left out.

    >>> found = here(torch.device("cpu"), "fp32", "plain torch", 1)
    >>> found["precision"], found["processes"]
    ('fp32', 1)
    """
    on_gpu = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if on_gpu else host("cpu")["cpu"]
    found = {
        "transforms": transforms,
        "processes": processes,
        "precision": precision,
        "device": name,
        "torch": str(torch.__version__),
    }
    return {what: value for what, value in found.items() if value is not None}


def changes(before: Conditions, now: Conditions, directory: Path, exact: bool) -> list[str]:
    """One sentence for each condition that is told twice and differs.

    Raises `TrainingError` where the run in `directory` must repeat itself to the bit.

    >>> changes({"precision": "fp32"}, {"precision": "bf16"}, Path("runs"), exact=False)
    ['precision begun by fp32, continued by bf16']
    """
    differing = [what for what in now if what in before and before[what] != now[what]]
    if differing and exact:
        began = ", ".join(f"{what}: {_told(before[what])}" for what in differing)
        goes_on = ", ".join(_told(now[what]) for what in differing)
        raise TrainingError(
            f"the run in {directory} began with {began}, but here it would go on with {goes_on}, "
            "which rounds otherwise; go on as it began, or give another folder to start anew, "
            "where determinism=fast would let it change"
        )
    return [
        f"{what} begun by {_told(before[what])}, continued by {_told(now[what])}"
        for what in differing
    ]


def _told(value: Any) -> str:
    return "the whole batch" if value is None else str(value)
