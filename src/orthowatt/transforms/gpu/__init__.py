"""The GPU kernels: Triton, compiled at the first call of each layout on NVIDIA GPUs.

Where they cannot run (no Triton, no C compiler at run time, another device, an older GPU) every
call takes the plain-torch path, and the first such call says so in a warning that names the mend.
Importing this package imports neither Triton nor CUDA.
"""

from __future__ import annotations

import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from os import environ
from subprocess import CalledProcessError
from typing import Any

import torch

from ..layout import is_dense
from . import plan

#: The first generation whose matrix units take bf16.
LEAST_CAPABILITY = (8, 0)


def transform(
    x: torch.Tensor,
    kind: str,
    dims: tuple[int, ...],
    norm: str,
    transpose: bool,
    out: torch.Tensor | None = None,
) -> torch.Tensor | None:
    """The transform of a CUDA tensor, into `out` where given; None where no kernel serves."""
    dense = _dense(x)
    request = (kind, dims, norm, transpose)
    if isinstance(_steps(x, dense, *request), str) or not usable(x.device):
        return None
    source = x if dense else torch.empty_like(x).copy_(x)
    into = out is not None and out.stride() == source.stride() and not _overlap(source, out)
    result = out if into and out is not None else torch.empty_like(source)
    key = (tuple(source.shape), source.stride(), x.dtype, x.device, *request)
    if not _ran(x.device, _run, key, source, result):
        return None
    return result if out is None or result is out else out.copy_(result)


def resized(
    x: torch.Tensor,
    kind: str,
    dims: tuple[int, ...],
    norm: str,
    transpose: bool,
    full: tuple[int, ...],
    result: tuple[int, ...],
    out: torch.Tensor | None = None,
) -> torch.Tensor | None:
    """The transform of x zero-padded along `dims` to `full` and cropped to `result`, in one pass,
    into `out` where given; None where it takes more. The result's axes lie in memory as x's do."""
    if not x.numel():
        return None
    layout = (tuple(x.shape), x.stride(), x.dtype)
    request = (kind, dims, norm, transpose, full, result)
    step = plan.resized(*layout, *request)
    if step is None or not usable(x.device):
        return None
    shape = list(x.shape)
    for dim, n in zip(dims, result, strict=True):
        shape[dim] = n
    strides = plan.strides_like(tuple(shape), layout[0], layout[1])
    into = out is not None and out.stride() == strides and not _share(x, out)
    y = out if into and out is not None else x.new_empty_strided(shape, strides)
    if not _ran(x.device, _run_resized, (*layout, x.device, *request), x, y):
        return None
    return y if out is None or y is out else out.copy_(y)


def _ran(device: torch.device, work: Callable[..., None], request: _Key, *tensors: Any) -> bool:
    """Run it on a device; False, and a warning, where its kernel cannot be compiled.

    A compiler that fails, fails for all; a kernel that asks for more than the GPU has is left out.
    """
    if request in _left_out:
        return False
    try:
        with torch.cuda.device(device if device.type == "cuda" else -1):
            work(request, *tensors)
    except Exception as error:  # of many kinds: the compiler's, the driver's, a lack of memory
        if "out of memory" in str(error) or not _of_the_compiler(error):
            raise
        why = (
            f"a kernel cannot be made for this GPU ({_first_line(error)}); see that the "
            "environment variable CC names a working C compiler, and that Triton is the version "
            "that this torch asks for"
        )
        if type(error).__name__ == "OutOfResources":
            _left_out.add(request)
        else:
            _broken.append(why)
        _warn(why)
        return False
    return True


def backend(x: torch.Tensor, kind: str, dims: tuple[int, ...]) -> tuple[str, str]:
    """("gpu" or "torch", why) for a transform of x on a CUDA device."""
    why = unusable(x.device)
    if why:
        return "torch", why
    steps = _steps(x, _dense(x), kind, dims, "ortho", False)
    if isinstance(steps, str):
        return "torch", steps
    own = (tuple(x.shape), x.stride(), x.dtype, x.device, kind, dims)
    if any(key[: len(own)] == own for key in _left_out):
        return "torch", "its kernel asks for more than this GPU has"
    passes = "one pass" if len(steps) == 1 else f"{len(steps)} passes"
    copied = "" if _dense(x) else ", over a dense copy, for the tensor has gaps"
    return "gpu", f"Triton kernels, {passes}{copied}"


