"""`orthowatt bench meter`: the meter against itself and nvidia-smi on a real GPU."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ..energy import EnergyMeter
from ..errors import InputError, OrthowattError
from ..record import dumps, write_atomic
from .load import Load, MatrixProducts
from .meter_checks import BEFORE_CUDA, WITH_CUDA, Bench, Check

RESULTS = Path("benchmarks/results")
#: CUDA's start and the load's warm-up, in seconds.
_START_SECONDS = 15.0


@dataclass
class Result:
    """One check: pass, fail, or not run with the reason; its numbers are there in any case."""

    name: str
    criterion: str
    outcome: Literal["pass", "fail", "not run"]
    reason: str | None = None
    numbers: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON-ready values."""
        return dict(vars(self))


def run(
    *,
    minutes: float = 5.0,
    out: Path | None = None,
    only: str = "",
    load: Load | None = None,
    scale: float = 1.0,
    about: Callable[[], dict[str, Any]] = dict,
    progress: Callable[[Result], None] | None = None,
) -> dict[str, Any]:
    """Run the checks, the most valuable first, until `minutes` are over; the results as a dict.

    - `out`: the file that holds what is finished after every check.
    - `only`: only the checks whose name contains this, and the two idle powers.
    - `load`: what draws the power; matrix products by default. `scale` shortens every time.
    - `about`: device, commit and command, asked for once CUDA may be started.

    Raises `OrthowattError` where no GPU can be measured, `InputError` for no time.
    """
    if not minutes > 0:
        raise InputError(f"minutes is {minutes!r}, but must be above 0")
    deadline = time.monotonic() + 60.0 * minutes
    with EnergyMeter(scope=_scope()) as meter:
        scope = str((meter.scope or ("",))[0])
        bench = Bench(meter, scope, load or MatrixProducts(), scale)
        document: dict[str, Any] = {
            "what": "meter",
            "gpu": {"scope": scope, "name": bench.gpu.device.name},
            "minutes": minutes,
            "scale": scale,
            **about(),
            "meter": meter.provenance(),
            "load": None,
            "checks": [],
        }

        def keep(result: Result) -> None:
            document["checks"].append(result.to_dict())
            if out is not None:
                write_atomic(out, dumps(document, indent=1) + "\n")
            if progress is not None:
                progress(result)

        _all(bench, [c for c in BEFORE_CUDA if _wanted(c, only)], deadline, keep)
        later = [check for check in WITH_CUDA if _wanted(check, only)]
        if later and time.monotonic() + _START_SECONDS * scale > deadline:
            for check in later:
                keep(_no_time(check))
            return document
        document["load"] = bench.load.start()
        _all(bench, later, deadline, keep)
        document["meter"] = meter.provenance()
    return document


def device_slug(name: str | None) -> str:
    """A GPU's model as a file's name has it.

    >>> device_slug("NVIDIA H100 80GB HBM3")
    'nvidia-h100-80gb-hbm3'
    """
    return re.sub(r"[^a-z0-9]+", "-", (name or "gpu").lower()).strip("-")


def default_out() -> Path:
    """Where the result goes: `benchmarks/results/<GPU>-meter.json`, beside a checkout's others.

    Raises `OrthowattError` where no GPU can be measured.
    """
    with EnergyMeter(scope=_scope(), sample=False) as meter:
        name = next(iter(meter.sensors.gpus.values())).device.name
    folder = RESULTS if RESULTS.is_dir() else Path()
    return folder / f"{device_slug(name)}-meter.json"


def _scope() -> tuple[str, ...]:
    """The first GPU that CUDA shows here, as a meter's scope."""
    with EnergyMeter(scope="gpu", sample=False) as meter:
        sensors = meter.sensors
        shown = [scope for scope in sensors.visible_gpus if scope in sensors.gpus]
        if shown and not sensors.seen.sure:
            raise OrthowattError(
                "the GPUs are of different models, so their numbers in CUDA are not known; set "
                "CUDA_DEVICE_ORDER=PCI_BUS_ID"
            )
        if shown and shown[0] == sensors.visible_gpus[0]:
            return (shown[0],)
        reports = [r for r in sensors.reports() if r.scope.startswith("gpu") and not r.readable]
    why = reports[0].reason if reports else "CUDA_VISIBLE_DEVICES hides them all"
    raise OrthowattError(
        f"bench meter needs an NVIDIA GPU whose energy can be read, and here is none ({why}); run "
        "it on a machine with one, see `orthowatt doctor`"
    )


def _wanted(check: Check, only: str) -> bool:
    return only in check.name or check.name.startswith("idle")


def _all(
    bench: Bench, checks: Sequence[Check], deadline: float, keep: Callable[[Result], None]
) -> None:
    for check in checks:
        left = deadline - time.monotonic()
        keep(_no_time(check) if check.seconds * bench.scale > left else _one(bench, check))


def _one(bench: Bench, check: Check) -> Result:
    began = time.monotonic()
    try:
        held, numbers, remark = check.run(bench)
    except OrthowattError as error:
        held, numbers, remark = False, {}, str(error)
    outcome = "not run" if held is None else "pass" if held else "fail"
    spent = time.monotonic() - began
    return Result(check.name, check.criterion, outcome, remark, numbers, spent)


def _no_time(check: Check) -> Result:
    reason = f"the time is over (it takes about {check.seconds:.0f} s); give more --minutes"
    return Result(check.name, check.criterion, "not run", reason)
