"""Whether the transforms are right on this device: values against fp64, gradients, compilation.

Run before anything is timed, on any device, for a fast wrong result is worth nothing.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..transforms import functional, hadamard, ops, reference

#: Largest relative error (Frobenius) of fp32 and fp64 against fp64.
RELATIVE = {torch.float32: 1e-6, torch.float64: 1e-13}
#: 16-bit results: largest distance in units of the last place, and the share within one.
LARGEST_ULPS, WITHIN_ONE = 2.0, 0.999
_DIGITS = {torch.bfloat16: 7, torch.float16: 10}
KINDS = ("wht", "dct2", "dct3", "dst2", "dst3", "hartley")
SIZES = (7, 8, 12, 14, 16, 20, 28, 32, 56, 64, 96, 112, 128, 224, 256)


@dataclass(frozen=True)
class Check:
    """One check: `figure` is what was measured, `limit` what it may be at most."""

    name: str
    passed: bool
    figure: float | None
    limit: float | None
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready values."""
        return asdict(self)


def ulps(actual: torch.Tensor, exact: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Distances in units of the last place, taken at max(|exact|, 2⁻⁸ · rms of the plane).

    >>> one = torch.ones(1, 1, dtype=torch.float64)
    >>> float(ulps(one + 2.0**-7, one, torch.bfloat16))
    1.0
    """
    rms = exact.pow(2).mean((-2, -1), keepdim=True).sqrt()
    at = torch.maximum(exact.abs(), rms * 2.0**-8)
    unit = torch.exp2(torch.floor(torch.log2(at)) - _DIGITS[dtype])
    return (actual.double() - exact).abs() / unit


def compare(name: str, actual: torch.Tensor, exact: torch.Tensor) -> Check:
    """One result against the fp64 one, by its dtype's rule."""
    if actual.dtype in RELATIVE:
        limit = RELATIVE[actual.dtype]
        error = float((actual.double() - exact).norm() / exact.norm())
        return Check(name, error <= limit, error, limit, "relative, Frobenius")
    distance = ulps(actual, exact, actual.dtype)
    largest, within = float(distance.max()), float((distance <= 1).double().mean())
    passed = largest <= LARGEST_ULPS and within >= WITHIN_ONE
    return Check(name, passed, largest, LARGEST_ULPS, f"ulp at most; {within:.5%} within 1")


def run(
    device: torch.device,
    *,
    sizes: tuple[int, ...] = SIZES,
    compiler: str = "inductor",
    progress: Callable[[Check], None] | None = None,
    deadline: float = float("inf"),
) -> list[Check]:
    """Every check, until `deadline` on `time.monotonic()`; `compiler` is torch.compile's backend.

    >>> all(check.passed for check in run(torch.device("cpu"), sizes=(7, 12), compiler="eager"))
    True
    """
    return take(checks(device, sizes=sizes, compiler=compiler), progress, deadline)


def take(
    found: Iterator[Check],
    progress: Callable[[Check], None] | None = None,
    deadline: float = float("inf"),
) -> list[Check]:
    """Checks as they come, until `deadline`; what is left of the iterator can be taken later."""
    taken = []
    for check in found:
        taken.append(check)
        if progress:
            progress(check)
        if time.monotonic() > deadline:
            break
    return taken


def checks(
    device: torch.device, *, sizes: tuple[int, ...] = SIZES, compiler: str = "inductor"
) -> Iterator[Check]:
    """Every check, those that concern all sizes first."""
    yield from _layouts(device)
    yield from _gradients(device, max(sizes))
    yield from _operator(device, compiler)
    if device.type == "cuda":
        from . import launches

        yield from launches.checks(device)
    for dtype in (torch.bfloat16, torch.float32, torch.float16):
        for kind in KINDS:
            for n in sizes:
                if kind != "wht" or hadamard.is_order(n):
                    yield from _values(kind, n, dtype, device)
    yield from _lines(device)


def random(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Seeded normal values, the same for every call of one shape and device."""
    generator = torch.Generator(device).manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, device=device).to(dtype)


def _name(kind: str, what: object, dtype: torch.dtype) -> str:
    return f"{kind} {what} {str(dtype).removeprefix('torch.')}"


def _values(kind: str, n: int, dtype: torch.dtype, device: torch.device) -> Iterator[Check]:
    for layout in (torch.contiguous_format, torch.channels_last):
        x = random((2, 19, n, n), dtype, device).contiguous(memory_format=layout)
        y = ops.compute(x, kind, (-2, -1), "ortho", False)
        exact = reference.transform(x.double(), kind, (-2, -1), "ortho", False)
        last = "channels_last" if layout is torch.channels_last else "plane"
        yield compare(_name(kind, f"{last} {n}", dtype), y, exact)


def _lines(device: torch.device) -> Iterator[Check]:
    for n in (28, 256, 1024, 2048):
        for shape, dim in (((3, n, 7, 9), -3), ((50, n), -1)):
            for dtype in (torch.float32, torch.bfloat16):
                x = random(shape, dtype, device)
                y = ops.compute(x, "wht", (dim,), "ortho", False)
                exact = reference.transform(x.double(), "wht", (dim,), "ortho", False)
                yield compare(_name("wht", f"line {n} of dim {dim}", dtype), y, exact)


def _layouts(device: torch.device) -> Iterator[Check]:
    """Gaps, aliases, empty batches, repeated calls, and a NaN that stays in its plane."""
    wide = random((3, 5, 28, 40), torch.float32, device)
    x = wide[..., 3:31]
    exact = functional.wht(x.double())
    yield compare("a tensor with gaps", functional.wht(x), exact)
    again = x.clone()
    yield compare("in place", functional.wht(again, out=again), exact)
    y = functional.wht(x.contiguous())
    same = all(torch.equal(functional.wht(x.contiguous()), y) for _ in range(5))
    yield Check("equal bits at every call", same, None, None, "5 repetitions")
    empty = functional.wht(x[:0])
    yield Check("an empty batch", empty.shape == x[:0].shape, None, None, str(tuple(empty.shape)))
    for n in (8, 14, 56):
        x = random((4, 33, n, n), torch.bfloat16, device)
        x[1, 2, 3, 4] = float("nan")
        for layout in (torch.contiguous_format, torch.channels_last):
            y = functional.dct(x.contiguous(memory_format=layout))
            bad = ~torch.isfinite(y).all(-1).all(-1)
            alone = bool(bad[1, 2]) and int(bad.sum()) == 1
            yield Check(f"a NaN stays in its plane, {n}", alone, float(bad.sum()), 1, str(layout))


def _gradients(device: torch.device, largest: int) -> Iterator[Check]:
    """First and second order: T is linear, so both are the transposed or the plain transform."""
    for kind in KINDS:
        for n in (28, min(56, largest)) if kind == "wht" else (7, min(56, largest)):
            request = (kind, (-2, -1), "none", False)
            x = random((2, 9, n, n), torch.float32, device).requires_grad_()
            v = random((2, 9, n, n), torch.float32, device).requires_grad_()
            (grad,) = torch.autograd.grad(ops.apply(x, *request), x, v, create_graph=True)
            exact = reference.transform(v.detach().double(), *request[:3], True)
            yield compare(f"gradient of {kind} {n}", grad.detach(), exact)
            (second,) = torch.autograd.grad(grad, v, x.detach())
            exact = reference.transform(x.detach().double(), *request)
            yield compare(f"second gradient of {kind} {n}", second, exact)


def _operator(device: torch.device, compiler: str) -> Iterator[Check]:
    """opcheck with permuted layouts, and one node a call under torch.compile."""
    operator = torch.ops.orthowatt.transform.default
    x = random((2, 3, 28, 28), torch.float32, device)
    layouts = {
        "contiguous": x,
        "permuted": x.permute(3, 1, 0, 2),
        "channels_last": x.contiguous(memory_format=torch.channels_last),
    }
    for name, layout in layouts.items():
        dims = [-1, -4] if name == "permuted" else [-2, -1]
        for grad in (False, True):
            given = layout.detach().clone(memory_format=torch.preserve_format)
            arguments = (given.requires_grad_(grad), "wht", dims, "ortho", False)
            with warnings.catch_warnings():  # torch's own, of how opcheck looks at gradients
                warnings.simplefilter("ignore")
                found = torch.library.opcheck(operator, arguments, raise_exception=False)
            passed = all(result == "SUCCESS" for result in found.values())
            yield Check(f"opcheck {name}, grad {grad}", passed, None, None, str(found))
    torch._dynamo.reset()
    for kind in ("wht", "dct2"):

        def call(x: torch.Tensor, kind: str = kind) -> torch.Tensor:
            return ops.apply(x, kind, (-2, -1), "ortho") * 2

        compiled = torch.compile(call, fullgraph=True, backend=compiler)
        error = float((compiled(x) - call(x)).abs().max())
        yield Check(f"torch.compile {kind}", error <= 1e-5, error, 1e-5, compiler)
