"""What this process does with CUDA, asked of torch only where torch already runs CUDA here."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class UsedGpu:
    """A GPU on which this process holds a CUDA context: its index as CUDA counts, its UUID
    without the prefix `GPU-` (None where torch does not say)."""

    index: int
    uuid: str | None


def running_torch() -> Any | None:
    """The torch module if it is imported and has initialised CUDA in this process, else None.

    Importing torch or starting CUDA for the sake of a measurement would change what is measured.
    """
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    started = getattr(cuda, "is_initialized", None)  # absent while torch is still being imported
    return torch if started is not None and started() else None


def used_gpus() -> list[UsedGpu]:
    """The GPUs on which this process holds a context; empty without CUDA.

    After an error that CUDA does not recover from it may be empty too, for every call fails then.
    """
    torch = running_torch()
    if torch is None:
        return []
    try:
        return [
            UsedGpu(index, _uuid(torch, index))
            for index in range(torch.cuda.device_count())
            if _has_context(torch, index)
        ]
    except Exception:  # the window must close all the same, and not hide the first error
        return []


def synchronize() -> str | None:
    """Wait for the work queued on every GPU in use; a sentence if that failed, None if not.

    Without it a window would end while its work still runs. Inside a CUDA graph's capture
    synchronising is forbidden and would spoil the capture.
    """
    torch = running_torch()
    if torch is None:
        return None
    try:
        if torch.cuda.is_current_stream_capturing():
            return "a CUDA graph is being captured"
        for gpu in used_gpus():
            torch.cuda.synchronize(gpu.index)
    except Exception as error:  # an asynchronous CUDA error surfaces here: it is not the meter's
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def _has_context(torch: Any, index: int) -> bool:
    has_primary = getattr(torch._C, "_cuda_hasPrimaryContext", None)
    if has_primary is not None:
        return bool(has_primary(index))
    return torch.cuda.memory_reserved(index) > 0 or torch.cuda.current_device() == index


def _uuid(torch: Any, index: int) -> str | None:
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return None if uuid is None else bare_uuid(str(uuid))


def bare_uuid(uuid: str) -> str:
    """A UUID without its prefix, lower case.

    >>> bare_uuid("GPU-8932F937-D72C-4106-C12F-20BD9FAED9F6")[:8]
    '8932f937'
    """
    for prefix in ("GPU-", "MIG-"):
        uuid = uuid.removeprefix(prefix)
    return uuid.lower()
