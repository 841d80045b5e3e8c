"""What the tables hold: for each variant its means, intervals, paired comparisons and costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, TypeGuard

from ..config import StudyConfig
from ..record import RunRecord
from ..stats import Comparison, Interval, compare_all, mean_interval

Metric = Literal["accuracy", "energy", "time"]


@dataclass(frozen=True)
class Quantity:
    """One quantity of one variant: its mean over the seeds and its paired comparison.

    `interval` is None where nothing was measured, and `reason` then says why; `comparison` is
    None for the baseline and where the baseline or the variant has no value.
    """

    interval: Interval | None
    comparison: Comparison | None = None
    reason: str | None = None
    estimated: bool = False
    scope: str | None = None

    @property
    def mean(self) -> float | None:
        """The mean over the seeds, or None where nothing was measured."""
        return self.interval.mean if self.interval else None

    @property
    def half(self) -> float | None:
        """Half the width of the 95 % interval, or None for fewer than two values."""
        found = self.interval
        if found is None or found.low is None or found.high is None:
            return None
        return (found.high - found.low) / 2

    def to_dict(self) -> dict[str, Any]:
        """The quantity as JSON-ready values."""
        found = self.interval
        return {
            "mean": self.mean,
            "low": found.low if found else None,
            "high": found.high if found else None,
            "n": found.n if found else 0,
            "estimated": self.estimated,
            "scope": self.scope,
            "reason": self.reason,
            "comparison": self.comparison.to_dict() if self.comparison else None,
        }


@dataclass(frozen=True)
class Row:
    """One variant of a study on one device; a number that was not measured is None.

    `step_seconds` is the median train step, `memory_bytes` the highest peak over the seeds (of
    `memory_kind`), `logit_shift` the mean relative change of the logits on insertion,
    `joules_per_image` the mean energy of a training image over the runs that were not resumed.
    """

    name: str
    baseline: bool
    asked: int
    layer: str
    transform: str
    records: tuple[RunRecord, ...]
    accuracy: Quantity
    time: Quantity
    energy: Quantity
    step_seconds: float | None
    memory_bytes: float | None
    memory_kind: str | None
    added_macs_dense: float | None
    added_adds_fast: float | None
    logit_shift: float | None
    joules_per_image: float | None = None

    @property
    def n(self) -> int:
        """How many finished runs the row stands on."""
        return len(self.records)

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON-ready values."""
        plain = (
            "name", "baseline", "n", "asked", "layer", "transform", "step_seconds",
            "memory_bytes", "memory_kind", "added_macs_dense", "added_adds_fast", "logit_shift",
            "joules_per_image",
        )  # fmt: skip
        values = {key: getattr(self, key) for key in plain}
        for key in ("accuracy", "time", "energy"):
            values[key] = getattr(self, key).to_dict()
        values["seeds"] = [record.config.seed for record in self.records]
        return values


def build_rows(study: StudyConfig, records: Mapping[str, Sequence[RunRecord]]) -> list[Row]:
    """One row a variant, the baseline first; `records` are the usable runs on one device."""
    names = [study.baseline] + [v.name for v in study.variants if v.name != study.baseline]
    columns = {
        "accuracy": _quantities(study, records, "accuracy", study.accuracy_margin),
        "time": _quantities(study, records, "time", math.log(study.cost_margin)),
        "energy": _quantities(study, records, "energy", math.log(study.cost_margin)),
    }
    return [
        _row(study, name, tuple(records.get(name, ())), {k: v[name] for k, v in columns.items()})
        for name in names
    ]


def _row(
    study: StudyConfig, name: str, runs: tuple[RunRecord, ...], columns: dict[str, Quantity]
) -> Row:
    config = study.run(name, study.seeds[0])
    memory, kind = _memory(runs)
    return Row(
        name=name,
        baseline=name == study.baseline,
        asked=len(study.seeds),
        layer=config.layer,
        transform=config.transform,
        records=runs,
        step_seconds=_mean(runs, "step_seconds"),
        memory_bytes=memory,
        memory_kind=kind,
        added_macs_dense=_mean(runs, "added_macs_dense"),
        added_adds_fast=_mean(runs, "added_adds_fast"),
        logit_shift=_mean(runs, "logit_shift"),
        joules_per_image=_image_joules(runs, columns["energy"]),
        **columns,
    )


