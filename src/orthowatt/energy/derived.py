"""What follows from a measured energy: joules an image, to an accuracy, times the delay, CO₂."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import InputError, InputTypeError
from .quantity import Energy

#: Shorter windows of inferences say more about their edges than about the inferences.
LEAST_INFERENCE_SECONDS = 10.0
_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Derived:
    """A quantity that follows from an energy, with what the energy's bounds leave open.

    - `value` in `unit`: None exactly when `status` is "unknown" or "censored"; `reason` says why.
    - `bound`: the reading's share of the error, in `unit`; `sensor_relative` as in `Energy`.
    - `at_least`: a floor where the value is unknown or censored.
    - `basis`: what else it rests on: a count, a factor and its source.

    >>> found = joules_per_image(Energy(50.0, "measured", scope="gpu:A", bound_joules=2.0), 1000)
    >>> str(found), found.interval[0]
    ('0.05 ± 0.002 J/image', 0.048)
    """

    name: str
    value: float | None
    unit: str
    status: Literal["measured", "estimated", "unknown", "censored"]
    reason: str | None = None
    scope: str = ""
    bound: float | None = None
    sensor_relative: float | None = None
    at_least: float | None = None
    basis: str | None = None
    flags: tuple[str, ...] = ()

    @property
    def interval(self) -> tuple[float, float] | None:
        """What the reading's bound allows, the sensor's own accuracy aside; None if not known."""
        if self.value is None or self.bound is None:
            return None
        return max(0.0, self.value - self.bound), self.value + self.bound

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-ready values."""
        return {**asdict(self), "flags": list(self.flags)}

    def __str__(self) -> str:
        if self.value is None:
            least = f", at least {self.at_least:.4g} {self.unit}" if self.at_least else ""
            return f"{self.status}{least}: {self.reason}"
        upper = "at most " if "upper-bound" in self.flags else ""
        bound = f" ± {self.bound:.2g}" if self.bound is not None else ""
        label = " (estimated)" if self.status == "estimated" else ""
        return f"{upper}{self.value:.4g}{bound} {self.unit}{label}"


def joules_per_image(energy: Energy, images: int) -> Derived:
    """Energy over the number of images that it was spent on, in J/image.

    Raises `InputError` unless `images` is a whole number of at least 1.

    >>> joules_per_image(Energy.unknown("no sensor", "gpu"), 100).reason
    'no sensor'
    """
    _check_count("images", images)
    return _scaled(energy, "joules an image", "J/image", 1 / images, f"{images:,} images")


def joules_per_thousand_inferences(energy: Energy, inferences: int) -> Derived:
    """Energy of 1,000 inferences in J, from a window of at least 10 s after a loaded warm-up.

    A shorter window gives an unknown with the reason. `measure_inference` measures such a window.

    >>> short = Energy(300.0, "measured", scope="gpu:A", seconds=2.0, bound_joules=2.0)
    >>> joules_per_thousand_inferences(short, 500).status
    'unknown'
    """
    _check_count("inferences", inferences)
    name, unit = "joules per 1,000 inferences", "J/1,000 inferences"
    if energy.joules is not None and (energy.seconds or 0.0) < LEAST_INFERENCE_SECONDS:
        seconds = "no time" if energy.seconds is None else f"{energy.seconds:.3g} s"
        return _unknown(
            energy, name, unit,
            f"the window has {seconds}, but needs at least {LEAST_INFERENCE_SECONDS:g} s after a "
            "loaded warm-up; measure longer",
        )  # fmt: skip
    return _scaled(energy, name, unit, 1000 / inferences, f"{inferences:,} inferences")


def energy_delay_product(energy: Energy) -> Derived:
    """Energy times the time it was spent in, in J·s: less is better in both.

    >>> str(energy_delay_product(Energy(300.0, "measured", seconds=2.0, bound_joules=3.0)))
    '600 ± 6 J·s'
    """
    name, unit = "energy-delay product", "J·s"
    if energy.joules is not None and energy.seconds is None:
        return _unknown(energy, name, unit, "the energy's time is not known")
    seconds = energy.seconds or 0.0
    return _scaled(energy, name, unit, seconds, f"{seconds:.6g} s")


