"""Other implementations of the same transforms, each used where it is installed.

A peer is a function of an input and an output tensor that leaves the orthonormal transform over
`dims` in the output, by the peer's own fastest documented route and with the same allocation
policy as ours where it has an `out`; one that cannot do a case is left out of its row.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..transforms import bases, hadamard
from .cases import Case
from .pool import reason
from .timing import Call, rotating


def installed(name: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(name) is not None


Pairs = Sequence[tuple[torch.Tensor, torch.Tensor]]


def peers_of(case: Case, tensors: Pairs) -> tuple[dict[str, Call], dict[str, str]]:
    """The calls of every peer that covers `case`, by name, and the errors of those that fail.

    Each call takes the next of the inputs and outputs in its turn, as ours does: a peer must not
    find its tensor in a cache where ours may not.
    """
    found: dict[str, Call] = {}
    errors: dict[str, str] = {}
    if case.pad:  # no peer pads: with a copy before it, it would be another call
        return found, errors
    for name, make in _PEERS.items():
        try:
            calls = [call for x, out in tensors if (call := make(case, x, out)) is not None]
            if calls:
                calls[0]()
                found[name] = rotating(calls)
        except Exception as error:  # one peer's; the others are worth their while
            errors[name] = reason(error)
    return found, errors


def _dense(case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    """`M @ x @ Mᵀ` in torch: what a user writes who has no fast transform."""
    if case.kind == "hartley" or case.dims != (-2, -1) or case.channels_last:
        return None
    n = case.shape[-1]
    if case.kind == "wht":
        m = torch.tensor(hadamard.matrix(n), dtype=torch.float64) / n**0.5
    else:
        m = torch.tensor(bases.matrix(case.kind, n, "ortho"))
    m = m.to(x.device, x.dtype)
    mt = m.T.contiguous()
    return lambda: torch.matmul(torch.matmul(m, x), mt, out=out)


def _scipy(case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    if x.device.type != "cpu" or case.kind not in ("dct2", "dct3") or x.dtype == torch.bfloat16:
        return None
    import scipy.fft

    array, kind = x.numpy(), int(case.kind[3])
    threads = torch.get_num_threads()
    return lambda: scipy.fft.dctn(array, kind, axes=case.dims, norm="ortho", workers=threads)


def _torch_dct(case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    covered = case.kind in ("dct2", "dct3") and case.dims == (-2, -1) and not case.channels_last
    if not covered or x.dtype != torch.float32 or not installed("torch_dct"):
        return None
    import torch_dct  # pyright: ignore[reportMissingImports]

    function = torch_dct.dct_2d if case.kind == "dct2" else torch_dct.idct_2d
    return lambda: function(x, norm="ortho")


def _fht_cpu(case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    """Both axes as one line of H·W, which natural order allows; it does not scale, ours does."""
    if (
        not _one_line(case)
        or x.device.type != "cpu"
        or x.dtype not in (torch.float32, torch.float64)
    ):
        return None
    if not installed("fht_cpu"):
        return None
    import fht_cpu  # pyright: ignore[reportMissingImports]

    length = case.sizes[0] * case.sizes[1]
    rows, target = x.view(-1, length).numpy(), out.view(-1, length).numpy()
    return lambda: fht_cpu.fht(rows, out=target, axis=-1)


def _fht_cpu_by_axes(case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    """One axis after the other, as a plane that is no power of two would need it."""
    if _fht_cpu(case, x, out) is None:
        return None
    import fht_cpu  # pyright: ignore[reportMissingImports]

    height, width = case.sizes
    turned = torch.empty(*x.shape[:-2], width, height, dtype=x.dtype)
    rows, target = x.view(-1, width).numpy(), out.view(-1, width).numpy()
    columns = turned.view(-1, height).numpy()

    def both() -> None:  # it takes rows of a matrix, so the plane is turned in between
        fht_cpu.fht(rows, out=target, axis=-1)
        turned.copy_(out.transpose(-2, -1))
        fht_cpu.fht(columns, out=columns, axis=-1)
        out.copy_(turned.transpose(-2, -1))

    return both


def _powers(case: Case) -> bool:
    """Planes of powers of two are one line for a Walsh-Hadamard transform, in natural order."""
    return case.kind == "wht" and not any(n & (n - 1) for n in case.sizes) and case.dims == (-2, -1)


def _one_line(case: Case) -> bool:
    """Whether such a plane lies as one line in memory."""
    return _powers(case) and not case.channels_last


def _hadamard_transform(case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    if not _one_line(case) or not installed("hadamard_transform"):
        return None
    import hadamard_transform  # pyright: ignore[reportMissingImports]

    rows = x.view(-1, case.sizes[0] * case.sizes[1])
    return lambda: hadamard_transform.hadamard_transform(rows)


def _fast_hadamard_transform(case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    if case.kind != "wht" or x.device.type != "cuda" or not installed("fast_hadamard_transform"):
        return None
    import fast_hadamard_transform as peer  # pyright: ignore[reportMissingImports]

    return fht_route(peer, case, x, out)


#: The longest line that fast_hadamard_transform takes.
_LONGEST_LINE = 2**15


def fht_route(peer: Any, case: Case, x: torch.Tensor, out: torch.Tensor) -> Call | None:
    """The fewest calls and copies of the module `peer` that transform both axes.

    One line of H·W where both are powers of two, with a copy before and after it on channels_last;
    else one axis, a transposing copy, the other. Its matrix of order 28 is another one than ours,
    so the values differ and the work does not.
    """
    if case.dims != (-2, -1):
        return None
    length = case.sizes[0] * case.sizes[1]
    if _powers(case) and length <= _LONGEST_LINE:
        scale = length**-0.5
        if _one_line(case):
            rows = x.view(-1, length)
            return lambda: peer.hadamard_transform(rows, scale)

        def line() -> torch.Tensor:
            rows = x.contiguous().view(-1, length)
            return out.copy_(peer.hadamard_transform(rows, scale).view(x.shape))

        return line
    n = case.sizes[0]
    multiple = hadamard.factors(n)[1]
    function = {1: "hadamard_transform", 28: "hadamard_transform_28N"}.get(multiple, "")
    one = getattr(peer, function, None)
    if one is None or case.sizes != (n, n):
        return None

    def both() -> torch.Tensor:
        y = one(x.contiguous(), n**-0.5).transpose(-1, -2).contiguous()
        return out.copy_(one(y, n**-0.5).transpose(-1, -2))

    return both


_PEERS: dict[str, Callable[[Case, torch.Tensor, torch.Tensor], Call | None]] = {
    "dense matmul": _dense,
    "scipy.fft": _scipy,
    "torch-dct": _torch_dct,
    "fht-cpu": _fht_cpu,
    "fht-cpu by axes": _fht_cpu_by_axes,
    "hadamard-transform": _hadamard_transform,
    "fast-hadamard-transform": _fast_hadamard_transform,
}
