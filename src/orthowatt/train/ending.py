"""The end of a run: what is known then goes into its record, and the record into its folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..record import RunRecord
from . import checkpoint, records, segments
from .budget import exceeded
from .run import Run


def close(run: Run, status: str, reason: str | None = None) -> RunRecord:
    """Fill in what is known at the end, and write the record.

    What cannot be told any more (after an error of the device every call to it fails) stays
    unknown, with a warning. Raises `Unwritable` where the record cannot be written, and what the
    folder held is as it was.
    """
    with contextlib.suppress(Exception):  # a broken terminal must not cost the record
        run.progress.finish()
    record = run.record
    record.status, record.reason = status, reason
    with _told(record, "the peak memory"):
        peaks = run.memory_so_far(_can_be_asked(run, status))
        record.memory = peaks["memory"]
        if run.ranks.size > 1:
            record.settings["memory_by_rank"] = peaks["memory_by_rank"]
    record.energy = segments.after_a_kill(run.energy_before, {})  # at least that of earlier pieces
    with _told(record, "the energy since the last start"):
        record.energy = segments.joined(run.energy_before, _energy(run, status))
    if status == "finished" and (note := exceeded(run.config, dict(record.energy_of("run")))):
        record.warnings.append(note)
    with _told(record, "the energy meter"):
        record.settings["energy_meter"] = run.meter.provenance()
    if run.tail_lost:
        record.warnings.append(segments.LOST)
    record.metrics["epochs_done"] = len(record.epochs)
    images = records.step_images(run.config, record.data)
    done = sum(entry.get("steps", run.steps) for entry in record.epochs) * images
    record.metrics.update(records.time_metrics(run.clock, record.energy, images, run.tail_lost))
    record.metrics.update(records.energy_metrics(record.energy, done))
    if run.ranks.first:
        _write(run)
    return record


def _write(run: Run) -> None:
    """The record first, for it may fit where nothing else does; the samples of power last."""
    with checkpoint.writing(run.directory / "record.json"):
        run.record.save(run.directory)
    if run.record.status == "finished":
        with contextlib.suppress(OSError):  # what is left over does no harm
            checkpoint.forget_previous(run.directory)
            run.journal.unlink(missing_ok=True)
    try:
        run.meter.save_samples(run.directory / "power.npz")
    except Exception as error:
        run.record.warnings.append(f"power.npz was not written ({_short(error)})")
        with contextlib.suppress(OSError):
            run.record.save(run.directory)


def _can_be_asked(run: Run, status: str) -> bool:
    """Whether the other processes come to their end as this one does."""
    return status == "finished" or run.agreed


def _energy(run: Run, status: str) -> dict[str, Any]:
    """This piece's windows, over all processes."""
    own = run.meter.to_dict()
    if run.ranks.size == 1:
        return own
    if _can_be_asked(run, status):
        with _told(run.record, "the energy of the other processes"):
            return segments.over_ranks(run.ranks.gather(own))
    return segments.without_others(own)  # they may be gone: nobody can be asked


@contextlib.contextmanager
def _told(record: RunRecord, what: str) -> Iterator[None]:
    """What fails in the block becomes a warning: it must not hide how the run ended."""
    try:
        yield
    except Exception as error:
        record.warnings.append(f"{what} could not be told at the end ({_short(error)})")


def _short(error: Exception) -> str:
    said = getattr(error, "strerror", None) or str(error).strip()
    return (said or type(error).__name__).splitlines()[0]