def joules_to_accuracy(
    epochs: Sequence[tuple[float | None, Energy]], target: float, *, tail: str | None = None
) -> Derived:
    """Energy until the accuracy first reaches `target`, in J: the sum up to that epoch.

    - `epochs`: the accuracy (a fraction; None where it was not taken) and the energy of each
      epoch, in order. What the energies hold is what the sum holds: training alone or with its
      validation.
    - `target`: a fraction in (0, 1].
    - `tail`: for a run that stopped early, why.

    A target that is not reached is "censored": all the energy spent is then a floor. Raises
    `InputError` for no epochs, a target or accuracy out of range.

    >>> epoch = Energy(100.0, "measured", scope="gpu:A", seconds=1.0, bound_joules=1.0)
    >>> str(joules_to_accuracy([(0.5, epoch), (0.8, epoch), (0.9, epoch)], 0.75))
    '200 ± 2 J'
    >>> str(joules_to_accuracy([(0.5, epoch), (0.7, epoch)], 0.75))
    'censored, at least 198 J: accuracy 0.75 was not reached in 2 epochs (best 0.7)'
    """
    if not epochs:
        raise InputError("no epochs were given; give (accuracy, energy) of at least one")
    _check_fraction("target", target)
    for accuracy, _ in epochs:
        if accuracy is not None and not 0 <= accuracy <= 1:
            raise InputError(f"an accuracy is {accuracy!r}, but must be a fraction in [0, 1]")
    name, unit = "joules to accuracy", "J"
    known = [accuracy for accuracy, _ in epochs if accuracy is not None]
    reached = next((i for i, (a, _) in enumerate(epochs) if a is not None and a >= target), None)
    spent = [energy for _, energy in epochs[: None if reached is None else reached + 1]]
    energy = sum(spent[1:], spent[0])
    if reached is not None:
        found = f"accuracy {epochs[reached][0]:.4g} after epoch {reached + 1} of {len(epochs)}"
        return _scaled(energy, name, unit, 1.0, f"target {target:g}: {found}")
    best = f" (best {max(known):.4g})" if known else " (no accuracy was taken)"
    ended = f"; {tail}" if tail else ""
    return Derived(
        name, None, unit, "censored",
        f"accuracy {target:g} was not reached in {len(epochs)} epochs{best}{ended}",
        energy.scope, at_least=energy.floor_joules, sensor_relative=energy.sensor_relative,
        basis=f"target {target:g}", flags=energy.flags,
    )  # fmt: skip


def co2_grams(energy: Energy, *, grams_per_kwh: float, source: str) -> Derived:
    """CO₂ equivalent of an energy in g, with a factor of yours and the source that states it.

    There is no factor built in: grids differ, and each from hour to hour. Losses of the power
    supply and cooling are in it only if your factor holds them.

    >>> energy = Energy(3.6e6, "measured", scope="gpu:A", bound_joules=3.6e4)
    >>> found = co2_grams(energy, grams_per_kwh=400.0, source="grid operator, 2025 mean")
    >>> str(found), found.basis
    ('400 ± 4 g', '400 g/kWh (grid operator, 2025 mean)')
    """
    _check_number("grams_per_kwh", grams_per_kwh)
    if not isinstance(source, str) or not source.strip():
        raise InputError(
            f"the source of the CO₂ factor is {source!r}; say where {grams_per_kwh:g} g/kWh is from"
        )
    basis = f"{grams_per_kwh:g} g/kWh ({source.strip()})"
    return _scaled(energy, "CO₂ equivalent", "g", grams_per_kwh / _JOULES_PER_KWH, basis)


def _scaled(energy: Energy, name: str, unit: str, factor: float, basis: str) -> Derived:
    if energy.joules is None:
        floor = energy.floor_joules
        least = None if floor is None else factor * floor
        return _unknown(energy, name, unit, energy.reason or "unknown", basis, least)
    bound = energy.bound_joules
    return Derived(
        name, factor * energy.joules, unit,
        "estimated" if energy.status == "estimated" else "measured",
        energy.reason, energy.scope, None if bound is None else factor * bound,
        energy.sensor_relative, basis=basis, flags=energy.flags,
    )  # fmt: skip


def _unknown(
    energy: Energy, name: str, unit: str, reason: str, basis: str | None = None,
    least: float | None = None,
) -> Derived:  # fmt: skip
    return Derived(
        name, None, unit, "unknown", reason, energy.scope, at_least=least, basis=basis,
        flags=energy.flags,
    )  # fmt: skip


def _check_count(name: str, count: int) -> None:
    if isinstance(count, bool) or not isinstance(count, int):
        raise InputTypeError(f"{name} is {count!r}, but must be a whole number")
    if count < 1:
        raise InputError(f"{name} is {count}, but must be at least 1")


def _check_number(name: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputTypeError(f"{name} is {value!r}, but must be a number")
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"{name} is {value!r}, but must be finite and not negative")


def _check_fraction(name: str, value: float) -> None:
    _check_number(name, value)
    if not 0 < value <= 1:
        raise InputError(f"{name} is {value!r}, but must be a fraction in (0, 1]")
