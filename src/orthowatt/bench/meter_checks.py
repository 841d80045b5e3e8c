"""The checks of `orthowatt bench meter`: each measures, compares and keeps its numbers."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ..energy import Energy, EnergyMeter
from ..energy.counter import energy_between
from ..energy.edges import read_at_ticks
from ..energy.gpu import SLOWEST_TICK_SECONDS, GpuCounter
from ..energy.idle import Idle, measure_idle
from ..energy.sensors import describe
from ..errors import OrthowattError
from . import smi
from .load import Load, hold, square

Numbers = dict[str, Any]
#: A check's judgement: held or not, None where it could not be judged; numbers; a remark.
Verdict = tuple[bool | None, Numbers, str | None]

WINDOW_SECONDS = (5.0, 20.0, 1.0, 40.0, 2.0, 10.0)
PERIOD_SECONDS = (0.05, 0.1, 0.2, 0.37, 1.0)
SAMPLER_HERTZ = (0, 10, 50)


class Bench:
    """One GPU with its meter and a load; every time is multiplied by `scale`."""

    def __init__(self, meter: EnergyMeter, scope: str, load: Load, scale: float = 1.0) -> None:
        self.meter, self.scope, self.load, self.scale = meter, scope, load, scale
        self.idle: dict[str, Idle] = {}

    @property
    def gpu(self) -> Any:
        """The GPU's counter, or the integral of its power where it has none."""
        return self.meter.sensors.gpus[self.scope]

    def loaded(self, seconds: float, meter: EnergyMeter | None = None) -> Energy:
        """The energy of so many seconds in the midst of full load; it must be known.

        The load goes on while the counter's edges are awaited at both ends: a window's own wait
        would be time of another power.
        """
        counter = (meter or self.meter).sensors.gpus[self.scope]
        lead = 2 * counter.lag_seconds + 0.05
        self.load.launch(lead)
        start = _read(counter)
        hold(self.load, seconds * self.scale)
        self.load.launch(lead)
        end = _read(counter)
        self.load.wait()
        return _known(energy_between(counter.facts, start, end))

    def warm(self) -> None:
        """Load until clocks and the mean over a second have settled."""
        hold(self.load, 3.0 * self.scale)
        self.load.wait()


def tick(bench: Bench) -> Verdict:
    """The counter's tick and the time of a read."""
    counter = bench.gpu
    if not isinstance(counter, GpuCounter):
        return None, {}, "this board has no energy counter; its power is integrated instead"
    edges: list[float] = []
    costs: list[float] = []
    last, end = counter.poll(), time.monotonic() + max(2.0 * bench.scale, 0.3)
    while time.monotonic() < end:
        time.sleep(2e-4)
        poll = counter.poll()
        costs.append(poll.after - poll.before)
        if poll.joules != last.joules:
            edges.append((last.before + poll.after) / 2)
        last = poll
    spans = [later - before for before, later in itertools.pairwise(edges)]
    numbers = {
        "ticks": len(edges),
        "tick_seconds_median": statistics.median(spans) if spans else None,
        "tick_seconds_longest": max(spans, default=None),
        "read_seconds_median": statistics.median(costs),
        "calibrated_tick_seconds": counter.tick_seconds,
    }
    return bool(spans) and max(spans) <= 1.1 * SLOWEST_TICK_SECONDS, numbers, None


def idle_driver(bench: Bench) -> Verdict:
    """Power before this process starts CUDA."""
    return _idle(bench, "driver-idle", settle=0.0)


def idle_context(bench: Bench) -> Verdict:
    """Power with a CUDA context and nothing queued."""
    held, numbers, remark = _idle(bench, "context-resident", settle=5.0)
    before = bench.idle.get("driver-idle")
    now = bench.idle["context-resident"]
    if before and before.watts and now.watts:
        numbers["over_driver_idle_watts"] = now.watts - before.watts
    return held, numbers, remark


def _idle(bench: Bench, name: str, settle: float) -> Verdict:
    found = measure_idle(bench.meter, max(10.0 * bench.scale, 1.0), settle=settle * bench.scale)
    bench.idle[name] = found
    energy = _known(found.energy)
    numbers = {
        "watts": found.watts,
        "bound_watts": found.bound_watts,
        "state": found.state_of(bench.scope),
        "flags": list(energy.flags),
    }
    foreign = "foreign-processes" in energy.flags
    return not foreign, numbers, "another process uses the GPU" if foreign else None


