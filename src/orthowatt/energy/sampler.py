"""Polling one GPU beside a measurement: power and counter often, the rest once a second."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .foreign import ForeignProcesses
from .nvml import GpuDevice, Nvml
from .power import PowerReading, PowerSensor
from .problem import Problem
from .trace import Trace
from .units import watts_from_milliwatts

_SM_CLOCK, _MEMORY_CLOCK, _GPU_TEMPERATURE = 1, 2, 0  # NVML's constants


@dataclass(frozen=True)
class Sample:
    """When a poll was taken, and why it told no power if it did not."""

    seconds: float
    problem: Problem | None = None


class Metered(Protocol):
    """What the sampler tells about the device's highest power and limit."""

    def seen(self, watts: float, limit_watts: float) -> None:
        """Powers in W; not-a-number where not told."""
        ...


class GpuSampler:
    """Polls one GPU into its `trace`; any call but the power and the counter may be missing."""

    def __init__(self, nvml: Nvml, device: GpuDevice, power: PowerSensor | None) -> None:
        self.nvml = nvml
        self.device = device
        self.power = power
        self.trace = Trace(power.window_seconds if power else None)
        #: reads the device's energy counter in J, None where it has none
        self.count: Callable[[], float | None] | None = None
        self.metered: Metered | None = None
        self._foreign = ForeignProcesses(nvml, device)

    def poll(self) -> Sample:
        """One fast poll: the power and the counter."""
        counter = None if self.count is None else self.count()
        reading = PowerReading() if self.power is None else self.power.read()
        now = self.nvml.clock.now()
        values = [
            math.nan if value is None else value
            for value in (counter, reading.average_watts, reading.instant_watts)
        ]
        self.trace.add(now, *values)
        if self.metered is not None:
            watts = [value for value in values[1:] if not math.isnan(value)]
            self.metered.seen(max(watts, default=math.nan), math.nan)
        return Sample(now, reading.problem)

    def poll_slow(self) -> None:
        """One slow poll: temperature, clocks, throttle reasons, memory, other processes, limit."""
        ask, handle = self.nvml.number, self.device.handle
        memory = self.nvml.optional("nvmlDeviceGetMemoryInfo", handle)
        limit = watts_from_milliwatts(ask("nvmlDeviceGetEnforcedPowerLimit", handle))
        self.trace.add_slow(
            self.nvml.clock.now(),
            ask("nvmlDeviceGetTemperature", handle, _GPU_TEMPERATURE),
            ask("nvmlDeviceGetClockInfo", handle, _SM_CLOCK),
            ask("nvmlDeviceGetClockInfo", handle, _MEMORY_CLOCK),
            ask("nvmlDeviceGetCurrentClocksThrottleReasons", handle),
            math.nan if memory is None else float(memory.used),
            self._foreign.count(),
            limit,
        )
        if self.metered is not None:
            self.metered.seen(math.nan, limit)
