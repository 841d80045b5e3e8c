"""What ran a measurement: the host, its GPUs, the software; JSON-ready, null where not told."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError
from .cuda import bare_uuid, used_gpus
from .nvml import GpuDevice, Nvml
from .units import watts_from_milliwatts
from .visible import visible

_PACKAGES = (
    "orthowatt", "torch", "torchvision", "timm", "numpy", "scipy", "statsmodels", "safetensors",
    "scikit-learn", "nvidia-ml-py", "triton",
)  # fmt: skip
#: Files that a container runtime leaves in the root of its file system.
_CONTAINER_MARKS = {
    ".dockerenv": "docker",
    "run/.containerenv": "podman",
    ".singularity.d": "apptainer",
    "var/run/secrets/kubernetes.io": "kubernetes",
}
_GRAPHICS_CLOCK, _SM_CLOCK, _MEMORY_CLOCK, _GPU_TEMPERATURE = 0, 1, 2, 0  # NVML's constants


def host(device: str | None = None) -> dict[str, Any]:
    """The machine as JSON-ready values: slug, host, cpu, cores, memory_bytes, gpus, container.

    The slug names what a run is compared on: `gpu-<first 8 of UUID>-<host>` with the GPUs that
    this process uses, else `cpu-<host>`. `device` ("cpu", "cuda", "cuda:1") names it before CUDA
    has been started. Raises `InputError` for another device, or a GPU that is not there.

    >>> info = host("cpu")
    >>> info["slug"].startswith("cpu-"), info["cores"] >= 1
    (True, True)
    """
    nvml = Nvml()
    try:
        devices = nvml.devices()
        gpus = [_gpu(nvml, gpu) for gpu in devices]
        shown = visible([gpu.uuid for gpu in devices], [gpu.name for gpu in devices])
        uuids = _uuids(device, None if nvml.problem else [devices[i] for i in shown.indices])
    finally:
        nvml.close()
    name = platform.node() or "host"
    return {
        "slug": slug(uuids, name),
        "host": name,
        "platform": platform.platform(),
        "cpu": _cpu_model(),
        "cores": _usable_cores(),
        "memory_bytes": _memory_bytes(),
        "gpus": [{**gpu, "used": bare_uuid(gpu["uuid"] or "") in uuids} for gpu in gpus],
        "visible_order_sure": shown.sure,
        "container": container(),
        "virtual_machine": _virtual(),
    }


def software() -> dict[str, Any]:
    """Versions as JSON-ready values, None where not installed; imports nothing.

    `cuda` is that of torch's build, told only when torch is already imported.

    >>> software()["python"].count(".")
    2
    """
    torch = sys.modules.get("torch")
    found: dict[str, Any] = {"python": platform.python_version()}
    for package in _PACKAGES:
        found[package] = None
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[package] = importlib.metadata.version(package)
    found["cuda"] = getattr(getattr(torch, "version", None), "cuda", None)
    return found


def container(root: Path = Path("/")) -> str | None:
    """The kind of container this process runs in, None on the machine itself."""
    for mark, kind in _CONTAINER_MARKS.items():
        if (root / mark).exists():
            return kind
    told = (_read(root / "run/systemd/container") or "").strip()
    if told:
        return told
    groups = _read(root / "proc/1/cgroup") or ""
    if re.search(r"docker|kubepods|containerd|libpod|lxc", groups):
        return "container"
    # control groups of their own hide the name; a root in layers is left
    mounts = _read(root / "proc/self/mountinfo") or ""
    layered = re.search(r"^\S+ \S+ \S+ \S+ / .* - (overlay|fuse-overlayfs|aufs) ", mounts, re.M)
    return "container" if layered else None


def _virtual() -> bool | None:
    """Whether the processor says that a hypervisor runs it (x86); None where it is not told.

    Virtual machines rarely pass the CPU's energy counters on.
    """
    flags = re.search(r"^flags\s*:(.*)$", _read(Path("/proc/cpuinfo")) or "", re.M)
    return "hypervisor" in flags.group(1).split() if flags else None


def _uuids(device: str | None, shown: Sequence[GpuDevice] | None) -> list[str]:
    """Bare UUIDs of the GPUs that name the slug, their CUDA indices without NVML (`shown` is
    None); empty for the CPU."""
    if device == "cpu":
        return []
    kind, _, number = (device or "cuda").partition(":")
    if kind != "cuda" or (number and not number.isdigit()):
        raise InputError(f"device is {device!r}, but must be None, 'cpu', 'cuda' or 'cuda:<n>'")
    used = used_gpus()
    if device is None or (used and not number):
        return [gpu.uuid if gpu.uuid and shown else f"index{gpu.index}" for gpu in used]
    index = int(number or 0)
    if shown is None:
        return [f"index{index}"]
    for gpu in used:  # CUDA's own word on which board carries this number
        if gpu.index == index and gpu.uuid:
            return [gpu.uuid]
    if index >= len(shown):
        raise InputError(
            f"device {device!r} is not there: the NVIDIA driver shows {len(shown)} GPUs to this "
            "process; see `orthowatt doctor`"
        )
    gpu = shown[index]
    return [bare_uuid(gpu.uuid) if gpu.uuid else f"index{gpu.index}"]


def slug(uuids: Sequence[str], name: str) -> str:
    """The name of GPUs (by UUID; none: the CPU) of the host `name`, in letters that files bear.

    >>> slug(["4f2a91c07e", "11ab"], "Node 7"), slug([], "Node 7")
    ('gpu-11ab-4f2a91c0-node-7', 'cpu-node-7')
    """
    devices = ["gpu", *sorted(uuid[:8] for uuid in uuids)] if uuids else ["cpu"]
    text = "-".join([*devices, name]).lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")


def _gpu(nvml: Nvml, gpu: GpuDevice) -> dict[str, Any]:
    def ask(name: str, *arguments: Any) -> Any:
        return nvml.optional(name, gpu.handle, *arguments)

    def watts(name: str) -> float | None:
        milliwatts = ask(name)
        return None if milliwatts is None else watts_from_milliwatts(milliwatts)

    state = ask("nvmlDeviceGetPerformanceState")
    ecc, memory = ask("nvmlDeviceGetEccMode"), ask("nvmlDeviceGetMemoryInfo")
    return {
        "index": gpu.index,
        "uuid": gpu.uuid,
        "name": gpu.name,
        "driver": nvml.optional("nvmlSystemGetDriverVersion"),
        "vbios": ask("nvmlDeviceGetVbiosVersion"),
        "memory_bytes": None if memory is None else int(memory.total),
        "power_limit_watts": watts("nvmlDeviceGetEnforcedPowerLimit"),
        "power_limit_default_watts": watts("nvmlDeviceGetPowerManagementDefaultLimit"),
        "ecc": None if ecc is None else bool(ecc[0]),
        "mig": gpu.mig,
        "pci_bus_id": _bus_id(ask("nvmlDeviceGetPciInfo")),
        "persistence_mode": _yes(ask("nvmlDeviceGetPersistenceMode")),
        "performance_state": None if state is None else f"P{state}",
        "graphics_clock_mhz": ask("nvmlDeviceGetClockInfo", _GRAPHICS_CLOCK),
        "sm_clock_mhz": ask("nvmlDeviceGetClockInfo", _SM_CLOCK),
        "memory_clock_mhz": ask("nvmlDeviceGetClockInfo", _MEMORY_CLOCK),
        "temperature_celsius": ask("nvmlDeviceGetTemperature", _GPU_TEMPERATURE),
    }


def _bus_id(info: Any) -> str | None:
    found = getattr(info, "busId", None)
    return found.decode(errors="replace") if isinstance(found, bytes) else found


def _yes(value: Any) -> bool | None:
    return None if value is None else bool(value)


def _cpu_model() -> str | None:
    found = re.search(r"^model name\s*:\s*(.+)$", _read(Path("/proc/cpuinfo")) or "", re.M)
    return found.group(1).strip() if found else platform.processor() or platform.machine() or None


def _usable_cores() -> int:
    """Logical cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None
