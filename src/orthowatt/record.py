"""The record of a run: what was asked, what ran, what came out; JSON, without torch."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .config import RunConfig, StudyConfig
from .errors import DataError

SCHEMA_VERSION = 1
#: Raised whenever the same configuration may give another result; older records show as stale.
NUMERICS_VERSION = 1

STATUSES = ("finished", "failed", "interrupted")


@dataclass
class RunRecord:
    """One training run, as stored in `record.json`.

    `metrics` holds numbers by name with units in the names (`test_accuracy` a fraction,
    `train_seconds`, `step_seconds`, `macs`, `added_macs_dense`, `logit_shift`); a number that was
    not measured is None. `energy` maps a window's name (`run`, `train`, `eval`) to
    `{"energy": …, "parts": {scope: …}}`, each `…` an `Energy` in JSON form.

    >>> record = RunRecord(RunConfig(transform="wht"), metrics={"test_accuracy": 0.975})
    >>> record.metric("test_accuracy"), record.metric("train_seconds")
    (0.975, None)
    >>> record.energy_of("train")["reason"]
    "no window 'train' was recorded"
    >>> RunRecord.from_dict(record.to_dict()) == record
    True
    """

    config: RunConfig
    status: str = "finished"
    reason: str | None = None
    variant: str | None = None
    started: str = ""
    schema_version: int = SCHEMA_VERSION
    numerics_version: int = NUMERICS_VERSION
    data: dict[str, Any] = field(default_factory=dict)
    code: dict[str, Any] = field(default_factory=dict)
    hardware: dict[str, Any] = field(default_factory=dict)
    software: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, float | None] = field(default_factory=dict)
    energy: dict[str, dict[str, Any]] = field(default_factory=dict)
    memory: dict[str, float | None] = field(default_factory=dict)
    layers: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    signatures: list[dict[str, Any]] = field(default_factory=list)  # of failures, with a remedy
    resumed: bool = False
    epochs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def device(self) -> str:
        """The slug of the device that ran it; runs are compared within one device only."""
        return str(self.hardware.get("slug", "unknown"))

    @property
    def stale(self) -> bool:
        """Made by another version of the numerics than this program's."""
        return self.numerics_version != NUMERICS_VERSION

    def metric(self, name: str) -> float | None:
        """A metric as a finite number, or None when it is absent or not finite."""
        value = self.metrics.get(name)
        return float(value) if value is not None and math.isfinite(value) else None

    def energy_of(self, window: str = "train") -> Mapping[str, Any]:
        """The primary energy of a window in JSON form; unknown with a reason when absent."""
        found = self.energy.get(window, {}).get("energy")
        if found is not None:
            return found
        return {"joules": None, "status": "unknown", "reason": f"no window {window!r} was recorded"}

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON-ready values; epochs are kept apart in `epochs.jsonl`."""
        values = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.name not in ("config", "epochs")
        }
        return {"config": self.config.to_dict(), "config_hash": self.config.hash, **values}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], epochs: list[dict[str, Any]] | None = None):
        """Rebuild a record; `DataError` when the schema is newer or a key is missing."""
        version = values.get("schema_version")
        if not isinstance(version, int) or version > SCHEMA_VERSION:
            raise DataError(
                f"the record has schema version {version!r}, this program reads up to "
                f"{SCHEMA_VERSION}; use a newer orthowatt"
            )
        known = {f.name for f in dataclasses.fields(cls)} - {"config", "epochs"}
        if "config" not in values or values.get("status") not in STATUSES:
            raise DataError("the record lacks its config or a valid status; run it again")
        kept = {key: value for key, value in values.items() if key in known}
        return cls(config=RunConfig.from_dict(values["config"]), epochs=epochs or [], **kept)

    def save(self, directory: Path) -> None:
        """Write `epochs.jsonl`, then `record.json`, each whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        lines = "".join(dumps(epoch) + "\n" for epoch in self.epochs)
        write_atomic(directory / "epochs.jsonl", lines)
        write_atomic(directory / "record.json", dumps(self.to_dict(), indent=2) + "\n")

    @classmethod
    def load(cls, directory: Path) -> RunRecord:
        """Read a run's folder; `DataError` names the file and what is wrong with it."""
        path = Path(directory) / "record.json"
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            return cls.from_dict(values, list(read_epochs(Path(directory))))
        except FileNotFoundError as error:
            raise DataError(f"{directory} holds no record.json; is it a run's folder?") from error
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
            raise DataError(
                f"{path} cannot be read ({error}); delete the folder and run it again"
            ) from error


@dataclass
class Study:
    """A study's folder, read: its configuration, the readable records and what could not be read.

    `notes` holds one sentence for each run that is missing from `records`, so that no reader
    mistakes an unreadable run for one that was never asked for.
    """

    directory: Path
    config: StudyConfig
    records: list[RunRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def of_variant(self, name: str) -> list[RunRecord]:
        """The records of one variant, by seed."""
        found = [record for record in self.records if record.variant == name]
        return sorted(found, key=lambda record: record.config.seed)

    @classmethod
    def load(cls, directory: Path) -> Study:
        """Read `study.json` and every `runs/*/record.json`; `DataError` when there is no study."""
        directory = Path(directory)
        path = directory / "study.json"
        try:
            config = StudyConfig.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise DataError(
                f"{directory} holds no study.json; give the folder that "
                "`orthowatt study … --out DIR` or `orthowatt demo` wrote"
            ) from error
        except (json.JSONDecodeError, UnicodeDecodeError, TypeError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        study = cls(directory, config)
        for folder in sorted((directory / "runs").glob("*")):
            if not (folder / "record.json").exists():
                continue
            try:
                study.records.append(RunRecord.load(folder))
            except DataError as error:
                study.notes.append(str(error))
        return study


def read_epochs(directory: Path) -> Iterator[dict[str, Any]]:
    """The finished epochs of a run, in order; a torn last line is left out."""
    path = directory / "epochs.jsonl"
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            return


def dumps(value: Any, indent: int | None = None) -> str:
    """Strict JSON: NaN and infinity become null, for no reader of JSON has to know them."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "to_dict"):
        return _finite(value.to_dict())
    return value


def write_atomic(path: Path, content: str | bytes | memoryview) -> None:
    """Write to a temporary name beside `path`, fsync, rename: a reader sees old or new, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)  # mkstemp's 0600 would hide a shared study from its other readers
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
