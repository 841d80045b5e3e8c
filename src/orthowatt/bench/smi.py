"""Power as `nvidia-smi` tells it: a second reader of the same sensor, in a process of its own."""

from __future__ import annotations

import contextlib
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field

_EVERY_MS = 100
_FIELDS = ("power.draw.average", "power.draw")  # the second on drivers before the first came


@dataclass
class SmiPower:
    """Readings in W, filled in when the time is over; `problem` says why there are none."""

    watts: list[float] = field(default_factory=list)
    problem: str | None = None

    @property
    def mean_watts(self) -> float | None:
        """The mean over the readings; None without any."""
        return statistics.fmean(self.watts) if self.watts else None


@dataclass(frozen=True)
class Smi:
    """An `nvidia-smi` that tells a GPU's power, or why none does."""

    words: tuple[str, ...] = ()
    field_name: str | None = None
    problem: str | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[SmiPower]:
        """Read the GPU ten times a second while the block runs."""
        found = SmiPower()
        with tempfile.TemporaryFile("w+") as file:
            words = [*self.words, *_query(self.field_name or ""), f"--loop-ms={_EVERY_MS}"]
            process = subprocess.Popen(words, stdout=file)
            try:
                yield found
            finally:
                process.terminate()
                process.wait()
                file.seek(0)
                found.watts = [watts for line in file if (watts := _number(line)) is not None]
                if not found.watts:
                    found.problem = "nvidia-smi printed no reading in that time"


def open_smi(uuid: str | None) -> Smi:
    """Find `nvidia-smi` and the field by which it tells the power of a GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return Smi(problem="nvidia-smi is not installed")
    words = (program, f"--id={uuid}") if uuid else (program,)
    for name in _FIELDS:
        done = subprocess.run(
            [*words, *_query(name)], capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode == 0 and _number(done.stdout.partition("\n")[0]) is not None:
            return Smi(words, name)
    return Smi(problem="nvidia-smi tells no power of this GPU")


def _query(name: str) -> list[str]:
    return [f"--query-gpu={name}", "--format=csv,noheader,nounits"]


def _number(text: str) -> float | None:
    try:
        return float(text.strip())
    except ValueError:
        return None