def usable(device: torch.device) -> bool:
    """Whether kernels can run on a device; the first time that they cannot, a warning says why."""
    why = unusable(device)
    if why:
        _warn(why)
    return not why


def unusable(device: torch.device) -> str:
    """Why no kernel runs on a device, with the mend; empty where they do."""
    return _broken[0] if _broken else _unusable(device)


_Key = tuple[Any, ...]
_broken: list[str] = []
_left_out: set[_Key] = set()


@lru_cache(maxsize=64)
def _unusable(device: torch.device) -> str:
    if device.type != "cuda" or torch.version.hip:
        return f"there are no kernels for {'AMD GPUs' if torch.version.hip else device.type} yet"
    if find_spec("triton") is None:
        system = "" if sys.platform == "linux" else f" (it has none for {sys.platform})"
        return f"Triton is not installed; install it with pip install triton{system}"
    if _compiler() is None:
        return (
            "Triton needs a C compiler at run time and found none; install gcc or clang, or name "
            "one in the environment variable CC"
        )
    capability = torch.cuda.get_device_capability(device)
    if capability < LEAST_CAPABILITY:
        return (
            f"the GPU has compute capability {capability[0]}.{capability[1]}, and the kernels "
            f"need {LEAST_CAPABILITY[0]}.{LEAST_CAPABILITY[1]} or newer"
        )
    return ""


def _compiler() -> str | None:
    """The C compiler that Triton will find, in its own order."""
    own = environ.get("CC")
    return shutil.which(own) if own else shutil.which("gcc") or shutil.which("clang")


@lru_cache(maxsize=64)
def _warn(why: str) -> None:
    warnings.warn(f"orthowatt's transforms run on plain torch here: {why}", stacklevel=2)


def _steps(
    x: torch.Tensor, dense: bool, kind: str, dims: tuple[int, ...], norm: str, transpose: bool
) -> tuple[plan.Step, ...] | str:
    if not x.numel():
        return "the tensor is empty"
    strides = x.stride() if dense else torch.empty_like(x, device="meta").stride()
    return plan.steps(tuple(x.shape), strides, x.dtype, kind, dims, norm, transpose)


def _run(key: _Key, x: torch.Tensor, out: torch.Tensor) -> None:
    passes = _passes(*key)
    if passes.proven or not _share(x, out):
        passes(x, out)
    else:  # a later pass that cannot be made must not leave x half transformed
        made = torch.empty_like(out)
        passes(x, made)
        out.copy_(made)


@lru_cache(maxsize=4096)
def _passes(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, device: torch.device,
    *request: Any,
) -> Any:  # fmt: skip
    from . import launch

    steps = plan.steps(shape, strides, dtype, *request)
    assert not isinstance(steps, str), "the caller has asked"
    return launch.Passes(steps, device)


def _run_resized(key: _Key, x: torch.Tensor, y: torch.Tensor) -> None:
    _resized(*key)(x, y)


@lru_cache(maxsize=1024)
def _resized(
    shape: tuple[int, ...], strides: tuple[int, ...], dtype: torch.dtype, device: torch.device,
    *request: Any,
) -> Any:  # fmt: skip
    from . import launch

    step = plan.resized(shape, strides, dtype, *request)
    assert step is not None, "the caller has asked"
    return launch.Launch(step, device)


def _dense(x: torch.Tensor) -> bool:
    return x.is_contiguous() or is_dense(tuple(x.shape), x.stride())


def _overlap(x: torch.Tensor, out: torch.Tensor) -> bool:
    """Whether writing `out` would destroy what is still to be read of x: x itself is safe."""
    return _share(x, out) and x.data_ptr() != out.data_ptr()


def _share(x: torch.Tensor, out: torch.Tensor) -> bool:
    return x.untyped_storage().data_ptr() == out.untyped_storage().data_ptr()


def _of_the_compiler(error: Exception) -> bool:
    if type(error).__module__.split(".")[0] == "triton" or "triton" in str(error).lower():
        return True
    if isinstance(error, CalledProcessError):  # the C compiler's, of Triton's launcher
        return True
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(str(f.f_globals.get("__name__")).split(".")[0] == "triton" for f in frames)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
