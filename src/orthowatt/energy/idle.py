"""Power while nothing is asked for, before or after the work, and energy net of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import InputError, InputTypeError
from .quantity import Energy

if TYPE_CHECKING:
    from .meter import EnergyMeter
    from .sensors import Sensors

#: What "idle" means, by word; a net energy means what its idle means.
STATES = {
    "driver-idle": "no process computes on the GPU",
    "context-resident": "this process holds a CUDA context on the GPU and has queued nothing",
    "in-use": "another process holds the GPU, so this is no idle power",
    "waiting": "this process waits; a CPU serves whatever else runs",
}
LEAST_SECONDS = 1.0
#: Halves of a measurement, or two measurements, that differ by more have not settled.
_DRIFT = 0.05


@dataclass(frozen=True)
class Idle:
    """The energy that was drawn while nothing was asked for; `watts` is its mean power.

    - `energies`: by scope, as in a window; `energy` the primary scope's.
    - `states`: by scope, what idle meant (`STATES`).

    >>> gpu = Energy(800.0, "measured", scope="gpu:A", seconds=10.0, bound_joules=5.0)
    >>> idle = Idle(gpu, {"gpu:A": gpu}, {"gpu:A": "driver-idle"})
    >>> idle.watts, idle.bound_watts, idle.state, idle.seconds
    (80.0, 0.5, 'driver-idle', 10.0)
    """

    energy: Energy
    energies: dict[str, Energy] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)

    @property
    def watts(self) -> float | None:
        """Mean power of the primary scope in W; None where it was not measured."""
        return self.energy.mean_watts

    @property
    def bound_watts(self) -> float | None:
        """The bound of `watts` in W, the sensor's own accuracy aside."""
        bound, seconds = self.energy.bound_joules, self.energy.seconds
        return bound / seconds if bound is not None and seconds else None

    @property
    def seconds(self) -> float | None:
        """How long it was measured."""
        return self.energy.seconds

    @property
    def state(self) -> str:
        """What idle meant for the primary scope; several devices in unlike states by "+"."""
        return self.state_of(self.energy.scope)

    def state_of(self, scope: str) -> str:
        """What idle meant for a scope or a sum of scopes."""
        found = {self.states.get(part, "waiting") for part in scope.split("+")}
        return "+".join(sorted(found))

    def energy_of(self, scope: str) -> Energy:
        """The idle energy of a scope or a sum of scopes; unknown where it was not watched."""
        if scope == self.energy.scope:
            return self.energy
        parts = [
            self.energies.get(part) or Energy.unknown(f"{part} was not watched then", part)
            for part in scope.split("+")
        ]
        return sum(parts[1:], parts[0])

    @property
    def resting_watts(self) -> dict[str, float]:
        """Mean power in W of the GPUs that were idle indeed, by scope, as `set_idle` takes it."""
        resting = ("driver-idle", "context-resident")
        return {
            scope: watts
            for scope, part in self.energies.items()
            if self.states.get(scope) in resting and (watts := part.mean_watts)
        }

    def to_dict(self) -> dict[str, Any]:
        """Watts with their bound, state and parts as JSON-ready values."""
        return {
            "watts": self.watts,
            "bound_watts": self.bound_watts,
            "state": self.state,
            "seconds": self.seconds,
            "energy": self.energy.to_dict(),
            "parts": {
                scope: {"state": self.state_of(scope), **part.to_dict()}
                for scope, part in self.energies.items()
            },
        }


