"""Keeping what the sampler saw: a run's `power.npz`."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from pathlib import Path

from .trace import Trace


def save_samples(traces: Mapping[str, Trace], path: Path) -> bool:
    """Write every poll of every GPU; False, and no file, where nothing was polled.

    Arrays `<scope>/fast/<column>` and `<scope>/slow/<column>`, float64, and the difference of
    wall clock and monotonic clock in seconds, so that the times can be set beside other logs.
    """
    arrays = {
        f"{scope}/{name}": column
        for scope, trace in traces.items()
        for name, column in trace.to_arrays().items()
    }
    if not any(len(column) for column in arrays.values()):
        return False
    import numpy as np

    from ..record import write_atomic

    content = io.BytesIO()
    offset = np.float64(time.time() - time.monotonic())
    np.savez_compressed(content, wall_minus_monotonic=offset, **arrays)
    write_atomic(path, content.getvalue())
    return True
