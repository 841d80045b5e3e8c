"""`Energy`: joules with their status, scope and bound; what was not measured is None."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError, InputTypeError, check_choice, closest
from .units import joules_text

if TYPE_CHECKING:
    from .ratio import Ratio

STATUSES = ("measured", "estimated", "unknown")

#: What each flag means, for reports; a flag never changes the joules, it says how to read them.
FLAGS = {
    "cap-exceeded": "a power above 1.1 times the limit was read, so the bound may be too small",
    "counted-twice": "windows of one name were open at once, so their sum counts some energy twice",
    "counter-reset": "the counter went back during the window (driver reload or reset)",
    "edge-unaligned": "a counter's edge was not seen in time, so it was read between two ticks",
    "foreign-processes": "another process computed on the GPU meanwhile: its energy is counted too",
    "edge-wait": "more than 5 % of the measured time is the wait for the counter's tick",
    "gap": "the counter was left unread for so long that it may have wrapped unseen",
    "idle-drift": "the idle power moved by more than 5 % while or between it was measured",
    "implausible-high": "the mean power lies above 1.1 times the power limit",
    "implausible-low": "the mean power lies below half of the idle power",
    "integral-disagrees": "the power readings add up to 2 % more or less than the counter",
    "low-coverage": "power readings speak for less than 90 % of the time",
    "net": "net of idle: the gross energy less the idle power times the time",
    "no-tick": "the counter did not move during the window",
    "not-synchronised": "CUDA could not be synchronised at an edge: queued work may be missing",
    "one-core": "on AMD this domain counts one core only",
    "power-cap-assumed": "no power limit could be read: the bound uses the highest known or seen",
    "tick-assumed": "the counter's tick could not be timed: the bound assumes the slowest known",
    "upper-bound": "an upper bound from the power limit, not a measurement",
}


@dataclass(frozen=True)
class Energy:
    """Energy in joules over a time, with what is known about its trustworthiness.

    - `joules`: None exactly when `status` is "unknown"; then `reason` says why and, where
      possible, what mends it.
    - `scope`: what was summed: `gpu:<UUID>`, `cpu-package:0`, `dram:0`, joined by "+".
    - `method`: how, such as `nvml-energy-counter` or `rapl-powercap`.
    - `seconds`: time between the two readings used.
    - `bound_joules`: the error from reading a ticking counter is at most this; the sensor's own
      accuracy is `sensor_relative` (0.05 = ±5 %), None where its maker states none.
    - `coverage`: part of the time that readings cover, 1.0 for a counter.
    - `at_least_joules`: a floor for a sum of which a part is unknown.

    Raises `InputError` for a status and joules that contradict each other, a negative or not
    finite number, an unknown without a reason.

    >>> gpu = Energy(120.0, "measured", scope="gpu:A", seconds=1.0, bound_joules=2.0)
    >>> (gpu + gpu).joules, (gpu + gpu).bound_joules, (gpu + gpu).seconds
    (240.0, 4.0, 2.0)
    >>> total = gpu + Energy.unknown("no RAPL here", scope="cpu-package")
    >>> total.joules, total.at_least_joules, total.scope
    (None, 118.0, 'cpu-package+gpu:A')
    """

    joules: float | None
    status: Literal["measured", "estimated", "unknown"]
    reason: str | None = None
    scope: str = ""
    method: str | None = None
    seconds: float | None = None
    bound_joules: float | None = None
    sensor_relative: float | None = None
    coverage: float | None = None
    flags: tuple[str, ...] = ()
    at_least_joules: float | None = None

    def __post_init__(self) -> None:
        check_choice("an energy's status", self.status, STATUSES)
        if (self.joules is None) != (self.status == "unknown"):
            raise InputError(
                f"an energy of {self.joules!r} joules has status {self.status!r}, but joules must "
                "be None exactly when the status is 'unknown'"
            )
        if self.status == "unknown" and not self.reason:
            raise InputError("an unknown energy needs a reason; say what was missing")
        for name in _NUMBERS:
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputTypeError(f"{name} is {value!r}, but must be a number or None")
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"{name} is {value!r}, but must be finite and not negative")
        object.__setattr__(self, "flags", tuple(sorted(set(self.flags))))

    @classmethod
    def unknown(cls, reason: str, scope: str = "", **fields: Any) -> Energy:
        """An energy that was not measured, with the reason."""
        return cls(None, "unknown", reason, scope, **fields)

    @property
    def floor_joules(self) -> float | None:
        """What the energy is at least, the sensor's own accuracy aside; None when nothing is known.

        >>> Energy(10.0, "measured", scope="gpu:A", bound_joules=4.0).floor_joules
        6.0
        """
        if self.joules is None:
            return self.at_least_joules
        if self.status == "estimated" or self.bound_joules is None:
            return None
        return max(0.0, self.joules - self.bound_joules)

    def interval_joules(self, *, sensor: bool = False) -> tuple[float, float] | None:
        """The lowest and highest energy that the bound allows, in J; None where it is unknown.

        With `sensor` the sensor's own accuracy widens it, None where its maker states none.

        >>> run = Energy(100.0, "measured", scope="gpu:A", bound_joules=2.0, sensor_relative=0.05)
        >>> run.interval_joules(), run.interval_joules(sensor=True)
        ((98.0, 102.0), (93.0, 107.0))
        """
        if self.joules is None or self.bound_joules is None:
            return None
        if sensor and self.sensor_relative is None:
            return None
        width = self.bound_joules + (self.joules * (self.sensor_relative or 0.0) if sensor else 0.0)
        return max(0.0, self.joules - width), self.joules + width

    @property
    def mean_watts(self) -> float | None:
        """Mean power in watts over `seconds`; None when either is unknown or the time is 0."""
        return self.joules / self.seconds if self.joules is not None and self.seconds else None

    def __add__(self, other: Energy) -> Energy:
        """Add energies of one scope (one after the other) or of disjoint scopes (side by side).

        Of one scope, the seconds add; of disjoint scopes, the longer time counts. Scopes that
        overlap without being equal raise `InputError`: a device would be counted twice.
        """
        if not isinstance(other, Energy):
            return NotImplemented
        scope, same = _joined_scope(self.scope, other.scope)
        parts = (self, other)
        floors = [part.floor_joules for part in parts if part.floor_joules is not None]
        known = all(part.joules is not None for part in parts)
        estimated = any(part.status == "estimated" for part in parts)
        seconds = _all_or_none([part.seconds for part in parts], sum if same else max)
        return Energy(
            joules=_all_or_none([part.joules for part in parts], sum),
            status=("estimated" if estimated else "measured") if known else "unknown",
            reason=_joined([part.reason for part in parts], " | "),
            scope=scope,
            method=_joined([part.method for part in parts], "+"),
            seconds=seconds,
            bound_joules=_all_or_none([part.bound_joules for part in parts], sum),
            # the larger of two relative errors bounds the relative error of the sum
            sensor_relative=_all_or_none([part.sensor_relative for part in parts], max),
            coverage=_all_or_none([part.coverage for part in parts], min),
            flags=self.flags + other.flags,
            at_least_joules=None if known or not floors else sum(floors),
        )

    def __truediv__(self, other: Energy) -> Ratio:
        """The ratio to another energy of one scope with its interval; as `ratio`."""
        from .ratio import ratio

        return ratio(self, other) if isinstance(other, Energy) else NotImplemented

    def __radd__(self, other: object) -> Energy:
        # sum() starts from the integer 0
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def replace(self, **changes: Any) -> Energy:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON-ready values; unknown joules are null with the reason beside them."""
        return {**dataclasses.asdict(self), "flags": list(self.flags)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Energy:
        """Rebuild what `to_dict` gave; `joules` and `status` are required.

        >>> Energy.from_dict({"joules": None, "status": "unknown", "reason": "no sensor"}).reason
        'no sensor'
        """
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise InputError(f"an energy has no field {key!r}; {closest(key, known)}")
        for key in ("joules", "status"):
            if key not in values:
                raise InputError(f"an energy needs {key!r}, but has only {sorted(values)}")
        return cls(**{**values, "flags": tuple(values.get("flags") or ())})

    def __str__(self) -> str:
        if self.joules is None:
            floor = self.at_least_joules
            least = f", at least {joules_text(floor)}" if floor is not None else ""
            return f"unknown{least}: {self.reason}"
        if "upper-bound" in self.flags:
            return f"at most {joules_text(self.joules)} (estimated)"
        bound = f" ± {joules_text(self.bound_joules)}" if self.bound_joules is not None else ""
        estimated = " (estimated)" if self.status == "estimated" else ""
        return f"{joules_text(self.joules)}{bound}{estimated}"


_NUMBERS = (
    "joules", "seconds", "bound_joules", "sensor_relative", "coverage", "at_least_joules",
)  # fmt: skip


def _joined_scope(first: str, second: str) -> tuple[str, bool]:
    """The scope of a sum, and whether both parts had the same one."""
    left, right = set(first.split("+")), set(second.split("+"))
    if left == right:
        return first, True
    if left & right:
        raise InputError(
            f"energies of the scopes {first!r} and {second!r} overlap, so a sum would count "
            f"{', '.join(sorted(left & right))!r} twice; add equal or disjoint scopes"
        )
    return "+".join(sorted(left | right)), False


def _joined(texts: list[str | None], separator: str) -> str | None:
    parts = [part for text in texts if text for part in text.split(separator)]
    return separator.join(dict.fromkeys(parts)) or None


def _all_or_none(values: list[Any], combine: Any) -> float | None:
    return None if any(value is None for value in values) else combine(values)
