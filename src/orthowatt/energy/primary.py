"""Which scopes a meter's primary energy sums, and why it is unknown where there are none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..errors import InputError, InputTypeError, closest
from .quantity import Energy
from .sensors import Sensors

#: None: the GPUs this process uses if any, else the CPU packages. "gpu": the GPUs that CUDA shows
#: here. "cpu": the CPU packages (GPUs are left alone). "visible": the GPUs shown if there are any,
#: else the CPU packages. Or scopes by name.
Scope = str | Sequence[str] | None
KEYWORDS = ("gpu", "cpu", "visible")


def check_scope(scope: Scope) -> str | tuple[str, ...] | None:
    """The scope setting in its final form; `InputTypeError` for what is no name."""
    if scope is None or scope in KEYWORDS:
        return scope  # type: ignore[return-value]
    names = (scope,) if isinstance(scope, str) else scope
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise InputTypeError(
            f"scope is {scope!r}, but must be None, one of {', '.join(map(repr, KEYWORDS))}, or "
            "names such as 'gpu:<UUID>' and 'cpu-package:0' (`orthowatt doctor` lists them)"
        )
    return tuple(names)


def check_known(scope: str | tuple[str, ...] | None, sensors: Sensors) -> None:
    """`InputError` with the nearest names when a scope is asked for that is not there."""
    for name in scope if isinstance(scope, tuple) else ():
        if name not in sensors.scopes:
            raise InputError(
                f"no sensor has the scope {name!r}; {closest(name, [*KEYWORDS, *sensors.scopes])}"
            )


def primary_scopes(
    scope: str | tuple[str, ...] | None, sensors: Sensors, used: Sequence[str]
) -> list[str]:
    """The scopes that the primary energy sums; `used` are the GPUs this process uses."""
    if isinstance(scope, tuple):
        return list(scope)
    if scope is None:
        return list(used) or sensors.cpu_scopes
    if scope == "cpu":
        return sensors.cpu_scopes
    return sensors.visible_gpus or (sensors.cpu_scopes if scope == "visible" else [])


def primary_energy(
    scope: str | tuple[str, ...] | None,
    sensors: Sensors,
    energies: Mapping[str, Energy],
    used: Sequence[str],
) -> Energy:
    """The primary energy out of the energies of all scopes."""
    scopes = primary_scopes(scope, sensors, used)
    if not scopes:
        return Energy.unknown(f"no GPU is visible to this process ({_why_no_gpu(sensors)})", "gpu")
    gpus = any(name.startswith("gpu") for name in scopes)
    if gpus and scope in ("gpu", "visible") and not sensors.seen.sure:
        return Energy.unknown(
            "CUDA_VISIBLE_DEVICES counts boards of different models in CUDA's own order; set "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID so that the numbers name the boards",
            "+".join(sorted(scopes)),
        )
    absent = "it was not watched in this window"
    parts = [energies.get(name) or Energy.unknown(f"{name}: {absent}", name) for name in scopes]
    energy = sum(parts[1:], parts[0])
    if energy.joules is None and not gpus and scope in (None, "visible"):
        gpu = "visible" if scope == "visible" else "in use by this process"
        reason = f"no GPU is {gpu} ({_why_no_gpu(sensors)}), and {energy.reason}"
        return energy.replace(reason=reason)
    return energy


def _why_no_gpu(sensors: Sensors) -> str:
    if sensors.nvml is None:
        return "GPUs were left out"
    if sensors.nvml.problem is not None:
        return sensors.nvml.problem.text
    if not sensors.nvml.devices():
        return "the NVIDIA driver lists none"
    if not sensors.visible_gpus:
        return "CUDA_VISIBLE_DEVICES hides them all"
    return "CUDA has not been started here"
