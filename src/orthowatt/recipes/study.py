"""The studies that ship with the program: functions that return a configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..config import RunConfig, StudyConfig, Variant
from . import run as runs

#: The two controls that every study of transforms needs: the layer alone, and no transform at all.
CONTROLS = (
    Variant("none", {"transform": "none"}),
    Variant("identity", {"transform": "identity"}),
    Variant("random", {"transform": "random"}),
)


def demo(seeds: int | Sequence[int] = 3, base: RunConfig | None = None) -> StudyConfig:
    """Eight variants of a small ResNet on scikit-learn's digits, at early and late maps.

    Bare transforms, the two controls, and the WHT filter that begins as the identity.

    >>> len(demo(seeds=2).variants)
    8
    """
    bare = [Variant(name, {"transform": name}) for name in ("wht", "dct", "hartley", "fft")]
    learned = Variant("wht filter", {"transform": "wht", "layer": "filter"})
    return StudyConfig(
        name="demo",
        base=base or runs.demo(),
        variants=(*CONTROLS, *bare, learned),
        seeds=_seeds(seeds),
        description="Orthogonal transforms inside a small ResNet, on scanned digits.",
    )


def paper(seeds: int | Sequence[int] = 6, base: RunConfig | None = None) -> StudyConfig:
    """The paper's grid: {identity, random, WHT, DCT, FFT magnitude} × positions, and none.

    Bare layers at the input, early, and early + late, as in arXiv 2506.16418, plus the learned
    filters at early + late, over the paper's recipe (CIFAR-100 at 224, ResNet-50).

    >>> len(paper().variants)
    19
    """
    kinds = ("identity", "random", "wht", "dct", "fft")
    bare = [
        Variant(f"{kind} {position}", {"transform": kind, "position": position})
        for kind in kinds
        for position in ("input", "early", "early+late")
    ]
    learned = [
        Variant(f"{kind} filter", {"transform": kind, "position": "early+late", "layer": "filter"})
        for kind in ("wht", "dct", "hartley")
    ]
    return StudyConfig(
        name="paper",
        base=base or runs.paper(),
        variants=(CONTROLS[0], *bare, *learned),
        seeds=_seeds(seeds),
        description="The grid of arXiv 2506.16418 on CIFAR-100 at 224 pixels.",
    )


STUDIES: dict[str, Callable[..., StudyConfig]] = {"demo": demo, "paper": paper}


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
