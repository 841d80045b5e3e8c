"""Which of the machine's GPUs this process may see: CUDA_VISIBLE_DEVICES, read as CUDA does."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Visible:
    """The GPUs that CUDA will show to this process.

    `indices` are positions in the driver's (PCI) order; `mig` holds MIG names, which have no
    sensor. `sure` is False where a number may mean another board: CUDA counts the fastest first
    unless CUDA_DEVICE_ORDER=PCI_BUS_ID, and the boards are of different models.
    """

    indices: tuple[int, ...]
    mig: tuple[str, ...] = ()
    sure: bool = True


def visible(
    uuids: Sequence[str | None],
    names: Sequence[str | None],
    environment: Mapping[str, str] | None = None,
) -> Visible:
    """The visible GPUs, given the UUID and model of each in the driver's order.

    As CUDA does: numbers or UUIDs (a unique beginning is enough), the first entry that names no
    device ends the list, an entry given twice empties it.

    >>> visible(["GPU-aa", "GPU-bb"], ["H100", "H100"], {"CUDA_VISIBLE_DEVICES": "1,0"}).indices
    (1, 0)
    >>> visible(["GPU-aa", "GPU-bb"], ["H100", "H100"], {"CUDA_VISIBLE_DEVICES": "GPU-b"}).indices
    (1,)
    """
    environment = os.environ if environment is None else environment
    listed = environment.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return Visible(tuple(range(len(uuids))))
    entries = [entry.strip() for entry in listed.split(",")]
    if entries[0].startswith("MIG-"):
        names_of_slices = [entry for entry in entries if entry.startswith("MIG-")]
        return Visible((), tuple(dict.fromkeys(names_of_slices)))
    numbers = not entries[0].startswith("GPU-")
    found: list[int] = []
    for entry in entries:
        index = _number(entry, len(uuids)) if numbers else _position(entry, uuids)
        if index is None:
            break
        if index in found:
            return Visible(())
        found.append(index)
    return Visible(tuple(found), sure=not numbers or _order_sure(names, environment))


def _order_sure(names: Sequence[str | None], environment: Mapping[str, str]) -> bool:
    if environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID" or len(names) < 2:
        return True
    return None not in names and len(set(names)) == 1


def _number(entry: str, count: int) -> int | None:
    digits = len(entry) - len(entry.lstrip("0123456789"))  # "1gpu" counts as 1, as in CUDA
    index = int(entry[:digits]) if digits else -1
    return index if 0 <= index < count else None


def _position(entry: str, uuids: Sequence[str | None]) -> int | None:
    if not entry.startswith("GPU-"):
        return None
    matches = [i for i, uuid in enumerate(uuids) if uuid and uuid.startswith(entry)]
    return matches[0] if len(matches) == 1 else None
