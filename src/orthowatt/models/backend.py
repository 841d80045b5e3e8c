"""Which code computes the transforms of a run: how results are rounded hangs on it."""

from __future__ import annotations

from ..transforms import cpu

#: Transforms that have compiled kernels on the CPU; the others are torch's own operations.
COMPILED = ("wht", "dct", "dst", "hartley")


def transform_backend(transform: str, device: str) -> str:
    """What computes `transform` on a device of type `device`: the kernels and their instruction
    set, or "plain torch".

    >>> transform_backend("fft", "cpu"), transform_backend("wht", "cuda")
    ('plain torch', 'plain torch')
    """
    if transform not in COMPILED or device != "cpu" or cpu.library() is None:
        return "plain torch"
    return cpu.reason()
