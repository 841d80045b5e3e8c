"""The energy of a run that was done in several pieces: every piece counts, work redone too."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..energy import Energy, Measured
from ..energy.rapl import is_inner
from ..energy.segments import read_segments, total
from .checkpoint import Checkpoint

#: Windows by name in the JSON form of `EnergyMeter.to_dict()`.
Windows = Mapping[str, Any]

#: Windows that lie inside others or around them: adding them up would count energy twice.
NESTED = ("data", "epoch", "warm-up")

LOST = "the run was stopped without warning, and what it used after its last epoch is not known"
OTHERS = "the run failed, and what its other processes used is not known"


def joined(before: Windows, now: Windows) -> dict[str, Any]:
    """The windows of earlier pieces and of this one, added up by name."""
    names = dict.fromkeys([*before, *now])
    return {
        name: _sum([windows[name] for windows in (before, now) if name in windows])
        for name in names
    }


def after_a_kill(before: Windows, now: Windows) -> dict[str, Any]:
    """The windows of a piece that could not end: unknown, with what is known as the floor.

    `before` are the pieces before it, `now` its own windows up to its last checkpoint. Its second
    `run` never closed, so the first, with those that lie in the second side by side, is the floor.
    """
    own = {}
    if now:
        side_by_side = [window for name, window in now.items() if name not in NESTED]
        own = {**now, "run": _sum(side_by_side)}
    return {name: _without(window, LOST) for name, window in joined(before, own).items()}


def killed(journal: Path, saved: Checkpoint | None) -> dict[str, Any] | None:
    """The windows of a run whose last process ended without a record; None where it never began.

    They come from the journal of readings, which loses a second at most; without one, from the
    last checkpoint.
    """
    found = total(read_segments(journal))
    if found:
        return {
            name: _without(measured.to_dict(), LOST) if name == "run" else measured.to_dict()
            for name, measured in found.items()
        }
    return None if saved is None else after_a_kill(saved.energy_before, saved.energy_now)


def over_ranks(pieces: list[Windows]) -> dict[str, Any]:
    """The windows of processes that ran side by side, by name: the sum over their own devices.

    The primary energy is the sum over the primary scopes of all processes, each scope once: a GPU
    is told by its UUID, as the process says that uses it, and what a machine has once (its CPU
    packages) counts once. Seconds are those of the slowest.
    """
    names = dict.fromkeys(name for piece in pieces for name in piece)
    return {name: _beside([piece[name] for piece in pieces if name in piece]) for name in names}


def without_others(own: Windows) -> dict[str, Any]:
    """The windows of this process where the others can no longer be asked: a floor."""
    return {name: _without(window, OTHERS) for name, window in own.items()}


def _beside(windows: list[Mapping[str, Any]]) -> dict[str, Any]:
    measured = [Measured.from_dict(window) for window in windows]
    parts: dict[str, Energy] = {}
    primary: dict[str, Energy] = {}
    for one in measured:
        own = one.energy.scope.split("+")
        for scope, part in one.energies.items():
            parts.setdefault(scope, part)
            if scope in own:
                primary.setdefault(scope, part)
        if not any(scope in one.energies for scope in own):
            primary.setdefault(one.energy.scope, one.energy)  # no sensor: why
    parts |= {scope: part for scope, part in primary.items() if scope in parts}
    whole = [part for scope, part in parts.items() if not is_inner(scope)]
    energy = sum(list(primary.values())[1:], next(iter(primary.values())))
    return Measured(
        max(one.seconds for one in measured),
        dict(sorted(parts.items())),
        energy,
        sum(whole[1:], whole[0]) if whole else energy,
        max(one.windows for one in measured),
        {scope: stats for one in reversed(measured) for scope, stats in one.devices.items()},
    ).to_dict()


def _sum(windows: list[Mapping[str, Any]]) -> dict[str, Any]:
    return functools.reduce(Measured.__add__, map(Measured.from_dict, windows)).to_dict()


def _without(window: Mapping[str, Any], reason: str) -> dict[str, Any]:
    measured = Measured.from_dict(window)
    return Measured(
        measured.seconds,
        {scope: _floor(part, reason) for scope, part in measured.energies.items()},
        _floor(measured.energy, reason),
        _floor(measured.total, reason),
        measured.windows,
        measured.devices,
    ).to_dict()


def _floor(energy: Energy, reason: str) -> Energy:
    return energy + Energy.unknown(reason, energy.scope)
