"""Whether kernels are right however they are launched: graphs, streams, devices, huge tensors.

For CUDA devices alone: what no small tensor on one stream would show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from ..transforms import functional, ops
from .values import Check, compare, failed, guarded, random

#: Entries of one plane of every kind that shares the memory of a huge tensor: 224² = 16 · 56².
_UNIT = 224**2


def elsewhere(device: torch.device, n: int, kind: str) -> Iterator[Check]:
    """Equal bits on another stream, in a CUDA graph and on every other device."""
    x = random((48, 3, n, n), torch.bfloat16, device)

    def call(x: torch.Tensor) -> torch.Tensor:
        return ops.compute(x, kind, (-2, -1), "ortho", False)

    y = call(x)
    places: dict[str, Callable[[], torch.Tensor]] = {
        "on another stream": lambda: _on_another_stream(call, x, device),
        "in a CUDA graph": lambda: _in_a_graph(call, x),
    }
    for other in range(1, torch.cuda.device_count()):
        # The current device stays the first one: the call has to find its own.
        places[f"on device {other}"] = lambda at=other: call(x.to(torch.device("cuda", at)))

    def same(name: str, made: Callable[[], torch.Tensor]) -> Iterator[Check]:
        yield Check(name, torch.equal(made().to(y.device), y), None, None, "equal bits")

    for place, made in places.items():
        yield from guarded(f"{kind} {n} {place}", same(f"{kind} {n} {place}", made))


def _on_another_stream(
    call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, device: torch.device
) -> torch.Tensor:
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        y = call(x)
    torch.cuda.current_stream(device).wait_stream(stream)
    return y


def _in_a_graph(call: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    given = torch.zeros_like(x)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y = call(given)
    given.copy_(x)
    graph.replay()
    return y.clone()  # the graph's memory goes with it


def huge(device: torch.device, least: int = 2**31) -> Iterator[Check]:
    """Tensors of more than 2³¹ elements: the last entries are where 32-bit offsets would end."""
    free, _ = torch.cuda.mem_get_info(device)
    units = least // _UNIT + 100
    if free < 3 * units * _UNIT * 2:
        yield Check("more than 2^31 elements", True, None, None, "not run: too little memory")
        return
    x = torch.zeros(units * _UNIT, dtype=torch.bfloat16, device=device)
    x[-_UNIT:] = random((_UNIT,), torch.bfloat16, device)
    out = torch.empty_like(x)
    views: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
        "planes": ((56, 56), (-2, -1)),
        "small planes": ((16, 16), (-2, -1)),
        "two passes": ((224, 224), (-2, -1)),
        "maps": ((28, 28, 16), (-3, -2)),
        "lanes": ((28, 112), (-2,)),
        "rows": ((64,), (-1,)),
        "rows of many parts": ((512,), (-1,)),
    }

    def check(name: str, shape: tuple[int, ...], dims: tuple[int, ...]) -> Iterator[Check]:
        out.fill_(float("nan"))
        given, result = x.view(-1, *shape), out.view(-1, *shape)
        functional.wht(given, dims, out=result)
        exact = functional.wht(given[-1:].double(), dims)
        yield compare(f"{name} of more than 2^31 elements", result[-1:], exact)
        written = bool(torch.isfinite(result.view(-1, 512).sum(-1, dtype=torch.float32)).all())
        yield Check(f"{name}: every element is written", written, None, None, str(shape))

    for name, (shape, dims) in views.items():
        yield from guarded(f"{name} of more than 2^31 elements", check(name, shape, dims))


def direct(device: torch.device) -> Iterator[Check]:
    """Launches that skip Triton's binding of arguments: the launcher of this version takes them."""
    name = "kernels are launched directly"
    for shape, dims in (((2, 8, 56, 56), (-2, -1)), ((2, 28, 28, 16), (-3, -2)), ((9, 64), (-1,))):
        x = random(shape, torch.bfloat16, device)
        info = functional.backend_info(x, "wht", dims)
        if info.path != "gpu":
            yield failed(name, f"no kernel takes {shape}: {info.reason}")
            return
        for _ in range(2):  # the first call compiles
            functional.wht(x, dims)
    from ..transforms.gpu import launch

    detail = launch.indirect[0] if launch.indirect else "as compiled"
    yield Check(name, not launch.indirect, None, None, detail)
