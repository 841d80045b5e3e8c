"""A GPU's power in watts: which of NVML's readings it has, and over which time each averages."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .nvml import GpuDevice, Nvml
from .problem import Problem
from .units import watts_from_milliwatts

#: NVML's field numbers (NVML_FI_DEV_POWER_AVERAGE and NVML_FI_DEV_POWER_INSTANT).
_AVERAGE_FIELD, _INSTANT_FIELD = 185, 186
#: NVML's architecture numbers.
_AMPERE, _HOPPER = 7, 9
#: NVML's documentation: the mean over one second on Ampere (but GA100) and later.
_MEAN_SECONDS = 1.0
#: GA100 and Hopper look at 25 ms of every 100 (arXiv 2312.02741).
_PART_SECONDS = 0.025
#: Assumed where no maker and no study tells the time that a reading averages over.
_ASSUMED_SECONDS = 0.01
_GA100 = ("A100", "A800", "A30")


@dataclass(frozen=True)
class PowerReading:
    """Watts at one moment, each None where the board does not tell it."""

    average_watts: float | None = None
    instant_watts: float | None = None
    problem: Problem | None = None


@dataclass
class PowerSensor:
    """One board's power readings; `open_power` finds out which it has.

    `window_seconds` is the time before a reading that the integrated one averages over: of the
    mean where there is one, else of the momentary one.
    """

    nvml: Nvml
    device: GpuDevice
    fields: tuple[int, ...]
    usage_is_mean: bool
    window_seconds: float

    @property
    def source(self) -> str:
        """The name of the reading that is integrated."""
        if not self.fields:
            return "nvmlDeviceGetPowerUsage"
        return "power.average" if _AVERAGE_FIELD in self.fields else "power.instant"

    def read(self) -> PowerReading:
        """Ask the board once."""
        if not self.fields:
            milliwatts, problem = self.nvml.call("nvmlDeviceGetPowerUsage", self.device.handle)
            if problem is not None:
                return PowerReading(problem=problem)
            watts = watts_from_milliwatts(milliwatts)
            return PowerReading(watts) if self.usage_is_mean else PowerReading(None, watts)
        found, problem = _fields(self.nvml, self.device, self.fields)
        if not found:
            return PowerReading(problem=problem or Problem("the power fields tell nothing"))
        return PowerReading(found.get(_AVERAGE_FIELD), found.get(_INSTANT_FIELD))


def open_power(nvml: Nvml, device: GpuDevice) -> PowerSensor | Problem:
    """The power readings of a board, or why it has none."""
    architecture = nvml.optional("nvmlDeviceGetArchitecture", device.handle)
    words = (device.name or "").replace("-", " ").split()
    part_time = architecture == _HOPPER or any(word in _GA100 for word in words)
    moment = _PART_SECONDS if part_time else _ASSUMED_SECONDS
    mean = (architecture or 0) >= _AMPERE and not any(word in _GA100 for word in words)
    found, _ = _fields(nvml, device, (_AVERAGE_FIELD, _INSTANT_FIELD))
    if found:
        fields = tuple(sorted(found))
        window = _MEAN_SECONDS if mean and _AVERAGE_FIELD in found else moment
        return PowerSensor(nvml, device, fields, mean, window)
    sensor = PowerSensor(nvml, device, (), mean, _MEAN_SECONDS if mean else moment)
    problem = sensor.read().problem
    return sensor if problem is None else problem


def _fields(
    nvml: Nvml, device: GpuDevice, fields: tuple[int, ...]
) -> tuple[dict[int, float], Problem | None]:
    """Watts by field; those that the board does not tell are left out."""
    values, problem = nvml.call("nvmlDeviceGetFieldValues", device.handle, list(fields))
    found = {}
    for field, value in zip(fields, values or (), strict=False):
        if value.nvmlReturn == 0:
            watts = watts_from_milliwatts(value.value.uiVal)
            if math.isfinite(watts):
                found[field] = watts
    return found, problem
