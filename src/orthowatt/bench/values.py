"""What it means to be right on this device: values against fp64, gradients, compilation.

Each function here is one check, or a few that share their tensors; `checks` runs them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch

from ..transforms import functional, ops, reference
from .pool import reason

#: Largest relative error (Frobenius) of fp32 and fp64 against fp64.
RELATIVE = {torch.float32: 1e-6, torch.float64: 1e-13}
#: 16-bit results: largest distance in units of the last place, and the share within one.
LARGEST_ULPS, WITHIN_ONE = 2.0, 0.999
_DIGITS = {torch.bfloat16: 7, torch.float16: 10}


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


def failed(name: str, why: str) -> Check:
    """A check that came to no figure."""
    return Check(name, False, None, None, why)


def guarded(name: str, found: Iterable[Check]) -> Iterator[Check]:
    """The checks as they come; an error among them is one more, that failed, and ends them."""
    try:
        yield from found
    except Exception as error:  # of whatever kind: the other checks are worth their while
        yield failed(name, reason(error))


def random(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Seeded normal values, the same for every call of one shape and device."""
    generator = torch.Generator(device).manual_seed(sum(shape))
    return torch.randn(shape, generator=generator, device=device).to(dtype)


def _name(kind: str, what: object, dtype: torch.dtype) -> str:
    return f"{kind} {what} {str(dtype).removeprefix('torch.')}"


def _laid_out(x: torch.Tensor, channels_last: bool) -> torch.Tensor:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return x.contiguous(memory_format=layout)


def plane(
    device: torch.device, kind: str, n: int, dtype: torch.dtype, channels_last: bool
) -> Iterator[Check]:
    """Both axes of planes of size n."""
    x = _laid_out(random((2, 19, n, n), dtype, device), channels_last)
    y = ops.compute(x, kind, (-2, -1), "ortho", False)
    exact = reference.transform(x.double(), kind, (-2, -1), "ortho", False)
    layout = "channels_last" if channels_last else "plane"
    yield compare(_name(kind, f"{layout} {n}", dtype), y, exact)


def line(device: torch.device, n: int, dim: int, dtype: torch.dtype) -> Iterator[Check]:
    """One axis, innermost in memory or with others inside of it."""
    x = random((50, n) if dim == -1 else (3, n, 7, 9), dtype, device)
    y = ops.compute(x, "wht", (dim,), "ortho", False)
    exact = reference.transform(x.double(), "wht", (dim,), "ortho", False)
    yield compare(_name("wht", f"line {n} of dim {dim}", dtype), y, exact)


def layouts(device: torch.device) -> Iterator[Check]:
    """Gaps, aliases, repeated calls, empty batches."""
    x = random((3, 5, 28, 40), torch.float32, device)[..., 3:31]
    exact = functional.wht(x.double())

    def gaps() -> Iterator[Check]:
        yield compare("a tensor with gaps", functional.wht(x), exact)

    def in_place() -> Iterator[Check]:
        again = x.clone()
        yield compare("in place", functional.wht(again, out=again), exact)

    def repeated() -> Iterator[Check]:
        y = functional.wht(x.contiguous())
        same = all(torch.equal(functional.wht(x.contiguous()), y) for _ in range(5))
        yield Check("equal bits at every call", same, None, None, "5 repetitions")

    def empty() -> Iterator[Check]:
        y = functional.wht(x[:0])
        yield Check("an empty batch", y.shape == x[:0].shape, None, None, str(tuple(y.shape)))

    for one in (gaps, in_place, repeated, empty):
        yield from guarded(one.__name__.replace("_", " "), one())


def not_a_number(device: torch.device, n: int, channels_last: bool) -> Iterator[Check]:
    """A NaN stays in its plane."""
    x = random((4, 33, n, n), torch.bfloat16, device)
    x[1, 2, 3, 4] = float("nan")
    y = functional.dct(_laid_out(x, channels_last))
    bad = ~torch.isfinite(y).all(-1).all(-1)
    alone = bool(bad[1, 2]) and int(bad.sum()) == 1
    layout = "channels_last" if channels_last else "plane"
    yield Check(f"a NaN stays in its plane, {layout} {n}", alone, float(bad.sum()), 1, "planes")


def gradients(device: torch.device, kind: str, n: int) -> Iterator[Check]:
    """First and second order: T is linear, so both are the transposed or the plain transform."""
    request = (kind, (-2, -1), "none", False)
    x = random((2, 9, n, n), torch.float32, device).requires_grad_()
    v = random((2, 9, n, n), torch.float32, device).requires_grad_()
    (grad,) = torch.autograd.grad(ops.apply(x, *request), x, v, create_graph=True)
    exact = reference.transform(v.detach().double(), *request[:3], True)
    yield compare(f"gradient of {kind} {n}", grad.detach(), exact)
    (second,) = torch.autograd.grad(grad, v, x.detach())
    exact = reference.transform(x.detach().double(), *request)
    yield compare(f"second gradient of {kind} {n}", second, exact)


def operator(device: torch.device, layout: str, grad: bool) -> Iterator[Check]:
    """opcheck with contiguous, permuted and channels_last tensors."""
    x = random((2, 3, 28, 28), torch.float32, device)
    if layout == "permuted":
        x = x.permute(3, 1, 0, 2)
    elif layout == "channels_last":
        x = x.contiguous(memory_format=torch.channels_last)
    dims = [-1, -4] if layout == "permuted" else [-2, -1]
    given = x.detach().clone(memory_format=torch.preserve_format).requires_grad_(grad)
    with warnings.catch_warnings():  # torch's own, of how opcheck looks at gradients
        warnings.simplefilter("ignore")
        found = torch.library.opcheck(
            torch.ops.orthowatt.transform.default, (given, "wht", dims, "ortho", False),
            raise_exception=False,
        )  # fmt: skip
    passed = all(result == "SUCCESS" for result in found.values())
    yield Check(f"opcheck {layout}, grad {grad}", passed, None, None, str(found))


def compiled(device: torch.device, kind: str, compiler: str) -> Iterator[Check]:
    """One node a call under torch.compile; `compiler` is its backend."""
    x = random((2, 3, 28, 28), torch.float32, device)

    def call(x: torch.Tensor) -> torch.Tensor:
        return ops.apply(x, kind, (-2, -1), "ortho") * 2

    torch._dynamo.reset()
    made = torch.compile(call, fullgraph=True, backend=compiler)
    error = float((made(x) - call(x)).abs().max())
    yield Check(f"torch.compile {kind}", error <= 1e-5, error, 1e-5, compiler)
