"""Which values stand side by side: records pair by seed on one device, numbers by position."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError, InputTypeError
from ..record import RunRecord

#: What a metric is called in `RunRecord.metrics`; energy has its own place in the record.
METRICS = {"accuracy": "test_accuracy", "energy": None, "time": "train_seconds"}
COSTS = ("energy", "time")


@dataclass(frozen=True)
class Pairs:
    """Values side by side, a name for each pair, and one sentence for each pair left out."""

    baseline: tuple[float, ...]
    variant: tuple[float, ...]
    labels: tuple[str, ...]
    notes: tuple[str, ...]


def pair(baseline: Iterable[Any], variant: Iterable[Any], metric: str) -> Pairs:
    """Put a baseline's and a variant's values side by side.

    `InputTypeError` when records and numbers are mixed or a value is no number; `InputError` for
    plain numbers of unequal length, for two runs of one seed on one device, and for energies of
    unlike scopes. A pair with an unknown value is left out and named in `notes`.
    """
    first, second = listed("baseline", baseline), listed("variant", variant)
    kinds = {isinstance(value, RunRecord) for value in [*first, *second]}
    if len(kinds) > 1:
        raise InputTypeError(
            "run records and plain numbers are mixed; give records on both sides or numbers on both"
        )
    if True in kinds:
        return _pair_records(first, second, metric)
    return _pair_numbers(first, second, metric)


def listed(side: str, values: Any) -> list[Any]:
    """One side as a list; `InputTypeError` when it is a single thing instead of several."""
    if isinstance(values, (str, bytes, Mapping, RunRecord)) or not isinstance(values, Iterable):
        raise InputTypeError(
            f"{side} is {type(values).__name__}, but must be a list of run records or of numbers"
        )
    return list(values)


def _pair_numbers(first: list[Any], second: list[Any], metric: str) -> Pairs:
    if len(first) != len(second):
        raise InputError(
            f"baseline holds {len(first)} numbers and variant {len(second)}; numbers pair by "
            "position, so give as many on both sides, None where one is unknown"
        )
    readings = {}
    for index, (a, b) in enumerate(zip(first, second, strict=True), start=1):
        readings[f"pair {index}"] = (
            _number(f"baseline {index}", a, metric),
            _number(f"variant {index}", b, metric),
        )
    return _kept(readings, [])


@dataclass(frozen=True)
class _Reading:
    value: float | None
    reason: str = ""


def _number(name: str, value: Any, metric: str) -> _Reading:
    if value is None:
        return _Reading(None, f"{name} is unknown")
    try:
        number = float(value)
    except (TypeError, ValueError) as error:
        raise InputTypeError(f"{name} is {value!r}, but must be a number or None") from error
    return _checked(name, number, metric)


def _checked(name: str, number: float, metric: str) -> _Reading:
    if not math.isfinite(number):
        return _Reading(None, f"{name} is {number}")
    if metric == "accuracy" and not 0 <= number <= 1:
        raise InputError(
            f"{name} has accuracy {number:g}, but it must be a fraction in [0, 1]; "
            "divide percentages by 100"
        )
    if metric in COSTS and number <= 0:
        unit = "J" if metric == "energy" else "s"
        return _Reading(None, f"{name} is {number:g} {unit}, which no run takes")
    return _Reading(number)


def _kept(readings: Mapping[str, tuple[_Reading, _Reading]], notes: list[str]) -> Pairs:
    a, b, labels = [], [], []
    for label, (first, second) in readings.items():
        if first.value is None or second.value is None:
            reasons = "; ".join(r.reason for r in (first, second) if r.value is None)
            notes.append(f"{label} is left out: {reasons}")
            continue
        a.append(first.value)
        b.append(second.value)
        labels.append(label)
    return Pairs(tuple(a), tuple(b), tuple(labels), tuple(notes))


# -- records ---------------------------------------------------------------------------------------


def _pair_records(first: list[RunRecord], second: list[RunRecord], metric: str) -> Pairs:
    a, b = _by_run("baseline", first), _by_run("variant", second)
    shared = [key for key in a if key in b]
    notes = [
        f"{_name(key)} is left out: only the {side} was run there"
        for side, keys in (("baseline", a), ("variant", b))
        for key in keys
        if key not in shared
    ]
    device, others = _one_device(shared)
    notes += [f"{_name(key)} is left out: the pairs on {device} are compared" for key in others]
    readings = {}
    scopes = set()
    for key in sorted(key for key in shared if key[0] == device):
        pair_of = (a[key], b[key])
        if pair_of[0].numerics_version != pair_of[1].numerics_version:
            notes.append(f"{_name(key)} is left out: its runs are of two numerics versions")
            continue
        if why := _other_processes(*pair_of, metric) or _other_parts(*pair_of):
            notes.append(f"{_name(key)} is left out: {why}")
            continue
        values = (
            _reading("the baseline", pair_of[0], metric),
            _reading("the variant", pair_of[1], metric),
        )
        readings[f"seed {key[1]}"] = values
        if metric == "energy" and None not in (values[0].value, values[1].value):
            for record in pair_of:
                scopes.add(str(record.energy_of("run").get("scope")))
                notes += _flags(key[1], record)
    if len(scopes) > 1:
        raise InputError(
            f"the energies are of unlike scopes ({', '.join(sorted(scopes))}); only equal scopes "
            "are compared, so measure every run with the same sensors"
        )
    return _kept(readings, notes)


def _other_processes(first: RunRecord, second: RunRecord, metric: str) -> str:
    """Why costs of runs that unlike numbers of processes shared do not pair; "" where they do."""
    count = [record.settings.get("ranks", 1) for record in (first, second)]
    if metric not in COSTS or count[0] == count[1]:
        return ""
    return (
        f"the baseline ran in {_processes(count[0])} and the variant in {_processes(count[1])}, "
        f"so their {metric} says nothing about the variant"
    )


def _processes(count: int) -> str:
    return "1 process" if count == 1 else f"{count} processes"


def _other_parts(first: RunRecord, second: RunRecord) -> str:
    """Why runs whose batch norms saw parts of a batch do not pair; "" where they do.

    Several processes are parts too, each with its own share.
    """
    parts = [
        (record.settings.get("micro_batch"), record.settings.get("ranks", 1))
        for record in (first, second)
    ]
    seen = [record.settings.get("batch_norm_images") for record in (first, second)]
    if parts[0] == parts[1] or None in seen or seen[0] == seen[1]:
        return ""
    return f"batch norm saw {seen[0]} images at once in the baseline and {seen[1]} in the variant"


def _by_run(side: str, records: list[RunRecord]) -> dict[tuple[str, int], RunRecord]:
    found: dict[tuple[str, int], RunRecord] = {}
    for record in records:
        key = (record.device, record.config.seed)
        if key in found:
            raise InputError(
                f"{side} holds two runs of {_name(key)}; give one run a seed and device"
            )
        found[key] = record
    return found


def _name(key: tuple[str, int]) -> str:
    return f"seed {key[1]} on {key[0]}"


def _one_device(
    keys: list[tuple[str, int]],
) -> tuple[str | None, list[tuple[str, int]]]:
    """The device with most pairs (the first by name among equals), and the pairs elsewhere."""
    if not keys:
        return None, []
    counts = Counter(device for device, _ in keys)
    device = min(counts, key=lambda name: (-counts[name], name))
    return device, [key for key in keys if key[0] != device]


def _reading(side: str, record: RunRecord, metric: str) -> _Reading:
    name = f"{side} of seed {record.config.seed}"
    if record.status != "finished":
        why = f" ({record.reason})" if record.reason else ""
        return _Reading(None, f"{name} {record.status}{why}")
    if metric == "accuracy":
        value = record.metric("test_accuracy")
        if value is None:
            return _Reading(None, f"{name} has no test accuracy")
        return _checked(name, value, metric)
    if record.device == "unknown":
        return _Reading(None, f"{name} does not say which device ran it")
    if record.resumed:
        return _Reading(None, f"{name} was resumed, so its {metric} includes work done twice")
    if metric == "time":
        value = record.metric("train_seconds")
        return _checked(name, math.nan if value is None else value, metric)
    return _energy(name, record)


def _energy(name: str, record: RunRecord) -> _Reading:
    energy = record.energy_of("run")
    joules = energy.get("joules")
    if joules is None:
        return _Reading(None, f"{name} has no known energy ({energy.get('reason') or 'no reason'})")
    if energy.get("status") != "measured":
        return _Reading(None, f"{name} has an energy that is {energy.get('status')}, not measured")
    return _checked(name, float(joules), "energy")


def _flags(seed: int, record: RunRecord) -> list[str]:
    flags = record.energy_of("run").get("flags") or ()
    return [f"seed {seed}: the energy is flagged ({flag})" for flag in flags]
