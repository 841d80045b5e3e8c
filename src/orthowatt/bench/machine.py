"""What a benchmark's result must name: device, commit and command."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ..energy import provenance
from ..train.provenance import code
from ..transforms import cpu, gpu

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def cache_bytes() -> int | None:
    """The size of the last-level cache, or None where the system does not tell.

    >>> size = cache_bytes()
    >>> size is None or size >= 2**15
    True
    """
    sizes = []
    for entry in _CACHES.glob("index*/size"):
        text = entry.read_text().strip()
        unit = {"K": 2**10, "M": 2**20}.get(text[-1:], 1)
        sizes.append(int(text.rstrip("KM")) * unit)
    return max(sizes, default=None)


def describe(device: torch.device) -> dict[str, Any]:
    """Device, software, commit and command of a result file."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["orthowatt", *sys.argv[1:]]),
        "device": device.type,
        "threads": torch.get_num_threads(),
        "cache_bytes": cache_bytes(),
        "kernels": _kernels(device),
        "hardware": provenance.host(str(device)),
        "software": provenance.software(),
        "code": code(),
    }


def _kernels(device: torch.device) -> str:
    if device.type == "cpu":
        return cpu.reason()
    return gpu.unusable(device) or "Triton kernels"
