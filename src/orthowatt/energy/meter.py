"""`EnergyMeter`: named windows over every energy counter that this process may read."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError, InputTypeError, check_choice
from .measured import Measured
from .nvml import Nvml
from .primary import Scope, check_known, check_scope
from .quantity import Energy
from .rapl import POWERCAP_ROOT
from .samples import save_samples
from .segments import Journal
from .sensors import HERTZ, Sensors, describe
from .trace import Trace
from .window import Window

if TYPE_CHECKING:
    from .idle import Idle


class EnergyMeter:
    """Measures joules over named windows from NVML's and RAPL's counters; never invents any.

    - `scope`: what `window.energy` sums. None: the GPUs that this process uses if there are any,
      else the CPU packages. "gpu": the GPUs that CUDA shows here. "cpu": the CPU packages (GPUs
      are left alone). "visible": the GPUs shown if any, else the CPU packages. Or scopes by name.
    - `align`: read GPU counters just after a tick at both ends of a window (a wait of at most two
      ticks, 40–200 ms): the bound then rests on the gap between two polls instead of the tick.
      Windows above 30 s wait at their start only.
    - `sample`: polls of GPU power and counter a second beside open windows (True: 10; False:
      none; a number: that many); temperature, clocks, memory and other processes once a second.
    - `estimate`: "power-limit" puts an upper bound, labelled as an estimate, where nothing could
      be measured; None leaves it unknown.
    - `powercap_root`: where RAPL's files are; `nvml`: a session to use instead of the machine's.

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
        sample: bool | float = True,
        estimate: Literal["power-limit"] | None = None,
        powercap_root: Path | str = POWERCAP_ROOT,
        nvml: Nvml | None = None,
    ) -> None:
        self.scope = check_scope(scope)
        self._align = align
        self._hertz = _hertz(sample)
        if estimate is not None:
            check_choice("estimate", estimate, ("power-limit",))
        self._estimate = estimate
        self._nvml = nvml
        self._idle_watts: dict[str, float] = {}
        self._journal: Journal | None = None
        self._powercap_root = powercap_root
        self._lock = threading.RLock()
        self._closed = False
        self._open: dict[int, Window] = {}
        self._overlapping: set[str] = set()
        self._sums: dict[str, Measured] = {}
        self._sensors = self._open_sensors()

    def _open_sensors(self) -> Sensors:
        sensors = Sensors(
            gpu=self.scope != "cpu",
            powercap_root=self._powercap_root,
            nvml=self._nvml,
            hertz=self._hertz,
        )
        check_known(self.scope, sensors)
        return sensors

    def window(
        self, name: str, *, align: bool | None = None, parent: Window | None = None
    ) -> Window:
        """A new window, to be used in a `with` block; windows of one name add up in `sums`.

        `align` overrides the meter's setting: False where a wait of some ticks does more harm
        than a wider bound, as in windows below a second. `parent`: the open window that this one
        is a part of.
        """
        if not isinstance(name, str) or not name:
            raise InputTypeError(f"a window's name is {name!r}, but must be a word such as 'train'")
        return Window(self, name, self._align if align is None else align, parent)

    def set_idle(self, idle_watts: Mapping[str, float]) -> None:
        """Tell the idle power of scopes in W: a mean below half of it is flagged from now on.

        Raises `InputError` for a power that is not a positive number.
        """
        for scope, watts in idle_watts.items():
            if not (isinstance(watts, int | float) and 0 < watts < math.inf):
                raise InputError(
                    f"the idle power of {scope!r} is {watts!r}, but must be positive W"
                )
        self._idle_watts.update(idle_watts)
        self.sensors.set_idle(self._idle_watts)

    def idle(self, seconds: float = 10.0, *, settle: float = 0.0) -> Idle:
        """Measure what the devices draw with nothing running, for `seconds` after `settle` more."""
        from .idle import measure_idle

        return measure_idle(self, seconds, settle=settle)

    @property
    def traces(self) -> dict[str, Trace]:
        """Every poll of each GPU so far, by scope."""
        return {scope: sampler.trace for scope, sampler in self.sensors.samplers.items()}

    def save_samples(self, path: Path | str) -> bool:
        """Write every poll of every GPU into an `.npz` file; False where there is none to write.

        Arrays `<scope>/fast/<column>` and `<scope>/slow/<column>` (float64, J, W, monotonic
        seconds, not-a-number where not told), and `wall_minus_monotonic` in seconds.
        """
        return save_samples(self.traces, Path(path))

    def journal(self, path: Path | str) -> None:
        """From now on append the readings to a file every second, so that a kill loses no more.

        Call it before the first window. `segments.read_segments` reads the file. Raises
        `InputError` where it cannot be written.
        """
        if self._open:
            raise InputError("a journal must be begun before the first window is opened")
        self._journal = Journal(Path(path), self.sensors, self.scope)

    def completed(self, energies: dict[str, Energy], seconds: float) -> dict[str, Energy]:
        """A window's energies, with estimates for unknown ones where the user asked for them."""
        if self._estimate is None:
            return energies
        from .estimate import fill

        return fill(energies, self._sensors, seconds)

    @property
    def sensors(self) -> Sensors:
        """The open sensors; a forked process opens its own."""
        if self._closed:
            raise InputError("the meter is closed; make a new EnergyMeter")
        if self._sensors.process != os.getpid():
            self._lock = threading.RLock()  # the parent's may have been held during the fork
            self._open, self._sums, self._overlapping = {}, {}, set()
            self._journal = None  # the file is the parent's
            self._sensors = self._open_sensors()
            self._sensors.set_idle(self._idle_watts)
        return self._sensors

    def opened(self, window: Window) -> None:
        """A window of this meter has begun."""
        with self._lock:
            if any(other.name == window.name for other in self._open.values()):
                self._overlapping.add(window.name)
            self._open[id(window)] = window
        if self._journal is not None:
            self._journal.opened(window)

    def ended(self, window: Window) -> None:
        """A window of this meter has ended; its result joins the sum of its name."""
        if self._sensors.process != os.getpid():
            return
        with self._lock:
            if self._open.pop(id(window), None) is not None:
                before = self._sums.get(window.name)
                now = window.measured
                self._sums[window.name] = now if before is None else before + now
        if self._journal is not None:
            self._journal.closed(window)

    @property
    def sums(self) -> dict[str, Measured]:
        """The closed windows by name; those of one name (an epoch's "train") added up.

        Where two of a name were open at once the sum is flagged "counted-twice".
        """
        with self._lock:
            return {
                name: measured.flagged("counted-twice") if name in self._overlapping else measured
                for name, measured in self._sums.items()
            }

    def to_dict(self) -> dict[str, Any]:
        """`sums` as JSON-ready values, as a run's record keeps them."""
        return {name: measured.to_dict() for name, measured in self.sums.items()}

    def provenance(self) -> dict[str, Any]:
        """How this meter measures: every sensor, readable or why not, its tick and power cap."""
        return {
            "scope": list(self.scope) if isinstance(self.scope, tuple) else self.scope,
            "align": self._align,
            "clock": "monotonic",
            "estimate": self._estimate,
            "journal_problem": self._journal.problem if self._journal else None,
            **describe(self.sensors),
        }

    def close(self) -> None:
        """End the windows that are still open, then give the sensors back; twice is once."""
        if self._closed:
            return
        for window in list(self._open.values()):
            window.close()
        if self._journal is not None and self._sensors.process == os.getpid():
            self._journal.close()
        self._closed = True
        if self._sensors.process == os.getpid():
            self._sensors.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """What a spawned worker gets is a meter of its own with these settings."""
        return _remade, (
            self.scope, self._align, self._hertz, self._estimate, os.fspath(self._powercap_root),
        )  # fmt: skip

    def __enter__(self) -> EnergyMeter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _remade(scope: Scope, align: bool, hertz: float, estimate: Any, root: str) -> EnergyMeter:
    return EnergyMeter(scope, align=align, sample=hertz, estimate=estimate, powercap_root=root)


def _hertz(sample: bool | float) -> float:
    if sample is True:
        return HERTZ
    if not isinstance(sample, int | float) or not 0 <= sample <= 1000:
        raise InputError(
            f"sample is {sample!r}, but must be True, False, or polls a second up to 1000"
        )
    return float(sample)
