"""The order in which the cells of a study are run."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import RunConfig, StudyConfig


@dataclass(frozen=True)
class Cell:
    """One run of a study: a variant at a seed."""

    variant: str
    seed: int
    config: RunConfig


def cells(study: StudyConfig) -> list[Cell]:
    """Every run, seed by seed, the order of the variants rotated by one with each seed.

    Interleaving keeps a slow drift (temperature, another process) from falling on one variant,
    and the rotation keeps each variant from always coming first or after the same neighbour.

    >>> from orthowatt.config import Variant
    >>> variants = (Variant("none"), Variant("wht", {"transform": "wht"}))
    >>> study = StudyConfig("s", RunConfig(), variants, seeds=(0, 1))
    >>> [(cell.variant, cell.seed) for cell in cells(study)]
    [('none', 0), ('wht', 0), ('wht', 1), ('none', 1)]
    """
    names = [variant.name for variant in study.variants]
    order = []
    for index, seed in enumerate(study.seeds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            order.append(Cell(name, seed, study.run(name, seed)))
    return order
