"""Which energy sensors this machine lets us read, why the others not, and what mends them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

from .rapl import POWERCAP_ROOT
from .sensors import SensorReport, Sensors

__all__ = ["SensorReport", "sensors", "verdict"]

_WAIT_SECONDS = 0.05


def sensors(powercap_root: Path | str = POWERCAP_ROOT) -> list[SensorReport]:
    """Every sensor, tried out: one that can be read but stands still counts as unreadable.

    At most 0.6 s. A kind of sensor that is missing has one report too.

    >>> reports = sensors()
    >>> all(report.readable or report.reason for report in reports)
    True
    """
    opened = Sensors(powercap_root=powercap_root)
    try:
        before = opened.read(align=False)
        time.sleep(_WAIT_SECONDS)
        after = opened.read(align=False)
        still = {
            scope
            for scope, reading in after.items()
            if reading.joules is not None and reading.joules == before[scope].joules
        }
        # a GPU's tick may be longer than this wait, but not than the one that timed it
        still -= {scope for scope, gpu in opened.gpus.items() if gpu.tick_seconds is not None}
        reports = [_judged(report, after, still) for report in opened.reports()]
        listed = {report.scope for report in reports}
        skipped = {s: p for s, p in opened.rapl.skipped.items() if s not in listed}
        return reports + [
            SensorReport(scope, scope, False, problem.text, problem.mend, "")
            for scope, problem in skipped.items()
        ]
    finally:
        opened.close()


def verdict(reports: Sequence[SensorReport]) -> str:
    """What the reports mean for a measurement here, in one sentence.

    >>> verdict([SensorReport("GPU 0", "gpu:A", False, "it is lost", "sudo reboot", "")])
    'No energy can be measured here; everything else runs, and joules read unknown.'
    """
    readable = [report for report in reports if report.readable]
    if not readable:
        return "No energy can be measured here; everything else runs, and joules read unknown."
    names = ", ".join(report.name for report in readable)
    if any(report.scope.startswith("gpu") for report in readable):
        return f"Energy can be measured: {names}; work on a GPU counts the GPUs, other the CPU."
    if any(report.scope.startswith("gpu:") for report in reports):
        return f"Only the CPU's energy can be measured ({names}); that of work on a GPU is unknown."
    return f"Energy can be measured: {names}."


def _judged(report: SensorReport, readings: dict, still: set[str]) -> SensorReport:
    if not report.readable:
        return report
    reason = readings[report.scope].problem
    if report.scope in still:
        reason = "the counter stands still, so it measures nothing (usual in virtual machines)"
    return report if reason is None else dataclasses.replace(report, readable=False, reason=reason)
