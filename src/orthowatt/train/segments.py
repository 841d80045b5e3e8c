"""The energy of a run that was done in several pieces: every piece counts, work redone too."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from ..energy import Energy, Measured

#: Windows by name in the JSON form of `EnergyMeter.to_dict()`.
Windows = Mapping[str, Any]

LOST = "the run was stopped without warning, and what it used after its last epoch is not known"


def joined(before: Windows, now: Windows) -> dict[str, Any]:
    """The windows of earlier pieces and of this one, added up by name."""
    names = dict.fromkeys([*before, *now])
    return {
        name: _sum([windows[name] for windows in (before, now) if name in windows])
        for name in names
    }


def after_a_kill(before: Windows, now: Windows) -> dict[str, Any]:
    """The windows of a piece that could not end: unknown, with what is known as the floor.

    `before` are the pieces before it, `now` its own windows up to its last checkpoint. Its `run`
    never closed, so the others, which lie inside it side by side, are the floor.
    """
    own = {**now, "run": _sum(list(now.values()))} if now else {}
    return {name: _without_tail(window) for name, window in joined(before, own).items()}


def _sum(windows: list[Mapping[str, Any]]) -> dict[str, Any]:
    return functools.reduce(Measured.__add__, map(_measured, windows)).to_dict()


def _measured(window: Mapping[str, Any]) -> Measured:
    return Measured(
        seconds=window["seconds"],
        energies={scope: Energy.from_dict(part) for scope, part in window["parts"].items()},
        energy=Energy.from_dict(window["energy"]),
        total=Energy.from_dict(window["total"]),
        windows=window["windows"],
    )


def _without_tail(window: Mapping[str, Any]) -> dict[str, Any]:
    measured = _measured(window)
    return Measured(
        measured.seconds,
        {scope: _floor(part) for scope, part in measured.energies.items()},
        _floor(measured.energy),
        _floor(measured.total),
        measured.windows,
    ).to_dict()


def _floor(energy: Energy) -> Energy:
    return energy + Energy.unknown(LOST, energy.scope)
