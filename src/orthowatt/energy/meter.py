"""`EnergyMeter`: named windows over every energy counter that this process may read."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

from ..errors import InputError, InputTypeError
from .primary import Scope, check_known, check_scope
from .rapl import POWERCAP_ROOT
from .sensors import Sensors
from .window import Measured, Window


class EnergyMeter:
    """Measures joules over named windows from NVML's and RAPL's counters; never invents any.

    - `scope`: what `window.energy` sums. None: the GPUs that this process uses if there are any,
      else the CPU packages. "gpu": the GPUs that CUDA shows here. "cpu": the CPU packages (GPUs
      are left alone). "visible": the GPUs shown if any, else the CPU packages. Or scopes by name.
    - `align`: read GPU counters just after a tick at both ends of a window (a wait of at most two
      ticks, 40–200 ms): the bound then rests on the gap between two polls instead of the tick.
      Windows above 30 s wait at their start only.
    - `powercap_root`: where RAPL's files are.

    Without a readable sensor every window still works: its energies are unknown, with a reason.
    CUDA is never started; it is synchronised at the edges if torch runs it in this process.
    Raises `InputError` for a scope that no sensor has.

    >>> with EnergyMeter() as meter, meter.window("train") as window:
    ...     _ = sum(range(100_000))
    >>> window.energy.status in ("measured", "unknown"), window.seconds > 0
    (True, True)
    >>> window.energy.joules is not None or bool(window.energy.reason)
    True
    """

    def __init__(
        self,
        scope: Scope = None,
        *,
        align: bool = True,
        powercap_root: Path | str = POWERCAP_ROOT,
    ) -> None:
        self.scope = check_scope(scope)
        self._align = align
        self._powercap_root = powercap_root
        self._lock = threading.Lock()
        self._closed = False
        self._open: dict[int, Window] = {}
        self._sums: dict[str, Measured] = {}
        self._sensors = self._open_sensors()

    def _open_sensors(self) -> Sensors:
        sensors = Sensors(gpu=self.scope != "cpu", powercap_root=self._powercap_root)
        check_known(self.scope, sensors)
        return sensors

    def window(self, name: str, *, align: bool | None = None) -> Window:
        """A new window, to be used in a `with` block; windows of one name add up in `sums`.

        `align` overrides the meter's setting: False where a wait of some ticks does more harm
        than a wider bound, as in windows below a second.
        """
        if not isinstance(name, str) or not name:
            raise InputTypeError(f"a window's name is {name!r}, but must be a word such as 'train'")
        return Window(self, name, self._align if align is None else align)

    @property
    def sensors(self) -> Sensors:
        """The open sensors; a forked process opens its own."""
        if self._closed:
            raise InputError("the meter is closed; make a new EnergyMeter")
        if self._sensors.process != os.getpid():
            self._lock = threading.Lock()  # the parent's may have been held during the fork
            self._open, self._sums = {}, {}
            self._sensors = self._open_sensors()
        return self._sensors

    def opened(self, window: Window) -> None:
        """A window of this meter has begun."""
        with self._lock:
            self._open[id(window)] = window

    def ended(self, window: Window) -> None:
        """A window of this meter has ended; its result joins the sum of its name."""
        if self._sensors.process != os.getpid():
            return
        with self._lock:
            if self._open.pop(id(window), None) is not None:
                before = self._sums.get(window.name)
                now = window.measured
                self._sums[window.name] = now if before is None else before + now

    @property
    def sums(self) -> dict[str, Measured]:
        """The closed windows by name; those of one name (an epoch's "train") added up."""
        with self._lock:
            return dict(self._sums)

    def to_dict(self) -> dict[str, Any]:
        """`sums` as JSON-ready values, as a run's record keeps them."""
        return {name: measured.to_dict() for name, measured in self.sums.items()}

    def provenance(self) -> dict[str, Any]:
        """How this meter measures: every sensor, readable or why not, its tick and power cap."""
        sensors = self.sensors
        counters = {**sensors.gpus, **sensors.rapl.counters}
        facts = {
            scope: {
                "method": counter.facts.method,
                "power_cap_watts": counter.facts.cap_watts,
                "power_cap_assumed": counter.facts.cap_assumed,
                "power_limit_watts": counter.limit_watts,
                "lag_seconds": counter.lag_seconds,
            }
            for scope, counter in counters.items()
        }
        return {
            "scope": list(self.scope) if isinstance(self.scope, tuple) else self.scope,
            "align": self._align,
            "clock": "monotonic",
            "sensors": [r.to_dict() | facts.get(r.scope, {}) for r in sensors.reports()],
        }

    def close(self) -> None:
        """End the windows that are still open, then give the sensors back; twice is once."""
        if self._closed:
            return
        for window in list(self._open.values()):
            window.close()
        self._closed = True
        if self._sensors.process == os.getpid():
            self._sensors.close()

    def __enter__(self) -> EnergyMeter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