def _quantities(
    study: StudyConfig,
    records: Mapping[str, Sequence[RunRecord]],
    metric: Metric,
    margin: float,
) -> dict[str, Quantity]:
    """The means of one metric and, where both sides have values, the comparisons."""
    known = {v.name: _known(metric, records.get(v.name, ())) for v in study.variants}
    measured = {
        name: records[name] for name, values in known.items() if values and name != study.baseline
    }
    comparisons: Mapping[str, Comparison] = {}
    if measured and known[study.baseline] and _one_scope(metric, known, records):
        comparisons = compare_all(records[study.baseline], measured, metric=metric, margin=margin)
    return {
        name: Quantity(
            interval=mean_interval(values) if values else None,
            comparison=comparisons.get(name),
            **_remarks(metric, records.get(name, ()), bool(values)),
        )
        for name, values in known.items()
    }


def _known(metric: Metric, runs: Sequence[RunRecord]) -> list[float]:
    """The values of one metric; none at all where they are energies of unlike scopes."""
    if metric == "energy" and len(scopes(runs)) > 1:
        return []
    return [value for run in runs if (value := _READERS[metric](run)) is not None]


def _one_scope(
    metric: Metric, known: Mapping[str, list[float]], records: Mapping[str, Sequence[RunRecord]]
) -> bool:
    """Only energies of one scope may be compared; the other metrics have none."""
    runs = [run for name, values in known.items() if values for run in records[name]]
    return metric != "energy" or len(scopes(runs)) <= 1


def scopes(runs: Iterable[RunRecord]) -> list[str]:
    """What the known energies of some runs were summed over (GPUs, packages), each once."""
    return sorted({str(run.energy_of("run").get("scope")) for run in runs if _energy(run)})


def _remarks(metric: Metric, runs: Sequence[RunRecord], known: bool) -> dict[str, Any]:
    """Why a quantity is missing, or what kind of energy it is."""
    if not runs:
        return {"reason": "no finished run"}
    if metric != "energy":
        return {} if known else {"reason": f"no finished run recorded its {metric}"}
    if len(scopes(runs)) > 1:
        return {"reason": f"its runs were measured at unlike scopes ({', '.join(scopes(runs))})"}
    if not known:
        reasons = {_why_unknown(run) for run in runs}
        return {"reason": "; ".join(sorted(reasons))}
    return {
        "estimated": any(run.energy_of("run").get("status") == "estimated" for run in runs),
        "scope": scopes(runs)[0],
    }


def _why_unknown(run: RunRecord) -> str:
    if run.resumed:
        return "the run was resumed, so its energy includes work done twice"
    return str(run.energy_of("run").get("reason") or "no reason was recorded")


def _accuracy(record: RunRecord) -> float | None:
    return record.metric("test_accuracy")


def _time(record: RunRecord) -> float | None:
    """A resumed run did some of its work twice, so neither its time nor its energy counts."""
    return None if record.resumed else record.metric("train_seconds")


def _energy(record: RunRecord) -> float | None:
    value = record.energy_of("run").get("joules")
    return None if record.resumed or not _finite(value) else float(value)


_READERS: Mapping[Metric, Callable[[RunRecord], float | None]] = {
    "accuracy": _accuracy,
    "time": _time,
    "energy": _energy,
}


def _image_joules(runs: Sequence[RunRecord], energy: Quantity) -> float | None:
    """The mean over the runs that `energy` stands on; None where that is unknown."""
    if energy.interval is None:
        return None
    return _mean([run for run in runs if _energy(run) is not None], "joules_per_image")


def _memory(runs: Sequence[RunRecord]) -> tuple[float | None, str | None]:
    """The highest peak: of the GPU's allocator where there was one, else of the process."""
    for key, kind in (("peak_allocated_bytes", "GPU, allocated"), ("peak_rss_bytes", "process")):
        found = [float(value) for run in runs if _finite(value := run.memory.get(key))]
        if found:
            return max(found), kind
    return None, None


def _mean(runs: Sequence[RunRecord], name: str) -> float | None:
    found = [value for run in runs if (value := run.metric(name)) is not None]
    return fmean(found) if found else None


def _finite(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and math.isfinite(value)