def against_smi(bench: Bench) -> Verdict:
    """The mean power of a constant load against nvidia-smi's."""
    reader = smi.open_smi(bench.gpu.device.uuid)
    if reader.problem:
        return None, {}, reader.problem
    bench.warm()
    with reader.watching() as power:
        energy = bench.loaded(10.0)
    if power.mean_watts is None:
        return None, {}, power.problem
    watts = _measured(energy).watts
    off = watts / power.mean_watts - 1
    numbers = {
        "watts": watts,
        "smi_watts": power.mean_watts,
        "smi_field": reader.field_name,
        "smi_readings": len(power.watts),
        "difference": off,
        "bound_joules": energy.bound_joules,
    }
    return abs(off) <= 0.02, numbers, None


def unsynchronised(bench: Bench) -> Verdict:
    """A window that does not wait for the queue misses what still runs."""
    counter, seconds = bench.gpu, max(1.0 * bench.scale, 0.5)
    found = {}
    for name, waits in (("synchronised", True), ("unsynchronised", False)):
        bench.load.wait()
        start = _read(counter)
        bench.load.launch(seconds)
        if waits:
            bench.load.wait()
        end = _read(counter)
        bench.load.wait()
        energy = energy_between(counter.facts, start, end)
        # within one tick the counter may stand still: that is the fault that is looked for
        still = start.joules is not None and (start.joules, start.breaks) == (
            end.joules,
            end.breaks,
        )
        found[name] = 0.0 if still and not waits else _measured(energy).joules
    full, short = found["synchronised"], found["unsynchronised"]
    numbers = {
        "joules_synchronised": full, "joules_unsynchronised": short, "share": short / full,
    }  # fmt: skip
    return numbers["share"] < 0.5, numbers, None


def linearity(bench: Bench) -> Verdict:
    """Joules of a constant load grow in proportion to the window's length."""
    bench.warm()
    rows = []
    for seconds in WINDOW_SECONDS:
        energy = bench.loaded(seconds)
        joules, length, _ = _measured(energy)
        rows.append((length, joules, energy.bound_joules))
    offset, watts = line([(s, j) for s, j, _ in rows])
    windows = [
        {
            "seconds": s, "joules": j, "bound_joules": b,
            "residual": j / (offset + watts * s) - 1,
        }
        for s, j, b in sorted(rows)
    ]  # fmt: skip
    worst = max(abs(window["residual"]) for window in windows)
    numbers = {"watts": watts, "offset_joules": offset, "worst": worst, "windows": windows}
    return worst < 0.01, numbers, None


def repeats(bench: Bench) -> Verdict:
    """Five windows of one load, one after the other."""
    bench.warm()
    watts = [_measured(bench.loaded(5.0)).watts for _ in range(5)]
    mean = statistics.fmean(watts)
    numbers = {
        "watts": watts,
        "mean_watts": mean,
        "range_over_mean": (max(watts) - min(watts)) / mean,
        "deviation_over_mean": statistics.stdev(watts) / mean,
    }
    return numbers["range_over_mean"] < 0.02, numbers, None


def square_loads(bench: Bench) -> Verdict:
    """Half load, half wait at five periods: the counter must see each alike.

    `over_expected` is the energy over that of the resident context plus, for the share of the
    time under load, the difference to a constant load: clocks stay up between the pieces, so it
    need not be 1, but it must not change with the period.
    """
    resident = bench.idle.get("context-resident")
    if resident is None or resident.watts is None:
        return None, {}, "the idle power of the resident context was not measured"
    low, high = resident.watts, _measured(bench.loaded(3.0)).watts
    rows = []
    for period in PERIOD_SECONDS:
        with bench.meter.window("square") as window:
            share = square(bench.load, period, 5.0 * bench.scale)
        energy = window.energies[bench.scope]
        joules, seconds, watts = _measured(energy)
        stats = window.devices.get(bench.scope)
        # the wait for the ticks is part of the energy's seconds, not of the loaded share's
        expected = low * seconds + share * window.seconds * (high - low)
        rows.append(
            {
                "period_seconds": period,
                "load_share": share,
                "watts": watts,
                "over_expected": joules / expected,
                "power_average_watts": stats.mean_watts if stats else None,
                "power_instant_watts": stats.instant_mean_watts if stats else None,
                "flags": list(energy.flags),
            }
        )
    ratios = [row["over_expected"] for row in rows]
    spread = (max(ratios) - min(ratios)) / statistics.fmean(ratios)
    return spread < 0.1, {"loads": rows, "spread": spread}, None


