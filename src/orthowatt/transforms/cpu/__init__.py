"""The CPU kernels: C++ behind a plain C interface, called through ctypes.

`library()` is None where the package was installed without a compiler; then `reason()` says so and
every call takes the plain-torch path. Nothing is loaded before the first transform of a CPU tensor.
"""

from __future__ import annotations

import ctypes
import sysconfig
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import bases, hadamard
from ..layout import memory_order

_NAMES = ("liborthowatt_kernels.so", "liborthowatt_kernels.dylib", "orthowatt_kernels.dll")
DTYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2, torch.float16: 3}
#: Orders m of H(n) = Sylvester(n / m) ⊗ H(m) that have a fast form.
CORES = (1, 12, 20, 28)
#: Longest axis of a cosine, sine or Hartley kernel: its small dense products grow with n².
LONGEST = 1024
#: Points of a plane that one pass can hold in a core's own cache, per kind of layout.
LARGEST_PLANE = 1024 * 1024
LARGEST_TILE = 256 * 256

_pointer, _int64, _int32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int32
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "orthowatt_plan_wht": (_pointer, [_int64, _int32, ctypes.c_double]),
    "orthowatt_plan_trig": (_pointer, [_int64, _int32, _int32, _pointer]),
    "orthowatt_plan_hartley": (_pointer, [_int64, ctypes.c_double]),
    "orthowatt_run": (_int32, [_pointer] * 4 + [_int64] * 4 + [_int32] * 2),
    "orthowatt_scratch": (_int64, [_pointer] * 2 + [_int64] * 4 + [_int32]),
    "orthowatt_stream_copy": (_int32, [_pointer, _pointer, _int64, _int32]),
    "orthowatt_select": (ctypes.c_char_p, [ctypes.c_char_p]),
}


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL | None:
    """The compiled kernels, or None where they were not built or cannot be loaded."""
    return _load()[0]


def reason() -> str:
    """Which instruction set runs, or why there are no kernels."""
    return _load()[1]


@lru_cache(maxsize=1)
def _load() -> tuple[ctypes.CDLL | None, str]:
    # An editable installation keeps compiled files beside the other packages, not in the sources.
    installed = Path(sysconfig.get_path("platlib"), "orthowatt", "transforms", "cpu")
    for folder in (Path(__file__).parent, installed):
        for name in _NAMES:
            if (folder / name).exists():
                return _open(folder / name)
    return None, (
        "the C++ kernels were not built: install a C++ compiler and CMake, then install orthowatt "
        "again"
    )


def _open(path: Path) -> tuple[ctypes.CDLL | None, str]:
    try:
        found = ctypes.CDLL(str(path))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        return None, f"the C++ kernels cannot be loaded ({error}); install orthowatt again"
    return found, f"C++ kernels, {found.orthowatt_select(None).decode()}"


def covers(kind: str, n: int) -> bool:
    """Whether a kernel exists for an axis of size n."""
    if kind == "wht":
        return hadamard.is_order(n) and hadamard.factors(n)[1] in CORES
    return kind in ("hartley", "dct2", "dct3", "dst2", "dst3") and n <= LONGEST


@lru_cache(maxsize=1024)
def plan(kind: str, n: int, norm: str, transpose: bool) -> int | None:
    """The address of the plan of one axis; None where no kernel covers it."""
    lib = library()
    if lib is None or not covers(kind, n):
        return None
    scale = {"ortho": n**-0.5, "none": 1.0, "inverse": 1.0 / n}[norm]
    if kind == "wht":
        return lib.orthowatt_plan_wht(n, hadamard.factors(n)[1], scale)
    if kind == "hartley":
        return lib.orthowatt_plan_hartley(n, scale)
    row, column = bases.weights(kind, n, norm)
    # Analysis scales its coefficients as they come out, synthesis as they go in; the other side's
    # weights are all equal, so one vector holds both. A transposed analysis is a synthesis.
    weights = np.ascontiguousarray(row * column)
    analysis = (kind[3] == "2") != transpose
    return lib.orthowatt_plan_trig(n, analysis, kind[1] == "s", weights.ctypes.data)


# One kernel call: plans of both axes (the first may be None), then outer, n1, n2, inner.
Step = tuple[int | None, int, int, int, int, int]


@lru_cache(maxsize=4096)
def steps(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    narrow: bool,
    kind: str,
    dims: tuple[int, ...],
    norm: str,
    transpose: bool,
) -> tuple[Step, ...] | None:
    """The kernel calls for a dense tensor, or None where the plain path has to serve.

    Two axes that lie next to each other in memory are one call. More calls round in between, so
    16-bit tensors (`narrow`) and the joint Hartley transform are served by one call or not at all.
    """
    plans: dict[int, int] = {}
    for dim in dims:
        address = plan(kind, shape[dim], norm, transpose)
        if address is None:
            return None
        plans[dim] = address
    if norm != "ortho" and kind[0] == "d" and any(shape[dim] == 1 for dim in dims):
        return None  # elsewhere an axis of size 1 is left out below, here it scales
    order = memory_order(shape, strides)
    if order is None:
        return None
    place = {axis - len(shape): position for position, axis in enumerate(order)}
    sizes = [shape[axis] for axis in order]
    left = sorted((place[dim], dim) for dim in dims if shape[dim] > 1 or len(dims) == 1)
    left = left or [(place[dims[0]], dims[0])]
    calls: list[Step] = []
    while left:
        position, dim = left.pop(0)
        outer, inner = _product(sizes[:position]), _product(sizes[position + 1 :])
        if left and left[0][0] == position + 1 and _fits(sizes, position):
            _, second = left.pop(0)
            inner //= shape[second]
            calls.append((plans[dim], plans[second], outer, shape[dim], shape[second], inner))
        else:
            calls.append((None, plans[dim], outer, 1, shape[dim], inner))
    if len(calls) > 1 and (narrow or kind == "hartley"):
        return None
    return tuple(calls)


def _fits(sizes: Sequence[int], position: int) -> bool:
    points = sizes[position] * sizes[position + 1]
    inner = _product(sizes[position + 2 :])
    return points <= (LARGEST_PLANE if inner == 1 else LARGEST_TILE)


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def run(calls: Sequence[Step], x: torch.Tensor, out: torch.Tensor) -> None:
    """Run the calls from x to out, which have equal shapes and strides; out may be x."""
    lib = library()
    assert lib is not None
    source, target = x.data_ptr(), out.data_ptr()
    dtype, threads = DTYPES[x.dtype], torch.get_num_threads()
    for first, second, outer, n1, n2, inner in calls:
        if lib.orthowatt_run(first, second, source, target, outer, n1, n2, inner, dtype, threads):
            raise MemoryError("no memory for the work space of a transform")
        source = target


def stream_copy(x: torch.Tensor, out: torch.Tensor) -> None:
    """Copy x to out, of equal shapes and strides, past the cache: the floor of every transform."""
    lib = library()
    assert lib is not None
    size = x.numel() * x.element_size()
    lib.orthowatt_stream_copy(x.data_ptr(), out.data_ptr(), size, torch.get_num_threads())


def scratch_bytes(calls: Sequence[Step], dtype: torch.dtype) -> int:
    """Bytes that the calls keep outside torch's allocator, over all threads."""
    lib = library()
    assert lib is not None
    each = [lib.orthowatt_scratch(*call, DTYPES[dtype]) for call in calls]
    return max(each, default=0) * torch.get_num_threads()
