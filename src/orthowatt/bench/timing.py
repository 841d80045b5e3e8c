"""Times of calls, interleaved: every round calls each candidate once, in an order drawn anew.

What drifts (clocks, temperature, another process) then falls on all candidates alike, and their
ratio is trustworthy where a lone time is not.
"""

from __future__ import annotations

import itertools
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

Call = Callable[[], object]

#: A sample shorter than this is repeated, for the clock and the call itself cost a microsecond.
SAMPLE_SECONDS = 2e-3


@dataclass(frozen=True)
class Timing:
    """Seconds of one call: the median over the rounds and the quartiles."""

    seconds: float
    low: float
    high: float
    rounds: int


def interleaved(
    calls: Mapping[str, Call],
    *,
    device: torch.device,
    seconds: float = 2.0,
    least_rounds: int = 7,
    most_rounds: int = 200,
) -> dict[str, Timing]:
    """Time each call until `seconds` have passed for all of them together.

    >>> found = interleaved({"a": lambda: sum(range(1000))}, device=torch.device("cpu"), seconds=0)
    >>> found["a"].seconds > 0, found["a"].rounds
    (True, 7)
    """
    names = list(calls)
    repeats = {name: _repeats(calls[name], device) for name in names}
    samples: dict[str, list[float]] = {name: [] for name in names}
    begin = time.perf_counter()
    # A call pays for what the one before left in the caches to be written back: a fixed neighbour
    # would charge one candidate with it always.
    order = random.Random(0)
    for turn in range(most_rounds):
        for name in order.sample(names, len(names)):
            samples[name].append(_sample(calls[name], repeats[name], device))
        if turn + 1 >= least_rounds and time.perf_counter() - begin > seconds:
            break
    return {name: _timing(values) for name, values in samples.items()}


def rotating(calls: Sequence[Call]) -> Call:
    """One call that makes each of `calls` in its turn.

    >>> turn = rotating([lambda: "a", lambda: "b"])
    >>> turn(), turn(), turn()
    ('a', 'b', 'a')
    """
    turn = itertools.cycle(calls)
    return lambda: next(turn)()


def captured(call: Call, count: int) -> Call:
    """A CUDA graph of `count` calls: one replay costs one launch."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # what is made at the first calls must not be captured
        for _ in range(3):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(count):
            call()
    return graph.replay


def _sample(call: Call, repeats: int, device: torch.device) -> float:
    if device.type == "cuda":
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1e3 / repeats
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats


def _repeats(call: Call, device: torch.device) -> int:
    _sample(call, 1, device)  # the first call plans, allocates and loads
    once = max(_sample(call, 1, device), 1e-7)
    return max(1, round(SAMPLE_SECONDS / once))


def _timing(values: list[float]) -> Timing:
    low, middle, high = statistics.quantiles(values, n=4)
    return Timing(middle, low, high, len(values))
