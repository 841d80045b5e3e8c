"""Every sensor that this process may read: GPUs through NVML, CPUs and memory through RAPL."""

from __future__ import annotations

import dataclasses
import os
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .clock import CLOCK
from .counter import Facts, Reading
from .cuda import UsedGpu, bare_uuid, running_torch, used_gpus
from .edges import TickCheck, calibrate, read_at_ticks
from .gpu import GpuCounter, GpuIntegral, open_gpu
from .keeper import Keeper
from .nvml import GpuDevice, Nvml
from .problem import Problem
from .rapl import POWERCAP_ROOT, Rapl, open_rapl
from .reports import SensorReport, describe, reports
from .sampler import GpuSampler
from .visible import Visible, visible

__all__ = ["HERTZ", "SensorReport", "Sensors", "describe"]

#: Polls of power and counter a second, unless told otherwise.
HERTZ = 10.0
_SLOW_SECONDS = 1.0
#: A reading at a tick's edge this young serves a second window that opens or closes beside it.
_SHARED_EDGE_SECONDS = 2e-3


class Sensors:
    """The counters by scope (`gpus`, `rapl.counters`) and the scopes that cannot be read.

    `gpu=False` leaves NVML alone, `cpu=False` RAPL. Only GPUs that CUDA shows to this process
    are opened, all of them where it is not sure which those are. `nvml` stands in for the
    machine's driver. `hertz` polls a second go into `samplers`; 0 turns that off.
    """

    def __init__(
        self,
        *,
        gpu: bool = True,
        cpu: bool = True,
        powercap_root: Path | str = POWERCAP_ROOT,
        nvml: Nvml | None = None,
        hertz: float = HERTZ,
    ) -> None:
        self.process = os.getpid()
        self._lock = threading.RLock()
        self.nvml = (Nvml() if nvml is None else nvml) if gpu else None
        self.clock = CLOCK if self.nvml is None else self.nvml.clock
        self.rapl = open_rapl(Path(powercap_root)) if cpu else Rapl()
        self.gpus: dict[str, GpuCounter | GpuIntegral] = {}
        self.samplers: dict[str, GpuSampler] = {}
        self.hertz = hertz
        self.problems: dict[str, Problem] = dict(self.rapl.problems)
        self.seen = Visible(())
        self.keeper = Keeper(self.clock)
        self._edge: tuple[float, dict[str, Reading]] = (-1.0, {})
        for counter in self.rapl.counters.values():
            self.keeper.add(counter.read, counter.poll_seconds, elastic=False)
        if self.nvml is not None:
            self._open_gpus(self.nvml)
        weakref.finalize(self, self.keeper.stop)

    def _open_gpus(self, nvml: Nvml) -> None:
        if nvml.problem is not None and not nvml.absent:
            self.problems["gpu"] = nvml.problem
        devices = nvml.devices()
        self.seen = visible([d.uuid for d in devices], [d.name for d in devices])
        for name in self.seen.mig:
            self.problems[f"gpu:{name}"] = Problem(
                f"{name} is a MIG slice, and NVML cannot measure the energy of a MIG slice",
                "measure on a whole GPU: sudo nvidia-smi -mig 0",
            )
        chosen = [devices[i] for i in self.seen.indices] if self.seen.sure else devices
        self._open(nvml, chosen)

    def _open(self, nvml: Nvml, devices: Iterable[GpuDevice]) -> None:
        """Open the devices, time their ticks, have them sampled while windows are open."""
        opened = []
        for device in devices:
            found = open_gpu(nvml, device)
            if isinstance(found, Problem):
                self.problems[device.scope] = found
                continue
            meter, sampler = found
            opened.append(meter)
            if self.hertz:
                self.samplers[device.scope] = sampler
                # the rate is the caller's to choose; the usual one gives way to the cost
                elastic = self.hertz == HERTZ
                self.keeper.add(sampler.poll, 1 / self.hertz, elastic=elastic)
                self.keeper.add(sampler.poll_slow, _SLOW_SECONDS, elastic=elastic)
                if isinstance(meter, GpuCounter):
                    TickCheck(meter, self.keeper)
            self.gpus[device.scope] = meter
        calibrate([meter for meter in opened if isinstance(meter, GpuCounter)])

    def set_idle(self, idle_watts: Mapping[str, float]) -> None:
        """Tell the idle power of scopes in W, which their mean power is then held against."""
        for scope, watts in idle_watts.items():
            counter = self.gpus.get(scope) or self.rapl.counters.get(scope)
            if counter is not None:
                counter.facts = dataclasses.replace(counter.facts, idle_watts=watts)

    @property
    def visible_gpus(self) -> list[str]:
        """Scopes of the GPUs that CUDA shows here, readable or not, in CUDA's order."""
        devices = self.nvml.devices() if self.nvml is not None else []
        return [devices[i].scope for i in self.seen.indices] + [f"gpu:{m}" for m in self.seen.mig]

    @property
    def cpu_scopes(self) -> list[str]:
        """Scopes of the CPU packages, readable or not."""
        scopes = [*self.rapl.counters, *self.rapl.problems]
        return sorted(scope for scope in scopes if scope.startswith("cpu-package"))

    @property
    def scopes(self) -> list[str]:
        """All scopes, readable or not."""
        return sorted({*self.gpus, *self.rapl.counters, *self.problems})

    def used(self, *, ask_driver: bool) -> list[str]:
        """Scopes of the GPUs that this process uses; opens those not watched so far.

        torch's word counts where it runs CUDA. Otherwise, with `ask_driver`, the driver's list of
        processes: it finds GPUs used without torch where process numbers are the machine's own.
        """
        if self.nvml is None:
            return []
        if running_torch() is not None:
            with self._lock:  # the journal's thread asks as well
                return [self._scope_of(gpu) for gpu in used_gpus()]
        return [scope for scope, gpu in self.gpus.items() if ask_driver and _holds_context(gpu)]

    def _scope_of(self, gpu: UsedGpu) -> str:
        assert self.nvml is not None
        devices = self.nvml.devices()
        matches = [d for d in devices if d.uuid and gpu.uuid and bare_uuid(d.uuid) == gpu.uuid]
        if not matches and len(devices) == 1 and None in (devices[0].uuid, gpu.uuid):
            matches = devices
        if matches:
            scope = matches[0].scope
            if scope not in self.gpus and scope not in self.problems:
                self._open(self.nvml, matches[:1])
            return scope
        scope = f"gpu:GPU-{gpu.uuid}" if gpu.uuid else f"gpu:cuda-{gpu.index}"
        why = self.nvml.problem.sentence if self.nvml.problem else "NVML does not list it"
        if self.seen.mig or any(device.mig for device in devices):
            why = "it is a MIG slice, and NVML cannot measure the energy of a MIG slice"
        self.problems.setdefault(scope, Problem(f"no energy counter of {scope}: {why}"))
        return scope

    def facts(self, scope: str) -> Facts:
        """What is known of a readable scope's counter."""
        return (self.gpus.get(scope) or self.rapl.counters[scope]).facts

    def read(
        self, *, align: bool, ends: float | None = None, only: Iterable[str] | None = None
    ) -> dict[str, Reading]:
        """A reading of every readable scope, or of those in `only`.

        `align` waits for the GPUs' ticks. `ends` is for a window's end, and says when it began:
        the CPUs are then read first, so that the wait at either edge stays out of what their
        counters count.
        """
        wanted = {*self.gpus, *self.rapl.counters} if only is None else set(only)
        gpus = [gpu for scope, gpu in self.gpus.items() if scope in wanted]
        cpus = [cpu for scope, cpu in self.rapl.counters.items() if scope in wanted]
        readings = {} if ends is None else {cpu.facts.scope: cpu.read() for cpu in cpus}
        if align:
            readings |= self._at_ticks(gpus, ends)
        else:
            readings |= {gpu.facts.scope: gpu.read() for gpu in gpus}
        if ends is None:
            readings |= {cpu.facts.scope: cpu.read() for cpu in cpus}
        return readings

    def _at_ticks(
        self, gpus: Sequence[GpuCounter | GpuIntegral], ends: float | None
    ) -> dict[str, Reading]:
        """The counters at their ticks' edges; windows that meet there share the readings.

        No window ends with the readings that it began with, however short it is.
        """
        when, shared = self._edge
        young = self.clock.now() - when <= _SHARED_EDGE_SECONDS and (ends is None or when > ends)
        if young and all(gpu.facts.scope in shared for gpu in gpus):
            return {gpu.facts.scope: shared[gpu.facts.scope] for gpu in gpus}
        readings = read_at_ticks([gpu for gpu in gpus if isinstance(gpu, GpuCounter)])
        readings |= {gpu.facts.scope: gpu.read() for gpu in gpus if isinstance(gpu, GpuIntegral)}
        self._edge = (self.clock.now(), readings)
        return readings

    def keep(self) -> None:
        """A window opens: sample, and read wrapping counters, in the background from now on."""
        self.keeper.hold()

    def release(self) -> None:
        """A window has closed."""
        self.keeper.release()

    def reports(self) -> list[SensorReport]:
        """One report for each sensor found and for each kind that is missing."""
        return reports(self)

    def close(self) -> None:
        """Stop the background reading and give NVML back."""
        self.keeper.stop()
        if self.nvml is not None:
            self.nvml.close()


def _holds_context(counter: GpuCounter | GpuIntegral) -> bool:
    processes = counter.nvml.optional("nvmlDeviceGetComputeRunningProcesses", counter.device.handle)
    if not any(process.pid == os.getpid() for process in processes or ()):
        return False
    try:  # in a container another process may carry this number: does this one run CUDA at all?
        return "libcuda.so" in Path("/proc/self/maps").read_text()
    except OSError:
        return True