def sampler_rates(bench: Bench) -> Verdict:
    """The sampler must not change what is measured: off, 10 Hz and 50 Hz, there and back."""
    bench.warm()
    found: dict[int, list[float]] = {hertz: [] for hertz in SAMPLER_HERTZ}
    for hertz in (*SAMPLER_HERTZ, *reversed(SAMPLER_HERTZ)):
        with (
            EnergyMeter(scope=bench.scope, sample=float(hertz)) as meter,
            meter.window("sampled", align=False),
        ):
            found[hertz].append(_measured(bench.loaded(5.0, meter)).watts)
    means = {f"{hertz} Hz": statistics.fmean(watts) for hertz, watts in found.items()}
    spread = max(means.values()) / min(means.values()) - 1
    return spread <= 0.01, {"watts": means, "spread": spread}, None


def own_cost(bench: Bench) -> Verdict:
    """What the meter itself takes: an edge without the wait for the tick, and the sampler."""
    edges = []
    for _ in range(20):
        began = time.perf_counter()
        with bench.meter.window("edges", align=False):
            pass
        edges.append((time.perf_counter() - began) / 2)
    with bench.meter.window("sampling"):
        before = time.process_time()
        time.sleep(max(5.0 * bench.scale, 1.0))
        used = time.process_time() - before
        share = used / max(5.0 * bench.scale, 1.0)
    edge = statistics.median(edges)
    numbers = {
        "edge_seconds": edge,
        "process_cpu_share": share,
        "sampler": describe(bench.meter.sensors).get("sampler"),
    }
    return edge <= 1e-3 and share <= 0.005, numbers, None


@dataclass(frozen=True)
class Check:
    """A check by name: what must hold, and about how many seconds it takes."""

    name: str
    criterion: str
    seconds: float
    run: Callable[[Bench], Verdict]


#: The most valuable first; the driver's idle power can only be taken before CUDA is started.
BEFORE_CUDA = (
    Check("tick", "the counter ticks at least every 110 ms", 3, tick),
    Check("idle-driver", "known, and no other process on the GPU", 11, idle_driver),
)
WITH_CUDA = (
    Check("idle-context", "known, and no other process on the GPU", 16, idle_context),
    Check("nvidia-smi", "mean power of a constant load within 2 %", 17, against_smi),
    Check("unsynchronised", "counts less than half of the work", 6, unsynchronised),
    Check("linearity", "residuals below 1 % over 1 to 40 s", 85, linearity),
    Check("repeats", "five windows within 2 % of their mean", 30, repeats),
    Check("square", "over/under the load's share alike within 10 %", 32, square_loads),
    Check("sampler", "off, 10 Hz and 50 Hz within 1 %", 37, sampler_rates),
    Check("own-cost", "1 ms an edge and 0.5 % of a core", 6, own_cost),
)


def line(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Offset and slope of the line through (x, y) that leaves the least relative squares.

    >>> [round(value, 9) for value in line([(1, 5), (2, 8), (10, 32)])]
    [2.0, 3.0]
    """
    weights = [1 / y**2 for _, y in points]
    total = sum(weights)
    x_mean = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    y_mean = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    pairs = list(zip(weights, points, strict=True))
    slope = sum(w * (x - x_mean) * (y - y_mean) for w, (x, y) in pairs) / sum(
        w * (x - x_mean) ** 2 for w, (x, _) in pairs
    )
    return y_mean - slope * x_mean, slope


def _read(counter: Any) -> Any:
    """A reading at a tick's edge, where the board has a counter that ticks."""
    if isinstance(counter, GpuCounter):
        return read_at_ticks([counter])[counter.facts.scope]
    return counter.read()


def _known(energy: Energy) -> Energy:
    if energy.joules is None:
        raise OrthowattError(f"the energy is unknown: {energy.reason}")
    return energy


class Loaded(NamedTuple):
    """What a window under load measured: joules, seconds, and watts of their quotient."""

    joules: float
    seconds: float
    watts: float


def _measured(energy: Energy) -> Loaded:
    joules, seconds = _known(energy).joules, energy.seconds
    if not joules or not seconds:
        raise OrthowattError("the energy counter stood still under full load")
    return Loaded(joules, seconds, joules / seconds)
