"""NVIDIA's management library: opening it, its devices, its errors in plain words."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .clock import CLOCK, Clock
from .problem import Problem
from .units import watts_from_milliwatts

#: The codes by which NVML says that a board or a driver does not offer a call.
NOT_OFFERED = (3, 13)
#: Error code of NVML: (what it means, what mends it). A code that is absent is named by number.
_MEANINGS = {
    3: (
        "this GPU or driver does not offer it (boards before Volta, vGPU and MIG slices have no "
        "energy counter)",
        None,
    ),
    4: ("no permission", "run as a user who may use the GPU (nvidia-smi must work)"),
    9: ("the NVIDIA driver is not loaded", "nvidia-smi"),
    12: (
        "no NVIDIA driver library (libnvidia-ml.so.1) was found",
        "install the NVIDIA driver; start a container with --gpus all",
    ),
    13: ("the installed driver is too old: the function is missing", "update the NVIDIA driver"),
    15: ("the GPU is lost (fallen off the bus)", "sudo reboot"),
    16: ("the GPU must be reset", "sudo nvidia-smi --gpu-reset"),
    18: ("driver and driver library are of different versions", "sudo reboot"),
}
#: The library or the driver is absent: there is no NVIDIA GPU to be measured here.
_ABSENT = (9, 12)


@dataclass(frozen=True)
class GpuDevice:
    """A GPU as NVML shows it: its place in PCI order, its handle, its UUID and model if told."""

    index: int
    handle: Any
    uuid: str | None
    name: str | None
    mig: bool

    @property
    def scope(self) -> str:
        """`gpu:<UUID>`, or `gpu:index-<i>` where the driver tells no UUID."""
        return f"gpu:{self.uuid or f'index-{self.index}'}"


def problem_of(error: Any) -> Problem:
    """An NVML error in words; never asks the library, which may lack even the error texts."""
    code = getattr(error, "value", None)
    if code is None:
        return Problem(str(error).partition("\n")[0] or type(error).__name__)
    text, mend = _MEANINGS.get(code, (f"NVML error {code}", None))
    return Problem(text, mend, code)


class Nvml:
    """An open NVML session; `problem` says why it could not be opened, else None.

    `library` stands in for nvidia-ml-py and `clock` for the machine's clock (both for tests).
    nvidia-ml-py is imported here and nowhere else, so that `import orthowatt` stays light.
    """

    def __init__(self, library: Any = None, clock: Clock = CLOCK) -> None:
        self.clock = clock
        self.problem: Problem | None = None
        self._devices: list[GpuDevice] | None = None
        self._library: Any = None
        if library is None:
            try:
                import pynvml as library
            except ImportError:
                self.problem = Problem("nvidia-ml-py is not installed", "pip install nvidia-ml-py")
                return
        try:
            library.nvmlInit()
        except library.NVMLError as error:
            self.problem = problem_of(error)
            return
        self._library = library

    @property
    def absent(self) -> bool:
        """There is no NVIDIA driver here, as opposed to one that fails."""
        return self.problem is not None and self.problem.code in (*_ABSENT, None)

    def close(self) -> None:
        """Give the session back; calls after it report a problem instead of raising."""
        library, self._library = self._library, None
        if library is not None:
            self.problem = Problem("the meter is closed")
            # the driver may have gone first: then nothing is left to give back
            with contextlib.suppress(library.NVMLError):
                library.nvmlShutdown()

    def call(self, name: str, *arguments: Any) -> tuple[Any, Problem | None]:
        """The result of one NVML function and None, or None and the problem; raises nothing."""
        if self._library is None:
            return None, self.problem or Problem("NVML is closed")
        function = getattr(self._library, name, None)
        if function is None:
            return None, Problem(f"nvidia-ml-py has no {name}", "update nvidia-ml-py")
        try:
            return function(*arguments), None
        except Exception as error:  # nvidia-ml-py has errors besides NVMLError for old drivers
            return None, problem_of(error)

    def optional(self, name: str, *arguments: Any) -> Any | None:
        """The result of a call that may be missing, else None."""
        return self.call(name, *arguments)[0]

    def number(self, name: str, *arguments: Any) -> float:
        """The number that a call gives, not-a-number where it is missing or fails."""
        value = self.optional(name, *arguments)
        return math.nan if value is None else float(value)

    def devices(self) -> list[GpuDevice]:
        """The machine's GPUs in PCI order; empty when NVML could not be opened."""
        if self._devices is None and self._library is not None:
            self._devices = list(self._enumerate())
        return self._devices or []

    def _enumerate(self) -> Iterator[GpuDevice]:
        count = self.optional("nvmlDeviceGetCount")
        for index in range(64 if count is None else count):
            handle, problem = self.call("nvmlDeviceGetHandleByIndex", index)
            if problem is not None:
                if count is None:
                    return
                continue  # a board that this user may not open has no handle to read
            mig = self.optional("nvmlDeviceGetMigMode", handle)
            yield GpuDevice(
                index, handle,
                self.optional("nvmlDeviceGetUUID", handle),
                self.optional("nvmlDeviceGetName", handle),
                bool(mig and mig[0]),
            )  # fmt: skip

    def limit_watts(self, handle: Any) -> float | None:
        """The power limit in force in W, by whichever call the driver offers."""
        for name in (
            "nvmlDeviceGetEnforcedPowerLimit",
            "nvmlDeviceGetPowerManagementLimit",
            "nvmlDeviceGetPowerManagementDefaultLimit",
        ):
            milliwatts = self.optional(name, handle)
            if milliwatts:
                return watts_from_milliwatts(milliwatts)
        return None
