"""Which code computes the transforms of a run: how results are rounded hangs on it."""

from __future__ import annotations

import torch

from ..transforms import cpu, gpu

#: Transforms that have kernels, compiled for the CPU and by Triton for GPUs; the others are torch's
#: own operations.
COMPILED = ("wht", "dct", "dst", "hartley")


def transform_backend(transform: str, device: str) -> str:
    """What computes `transform` on a device of type `device`: the kernels and their instruction
    set, "Triton kernels", or "plain torch".

    >>> transform_backend("fft", "cpu"), transform_backend("random", "cuda")
    ('plain torch', 'plain torch')
    """
    if transform not in COMPILED:
        return "plain torch"
    if device == "cuda":
        usable = torch.cuda.is_available() and not gpu.unusable(torch.device("cuda"))
        return "Triton kernels" if usable else "plain torch"
    return "plain torch" if device != "cpu" or cpu.library() is None else cpu.reason()
