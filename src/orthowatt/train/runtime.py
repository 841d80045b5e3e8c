"""How a run computes: its device, precision and determinism, undone when the run ends."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from typing import Any

import torch

from ..config import RunConfig
from ..errors import InputError
from ..models.backend import transform_backend

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_device(name: str) -> torch.device:
    """The device called `name`: `auto` is the current CUDA device, or the CPU where there is none.

    Raises `InputError` for a device that torch does not know or that is not there.

    >>> resolve_device("cpu")
    device(type='cpu')
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):  # torch's own words list a dozen exotic kinds
        raise InputError(f"device is {name!r}, but must be auto, cpu, cuda or cuda:N") from None
    if device.type == "cpu":
        return torch.device("cpu")
    if device.type != "cuda":
        raise InputError(f"device is {name!r}, but runs go on auto, cpu, cuda or cuda:N")
    count = torch.cuda.device_count()
    if count == 0:
        raise InputError(
            f"device is {name!r}, but torch finds no usable GPU here; `orthowatt doctor` says why, "
            "and device=cpu always works"
        )
    index = torch.cuda.current_device() if device.index is None else device.index
    if index >= count:
        raise InputError(f"device is {name!r}, but torch finds {count} GPUs, counted from cuda:0")
    torch.cuda.init()  # peaks of memory and generators of a device exist only after that
    return torch.device("cuda", index)


def resolve_precision(precision: str, device: torch.device) -> str:
    """`auto` as what the device computes best: bf16 (CUDA 8.0 on), fp16 (CUDA 7.x), else fp32.

    >>> resolve_precision("auto", torch.device("cpu"))
    'fp32'
    """
    if precision != "auto":
        return precision
    if device.type != "cuda":
        return "fp32"
    major, _ = torch.cuda.get_device_capability(device)
    return "bf16" if major >= 8 else "fp16" if major == 7 else "fp32"


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """A context in which convolutions and products run in `precision`."""
    return torch.autocast(
        device.type, dtype=_DTYPES.get(precision), enabled=precision in _DTYPES, cache_enabled=True
    )


@contextlib.contextmanager
def determinism(mode: str, device: torch.device) -> Iterator[None]:
    """Apply `exact` or `fast` to torch's global switches, and put them back afterwards.

    `exact`: deterministic algorithms only (an operation without one raises), no search for the
    fastest convolution. `fast`: that search, and whatever algorithm is fastest.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    switches = (cudnn.deterministic, cudnn.benchmark)
    exact = mode == "exact"
    try:
        torch.use_deterministic_algorithms(exact)
        cudnn.deterministic, cudnn.benchmark = exact, not exact
        with _cublas_workspace(exact and device.type == "cuda"):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warn_only)
        cudnn.deterministic, cudnn.benchmark = switches


@contextlib.contextmanager
def _cublas_workspace(wanted: bool) -> Iterator[None]:
    # cuBLAS is deterministic only with a fixed workspace, and torch refuses to call it without
    name = "CUBLAS_WORKSPACE_CONFIG"
    if not wanted or name in os.environ:
        yield
        return
    os.environ[name] = ":4096:8"
    try:
        yield
    finally:
        os.environ.pop(name, None)


def current(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Make `device` the one that events and streams without a name belong to."""
    return torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()


@contextlib.contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Give torch's global generators (dropout has no other) back as they were found."""
    devices = [device.index] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def seed_globals(seed: int, device: torch.device) -> None:
    """Seed the global generators of the CPU and of `device`, and of no other device."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(seed)


@contextlib.contextmanager
def own_threads() -> Iterator[None]:
    """Give torch's number of threads back as it was found."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def useful_threads(macs: float, available: int) -> int:
    """Threads worth using for a forward pass of `macs` multiply-accumulates on the CPU.

    One for each 0.5 GMAC: below that (some 10 ms of one core) the threads of a small layer wait for
    each other more than they compute, and ten times longer once other programs use the cores. A
    rule on the work, not a measurement, so that a run repeats itself.

    >>> useful_threads(0.3e9, 8), useful_threads(2e9, 8), useful_threads(1e12, 8)
    (1, 4, 8)
    """
    return max(1, min(available, math.ceil(macs / 0.5e9)))


def settings(config: RunConfig, device: torch.device, precision: str) -> dict[str, Any]:
    """What was resolved and what the machine lent, for the record."""
    return {
        "device": str(device),
        "precision": precision,
        "determinism": config.determinism,
        "transforms": "dense products"
        if config.wht_by == "dense"
        else transform_backend(config.transform, device.type),
        "channels_last": config.channels_last,
        "compile": config.compile,
        "tf32_convolutions": torch.backends.cudnn.allow_tf32 if device.type == "cuda" else None,
        "tf32_products": torch.backends.cuda.matmul.allow_tf32 if device.type == "cuda" else None,
    }
