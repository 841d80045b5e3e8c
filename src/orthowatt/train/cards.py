"""GPUs by name, for a plan made where they are not: how much memory torch sees on each."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError, closest

_GIB = 2**30


@dataclass(frozen=True)
class Card:
    """A GPU: `memory_bytes` is `torch.cuda.mem_get_info`'s total, less than the printed size."""

    name: str
    memory_bytes: int
    precision: str


def _card(name: str, gibibytes: float, precision: str = "bf16") -> Card:
    return Card(name, int(gibibytes * _GIB), precision)


#: Totals as out-of-memory messages of torch state them ("GPU 0 has a total capacity of …"), the
#: lowest that is known where drivers differ. Before compute capability 8.0 there is no fast bf16.
CARDS = {
    "p100": _card("NVIDIA P100 16 GB", 15.89, "fp32"),
    "v100-16": _card("NVIDIA V100 16 GB", 15.77, "fp16"),
    "v100-32": _card("NVIDIA V100 32 GB", 31.74, "fp16"),
    "t4": _card("NVIDIA T4 16 GB", 14.56, "fp16"),
    "rtx-3090": _card("NVIDIA RTX 3090 24 GB", 23.58),
    "rtx-4090": _card("NVIDIA RTX 4090 24 GB", 23.52),
    "rtx-5090": _card("NVIDIA RTX 5090 32 GB", 31.36),
    "a10": _card("NVIDIA A10 24 GB", 21.98),
    "l4": _card("NVIDIA L4 24 GB", 21.96),
    "l40s": _card("NVIDIA L40S 48 GB", 44.39),
    "a100-40": _card("NVIDIA A100 40 GB", 39.38),
    "a100-80": _card("NVIDIA A100 80 GB", 79.14),
    "h100": _card("NVIDIA H100 80 GB", 79.09),
    "h200": _card("NVIDIA H200 141 GB", 139.80),
}


def card(name: str) -> Card:
    """The GPU called `name`; `InputError` with the nearest names for another.

    >>> round(card("t4").memory_bytes / 2**30, 2), card("t4").precision
    (14.56, 'fp16')
    """
    if name not in CARDS:
        sizes = [known for known in CARDS if known.startswith(f"{name}-")]
        raise InputError(f"no GPU is known as {name!r}; {closest(name, sizes or CARDS)}")
    return CARDS[name]
