"""What the records of a claim come to: the figures as a page prints them, and whether it stands."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from orthowatt.record import RunRecord


def accuracy(records: list[RunRecord]) -> str:
    """Mean test accuracy, with the spread over seeds where there are several."""
    found = [value for record in records if (value := record.metric("test_accuracy")) is not None]
    if not found:
        return "no test accuracy"
    spread = f" ± {100 * statistics.stdev(found):.2f} (SD)" if len(found) > 1 else ""
    return f"{100 * statistics.fmean(found):.2f}{spread} %"


def energy(records: list[RunRecord]) -> str:
    """Mean energy of the whole run, or why it is unknown."""
    found = [record.energy_of("run") for record in records]
    if any(one.get("joules") is None for one in found):
        return "energy not measured"
    joules = [one["joules"] for one in found]
    bounds = [one["bound_joules"] for one in found]
    bound = f" ± {max(bounds) / 1e3:.2f}" if None not in bounds else ""
    return f"{statistics.fmean(joules) / 1e3:.2f}{bound} kJ a run"


def speed(records: list[RunRecord]) -> str:
    """Median images a second of training, over the runs that tell."""
    found = [value for r in records if (value := r.metric("images_per_second")) is not None]
    return f"{statistics.median(found):,.0f} images/s" if found else "speed not measured"


def on_gpu(record: RunRecord) -> bool:
    """Whether the run computed on a GPU."""
    return str(record.settings.get("device", "")).startswith("cuda")


def goal(least: float, kilojoules: float) -> Callable[[list[RunRecord]], str]:
    """Whether every run reached an accuracy within an energy, its bound included."""

    def judge(records: list[RunRecord]) -> str:
        found = [record.metric("test_accuracy") for record in records]
        if not all(value is not None and value >= least for value in found):
            return "not reached"
        energies = [record.energy_of("run") for record in records]
        joules = [one["joules"] for one in energies if one.get("joules") is not None]
        bounds = [one["bound_joules"] for one in energies if one.get("bound_joules") is not None]
        if len(joules) < len(records):
            return "accuracy reached; energy not measured"
        if not all(on_gpu(record) for record in records):
            return "accuracy reached; the energy is not a GPU's"
        limit = 1e3 * kilojoules
        if max(joules) > limit:
            return "not reached (energy)"
        if len(bounds) < len(records):
            return "reached by the reading; how far off that may be is unknown"
        worst = max(value + bound for value, bound in zip(joules, bounds, strict=True))
        return "reached" if worst <= limit else "not settled: the energy's bound passes the limit"

    return judge


def about(paper: float) -> Callable[[list[RunRecord]], str]:
    """How the mean accuracy lies to the paper's figure, which rests on one run of unknown seed.

    With several seeds a difference beyond three standard errors is one; with one seed nobody knows
    how far two runs lie apart.
    """

    def judge(records: list[RunRecord]) -> str:
        found = [value for r in records if (value := r.metric("test_accuracy")) is not None]
        if not found:
            return ""
        points = 100 * (statistics.fmean(found) - paper)
        told = f"{points:+.1f} points to the paper's"
        if len(found) < 2:
            return f"{told}; one seed"
        error = 100 * statistics.stdev(found) / len(found) ** 0.5
        return f"{told}, {'another value' if abs(points) > 3 * error else 'no clear difference'}"

    return judge


def at_least(least: float) -> Callable[[list[RunRecord]], str]:
    """Whether the mean accuracy reached a figure."""

    def judge(records: list[RunRecord]) -> str:
        found = [value for r in records if (value := r.metric("test_accuracy")) is not None]
        return "reached" if found and statistics.fmean(found) >= least else "not reached"

    return judge
