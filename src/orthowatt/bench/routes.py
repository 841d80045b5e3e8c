"""Which launches a case of the benchmark takes on a GPU, as the kernels' plan has it."""

from __future__ import annotations

import torch

from ..transforms.gpu import plan
from .cases import Case


def steps_of(case: Case) -> tuple[plan.Step, ...] | str:
    """The steps of a case, or why the plain path has to serve it.

    >>> [s.kernel for s in steps_of(Case("wht", (1, 8, 28, 28), (-2, -1), True, torch.float32))]
    ['maps']
    """
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    strides = torch.empty(case.shape, device="meta", memory_format=layout).stride()
    request = (case.kind, case.dims, "ortho", False)
    if not case.pad:
        return plan.steps(case.shape, strides, case.dtype, *request)
    full = tuple(case.result_shape[dim] for dim in case.dims)
    step = plan.resized(case.shape, strides, case.dtype, *request, full, full)
    return "padding takes a pass of its own" if step is None else (step,)


def launches(case: Case, device: torch.device) -> int:
    """How many kernels one call launches: what lies between two passes goes in groups."""
    steps = steps_of(case)
    if isinstance(steps, str) or len(steps) == 1:
        return 1
    from ..transforms.gpu import launch

    return len(steps) * -(-steps[0].outer // launch.Passes(steps, device)._group)
