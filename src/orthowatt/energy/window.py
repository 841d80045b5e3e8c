"""A measured stretch of time: what every counter gained between its two edges."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .counter import Reading, energy_between
from .cuda import synchronize
from .device_stats import DeviceStats, device_stats
from .measured import Measured
from .primary import primary_energy, primary_scopes
from .quantity import Energy
from .rapl import is_inner
from .sensors import Sensors

if TYPE_CHECKING:
    from .idle import Idle
    from .meter import EnergyMeter

#: Waits for a tick that take more than this part of the measured time are flagged.
_WAIT_SHARE = 0.05
#: The end of a longer window needs no tick's edge: the tick is a small part of it.
_LONG_SECONDS = 30.0


class Window:
    """One window of an `EnergyMeter`: a context manager, or `open()` and `close()` by hand.

    Windows may nest, overlap and run in several threads. Once closed, `energies` holds the
    energy of each scope, `energy` the primary one, `total` the sum of all parts, `seconds` the
    time of the body. An exception closes the window and goes on.

    `window(name)` opens a part of this one (run → epoch → phase): parts that follow each other
    without a gap add up to the whole within a tick. Closing a window closes its open parts.
    """

    def __init__(
        self, meter: EnergyMeter, name: str, align: bool, parent: Window | None = None
    ) -> None:
        self.name = name
        self.parent = parent
        self.parts: list[Window] = []
        self._meter = meter
        self._align = align
        self._process = os.getpid()
        self._sensors: Sensors | None = None
        self._start: dict[str, Reading] = {}
        self._began = 0.0
        self._used: list[str] = []
        self._flags: tuple[str, ...] = ()
        self._measured: Measured | None = None

    def open(self) -> Window:
        """Wait for queued GPU work, read every counter, begin."""
        if self._sensors is not None:
            raise InputError(f"window {self.name!r} was opened before; take a new one")
        sensors = self._meter.sensors
        self._process = os.getpid()
        self._synchronize()
        self._used = sensors.used(ask_driver=False)
        sensors.keep()
        try:
            self._start = sensors.read(align=self._align)
        except BaseException:  # Ctrl-C while it waits for a tick
            sensors.release()
            raise
        self._began = sensors.clock.now()
        self._sensors = sensors
        if self.parent is not None:
            self.parent.parts.append(self)
        self._meter.opened(self)
        return self

    def window(self, name: str, *, align: bool | None = None) -> Window:
        """A new window that is a part of this one; `align` as in `EnergyMeter.window`."""
        return self._meter.window(name, align=self._align if align is None else align, parent=self)

    @property
    def path(self) -> str:
        """The names from the outermost window to this one, as in "run/epoch/train"."""
        return self.name if self.parent is None else f"{self.parent.path}/{self.name}"

    def close(self) -> Window:
        """Wait for queued GPU work, read every counter, end; closing twice does nothing."""
        sensors = self._opened()
        if self._measured is not None:
            return self
        if os.getpid() != self._process:
            return self._give_up("the window was opened in another process than it was closed in")
        self._close_parts()
        try:
            self._synchronize()
            body = sensors.clock.now() - self._began
            align = self._align and body < _LONG_SECONDS
            end = sensors.read(align=align, ends=self._began)
            used = list(dict.fromkeys([*self._used, *sensors.used(ask_driver=True)]))
        except BaseException as error:
            self._give_up(f"the window's end could not be read ({type(error).__name__})")
            raise
        energies = self._energies(sensors, end)
        for scope, energy in energies.items():
            if energy.seconds is not None and energy.seconds - body > _WAIT_SHARE * energy.seconds:
                energies[scope] = energy.replace(flags=(*energy.flags, "edge-wait"))
        devices = self._devices(sensors, end, energies)
        self._settle(sensors, energies, body, used, devices)
        return self

    def _close_parts(self) -> None:
        for part in self.parts:
            if part._measured is None and part._process == os.getpid():
                part.close()

    def cancel(self) -> Window:
        """End without a measurement: every energy is unknown, with this as the reason."""
        self._opened()
        self._close_parts()
        return self if self._measured is not None else self._give_up("the window was cancelled")

    def __enter__(self) -> Window:
        return self.open()

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def measured(self) -> Measured:
        """The result; `InputError` while the window is open."""
        if self._measured is None:
            raise InputError(
                f"window {self.name!r} is not closed yet; read it after its `with` block, or use "
                "joules_so_far()"
            )
        return self._measured

    @property
    def energies(self) -> dict[str, Energy]:
        """The energy of each scope, known or not."""
        return self.measured.energies

    @property
    def energy(self) -> Energy:
        """The primary energy: the GPUs this process uses if any, else the CPU packages."""
        return self.measured.energy

    @property
    def total(self) -> Energy:
        """The sum of all parts that do not overlap; known only if every part is."""
        return self.measured.total

    def net(self, idle: Idle | Sequence[Idle]) -> Energy:
        """The primary energy less an idle power (`EnergyMeter.idle`), flagged "net"."""
        from .idle import net

        return net(self.energy, idle)

    @property
    def seconds(self) -> float:
        """Time of the window's body in seconds, waits for ticks excluded."""
        return self.measured.seconds

    @property
    def devices(self) -> dict[str, DeviceStats]:
        """What the sampler saw of each GPU by scope; empty where it was switched off."""
        return self.measured.devices

    def to_dict(self) -> dict[str, Any]:
        """Seconds, primary energy, total, parts and devices as JSON-ready values."""
        return self.measured.to_dict()

    @property
    def began(self) -> float:
        """When the body began, in monotonic seconds."""
        return self._began

    def readings(self) -> dict[str, Reading]:
        """The readings that the window began with, by scope."""
        return dict(self._start)

    def joules_so_far(self) -> float | None:
        """The primary energy up to now in joules, without waiting for anything; None if unknown.

        A reading for progress bars: it may be a tick old and has no bound.
        """
        sensors = self._opened()
        if self._measured is not None:
            return self.energy.joules
        if os.getpid() != self._process:
            return None
        used = list(dict.fromkeys([*self._used, *sensors.used(ask_driver=False)]))
        scopes = primary_scopes(self._meter.scope, sensors, used)
        energies = self._energies(sensors, sensors.read(align=False, only=scopes))
        return primary_energy(self._meter.scope, sensors, energies, used).joules

    def _opened(self) -> Sensors:
        if self._sensors is None:
            raise InputError(f"window {self.name!r} was never opened; use it in a `with` block")
        return self._sensors

    def _give_up(self, reason: str) -> Window:
        sensors = self._opened()
        body = sensors.clock.now() - self._began
        energies = {s: Energy.unknown(reason, s, seconds=body) for s in sensors.scopes}
        return self._settle(sensors, energies, body, self._used, {})

    def _devices(
        self, sensors: Sensors, end: Mapping[str, Reading], energies: dict[str, Energy]
    ) -> dict[str, DeviceStats]:
        """What was sampled between the two readings; what it shows is flagged in `energies`."""
        found = {}
        for scope, sampler in sensors.samplers.items():
            start, energy = self._start.get(scope), energies.get(scope)
            if start is None or energy is None or scope not in end:
                continue
            stats = device_stats(sampler.trace, start.seconds, end[scope].seconds, energy.joules)
            flags = energy.flags
            if stats.disagrees(energy.joules, energy.bound_joules):
                flags += ("integral-disagrees",)
            if stats.foreign_processes:
                flags += ("foreign-processes",)
            found[scope], energies[scope] = stats, energy.replace(flags=flags)
        return found

    def _settle(
        self,
        sensors: Sensors,
        energies: dict[str, Energy],
        body: float,
        used: Sequence[str],
        devices: dict[str, DeviceStats],
    ) -> Window:
        energies = self._meter.completed(energies, body)
        energy = primary_energy(self._meter.scope, sensors, energies, used)
        parts = [part for scope, part in energies.items() if not is_inner(scope)]
        total = sum(parts[1:], parts[0]) if parts else energy
        self._measured = Measured(body, energies, energy, total, devices=devices)
        if self._process == os.getpid():
            sensors.release()
        self._meter.ended(self)
        return self

    def _energies(self, sensors: Sensors, end: Mapping[str, Reading]) -> dict[str, Energy]:
        energies = {}
        for scope, reading in end.items():
            start = self._start.get(scope)
            if start is None:
                reason = f"{scope} was not watched when the window began; open a new window"
                energies[scope] = Energy.unknown(reason, scope)
                continue
            energy = energy_between(sensors.facts(scope), start, reading)
            energies[scope] = energy.replace(flags=energy.flags + self._flags)
        for scope, problem in sensors.problems.items():
            energies.setdefault(scope, Energy.unknown(problem.sentence, scope))
        return dict(sorted(energies.items()))

    def _synchronize(self) -> None:
        if synchronize() is not None:
            self._flags += ("not-synchronised",)
