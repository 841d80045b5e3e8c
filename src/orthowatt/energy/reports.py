"""What there is to say of each sensor: readable or why not, and how it measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .gpu import GpuCounter, GpuIntegral
from .problem import Problem
from .rapl import RaplCounter

if TYPE_CHECKING:
    from .sensors import Sensors


@dataclass(frozen=True)
class SensorReport:
    """One sensor: readable, or why not and what mends it; `detail` says what it is."""

    name: str
    scope: str
    readable: bool
    reason: str | None
    mend: str | None
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return dict(vars(self))


def reports(sensors: Sensors) -> list[SensorReport]:
    """One report for each sensor found and for each kind that is missing."""
    found = [_gpu_report(gpu) for gpu in sensors.gpus.values()]
    found += [_rapl_report(counter) for counter in sensors.rapl.counters.values()]
    problems = dict(sensors.problems)
    if sensors.nvml is not None and sensors.nvml.absent and sensors.nvml.problem is not None:
        problems["gpu"] = sensors.nvml.problem
    elif sensors.nvml is not None and not sensors.nvml.devices() and "gpu" not in problems:
        problems["gpu"] = Problem("the NVIDIA driver lists no GPU")
    problems |= sensors.rapl.skipped
    for scope, problem in problems.items():
        text, mend = problem.text, problem.mend
        found.append(SensorReport(_name(scope), scope, False, text, mend, ""))
    return found


def describe(sensors: Sensors) -> dict[str, Any]:
    """Every sensor with its tick, read cost and power cap, and the sampler; JSON-ready."""
    told: dict[str, dict[str, Any]] = {}
    for scope, counter in {**sensors.gpus, **sensors.rapl.counters}.items():
        facts = counter.facts
        told[scope] = {
            "method": facts.method,
            "power_cap_watts": facts.cap_watts,
            "power_cap_assumed": facts.cap_assumed,
            "power_cap_from": facts.cap_from,
            "power_limit_watts": counter.limit_watts,
            "idle_watts": facts.idle_watts,
            "lag_seconds": counter.lag_seconds,
        }
    for scope, gpu in sensors.gpus.items():
        told[scope] |= {"tick_seconds": gpu.tick_seconds, "read_seconds": gpu.read_seconds}
        power = sensors.samplers[scope].power if scope in sensors.samplers else None
        told[scope] |= {
            "power_source": power.source if power else None,
            "power_window_seconds": power.window_seconds if power else None,
        }
    keeper = sensors.keeper
    share = keeper.cpu_seconds / keeper.ran_seconds if keeper.ran_seconds else None
    return {
        "sampler": {"hertz": sensors.hertz, "cpu_share": share},
        "sensors": [r.to_dict() | told.get(r.scope, {}) for r in sensors.reports()],
    }


_KINDS = {"gpu": "GPU", "cpu-package": "CPU package", "cpu-core": "CPU core", "dram": "DRAM"}


def _name(scope: str) -> str:
    """A sensor's short name for people."""
    kind, _, label = scope.partition(":")
    return f"{_KINDS.get(kind, kind)} {label if kind != 'gpu' else ''}".strip()


def _limit(watts: float | None) -> str:
    return "no limit told" if watts is None else f"limit {watts:.0f} W"


def _gpu_report(gpu: GpuCounter | GpuIntegral) -> SensorReport:
    tick = "tick not timed" if gpu.tick_seconds is None else f"tick {gpu.tick_seconds * 1e3:.0f} ms"
    how = f"NVML energy counter, {_limit(gpu.limit_watts)}, {tick}"
    if isinstance(gpu, GpuIntegral):
        how = f"no energy counter: NVML power integrated, {_limit(gpu.limit_watts)}"
    detail = f"{gpu.device.name or 'GPU'}, {how}"
    return SensorReport(f"GPU {gpu.device.index}", gpu.facts.scope, True, None, None, detail)


def _rapl_report(counter: RaplCounter) -> SensorReport:
    wraps = f"wraps at {counter.unwrapper.range_joules:.0f} J"
    detail = f"RAPL {counter.path.name}, {_limit(counter.limit_watts)}, {wraps}"
    return SensorReport(_name(counter.facts.scope), counter.facts.scope, True, None, None, detail)