def measure_idle(meter: EnergyMeter, seconds: float = 10.0, *, settle: float = 0.0) -> Idle:
    """Wait and measure: driver-idle before CUDA is started here, context-resident after it.

    `settle` seconds pass unmeasured first: after a load, clocks and fans need some. Two halves
    that differ by more than 5 % and their bounds are flagged "idle-drift". From then on `meter`
    flags a GPU's mean power below half of this as "implausible-low". Raises `InputError`
    for less than 1 s.

    >>> from orthowatt.energy import EnergyMeter
    >>> with EnergyMeter(scope="cpu") as meter:
    ...     idle = measure_idle(meter, 1.0)
    >>> idle.watts is None or idle.watts > 0, idle.state
    (True, 'waiting')
    """
    for name, value, least in (("seconds", seconds, LEAST_SECONDS), ("settle", settle, 0.0)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InputTypeError(f"{name} is {value!r}, but must be a number")
        if not least <= value < float("inf"):
            raise InputError(f"{name} is {value!r}, but must be finite and at least {least:g}")
    sensors = meter.sensors
    time.sleep(settle)
    halves = []
    for _ in range(2):
        with meter.window("idle") as window:
            time.sleep(seconds / 2)
        halves.append(window.measured)
    first, second = halves
    both = first + second
    energies = {
        scope: _settled(energy, first.energies.get(scope), second.energies.get(scope))
        for scope, energy in both.energies.items()
    }
    held = sensors.used(ask_driver=True)
    primary = _settled(both.energy, first.energy, second.energy)
    states = {scope: _state(sensors, scope, scope in held) for scope in energies}
    for scope in (scope for scope, state in states.items() if state == "in-use"):
        energies[scope] = _flagged(energies[scope], "foreign-processes")
        if scope in primary.scope.split("+"):
            primary = _flagged(primary, "foreign-processes")
    found = Idle(primary, energies, states)
    meter.set_idle(found.resting_watts)
    return found


def net(gross: Energy, idle: Idle | Sequence[Idle]) -> Energy:
    """`gross` less the idle power times its seconds, flagged "net"; gross stays the primary.

    Of several idles, such as one before and one after, the mean power counts and half their
    spread widens the bound. The bound adds that of the idle power; the sensor's relative error
    is that of both, over the smaller difference. Unknown parts give an unknown, and so does a
    window that drew no more than idle. Raises `InputError` for idles of unlike states.

    >>> gpu = Energy(800.0, "measured", scope="gpu:A", seconds=10.0, bound_joules=5.0)
    >>> idle = Idle(gpu, {"gpu:A": gpu}, {"gpu:A": "driver-idle"})
    >>> gross = Energy(3000.0, "measured", scope="gpu:A", seconds=10.0, bound_joules=5.0)
    >>> found = net(gross, idle); str(found), found.flags, found.method
    ('2.2 kJ ± 10 J', ('net',), 'net of driver-idle at 80 W')
    """
    idles = list(idle) if isinstance(idle, Sequence) else [idle]
    if not idles or not all(isinstance(item, Idle) for item in idles):
        raise InputTypeError("net needs an Idle, or several in a list, as meter.idle() gives them")
    states = sorted({item.state_of(gross.scope) for item in idles})
    if len(states) > 1:
        raise InputError(
            f"the idles are of unlike states ({', '.join(states)}), which have no mean; give "
            "those of one state"
        )
    reason = _no_net(gross, [item.energy_of(gross.scope) for item in idles])
    if reason is not None:
        return _unknown(gross, reason)
    return _difference(gross, [item.energy_of(gross.scope) for item in idles], states[0])


def _difference(gross: Energy, idles: list[Energy], state: str) -> Energy:
    assert gross.joules is not None
    seconds = gross.seconds or 0.0
    powers = [energy.mean_watts or 0.0 for energy in idles]
    watts = sum(powers) / len(powers)
    bounds = [_bound_watts(energy) for energy in idles]
    bound = None
    if gross.bound_joules is not None and None not in bounds:
        spread = (max(powers) - min(powers)) / 2
        bound = gross.bound_joules + (max(b or 0.0 for b in bounds) + spread) * seconds
    joules = gross.joules - watts * seconds
    flags = ["net", *gross.flags, *(flag for energy in idles for flag in energy.flags)]
    if max(powers) - min(powers) > _DRIFT * watts:
        flags.append("idle-drift")
    if joules <= 0:
        within = f" ± {bound:.4g}" if bound is not None else ""
        return _unknown(
            gross, f"the window drew no more than idle ({joules:.4g}{within} J)", *flags
        )
    sensor = gross.sensor_relative
    method = f"net of {state} at {watts:.4g} W"
    return gross.replace(
        joules=joules,
        bound_joules=bound,
        sensor_relative=sensor and sensor * (gross.joules + watts * seconds) / joules,
        method=f"{gross.method}, {method}" if gross.method else method,
        flags=tuple(flags),
    )


def _no_net(gross: Energy, idles: list[Energy]) -> str | None:
    """Why there is no difference to be taken, or None."""
    if gross.joules is None:
        return gross.reason or "unknown"
    if gross.status == "estimated" or any(energy.status == "estimated" for energy in idles):
        return "an estimate is an upper bound, and the difference of two bounds is none"
    if not gross.seconds:
        return "the window's time is not known"
    return next((f"no idle power: {e.reason}" for e in idles if e.mean_watts is None), None)


def _unknown(gross: Energy, reason: str, *flags: str) -> Energy:
    return Energy.unknown(
        reason, gross.scope, method=gross.method, seconds=gross.seconds, flags=flags or ("net",)
    )


def _settled(energy: Energy, first: Energy | None, second: Energy | None) -> Energy:
    """`energy`, flagged where its two halves differ by more than their bounds explain."""
    powers = [half.mean_watts if half else None for half in (first, second)]
    if None in powers or energy.mean_watts is None:
        return energy
    allowed = sum(_bound_watts(half) or 0.0 for half in (first, second) if half)
    if abs((powers[0] or 0.0) - (powers[1] or 0.0)) <= _DRIFT * energy.mean_watts + allowed:
        return energy
    return _flagged(energy, "idle-drift")


def _flagged(energy: Energy, flag: str) -> Energy:
    return energy.replace(flags=(*energy.flags, flag))


def _bound_watts(energy: Energy) -> float | None:
    bound, seconds = energy.bound_joules, energy.seconds
    return bound / seconds if bound is not None and seconds else None


def _state(sensors: Sensors, scope: str, held: bool) -> str:
    if not scope.startswith("gpu"):
        return "waiting"
    if held:
        return "context-resident"
    # this process holds no context, so whatever the driver lists is foreign, even where a
    # container does not know the process numbers
    return "in-use" if _listed(sensors, scope) else "driver-idle"


def _listed(sensors: Sensors, scope: str) -> int:
    """How many processes the driver lists on a GPU; 0 where it does not tell."""
    gpu = sensors.gpus.get(scope)
    if gpu is None or sensors.nvml is None:
        return 0
    name = "nvmlDeviceGetComputeRunningProcesses"
    return len(sensors.nvml.optional(name, gpu.device.handle) or ())
