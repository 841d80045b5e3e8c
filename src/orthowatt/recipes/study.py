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


def paper_core(seeds: int | Sequence[int] = 1, base: RunConfig | None = None) -> StudyConfig:
    """The three rows of the paper's claim: none, WHT early, WHT early + late, one seed.

    >>> [variant.name for variant in paper_core().variants]
    ['none', 'wht early', 'wht early+late']
    """
    names = ("none", "wht early", "wht early+late")
    whole = paper(seeds, base)
    rows = {variant.name: variant for variant in whole.variants}
    return StudyConfig(
        name="paper-core",
        base=whole.base,
        variants=tuple(rows[name] for name in names),
        seeds=whole.seeds,
        description="The rows of arXiv 2506.16418 that its claim rests on.",
    )


def fwht(seeds: int | Sequence[int] = 6, base: RunConfig | None = None) -> StudyConfig:
    """Is the fast WHT faster than the dense one, and is the network another one?

    The same matrices at early + late, once by butterflies and once by products with the whole
    matrix, beside no transform; exact orders, so that nothing is cropped at 56.

    >>> [variant.name for variant in fwht().variants]
    ['none', 'fast', 'dense']
    """
    return StudyConfig(
        name="fwht",
        base=base or runs.paper(order="exact", position="early+late", epochs=5),
        variants=(
            CONTROLS[0],
            Variant("fast", {"transform": "wht"}),
            Variant("dense", {"transform": "wht", "wht_by": "dense"}),
        ),
        seeds=_seeds(seeds),
        baseline="fast",
        description="The fast Walsh-Hadamard transform against the dense product.",
    )


def fast_ablation(seeds: int | Sequence[int] = 3, base: RunConfig | None = None) -> StudyConfig:
    """The energy recipe, and beside it each of its choices left out or taken otherwise.

    >>> fast_ablation().baseline, len(fast_ablation().variants)
    ('fast', 17)
    """
    changes: dict[str, dict[str, object]] = {
        "fast": {},
        "no transform": {"transform": "none"},
        "bare": {"layer": "bare"},
        "224 throughout": {"train_sizes": ()},
        "cosine": {"schedule": "cosine"},
        "adamw": {
            "optimizer": "adamw", "nesterov": False, "learning_rate": 5e-4, "l2": 0.0,
            "weight_decay": 0.05,
        },
        "batches of 128": {"batch_size": 128, "learning_rate": 0.025},
        "half the rate": {"learning_rate": 0.025},
        "no smoothing": {"label_smoothing": 0.0},
        "no average": {"ema": 0.0},
        "no augmentation": {"crop_padding": 0.0, "flip": False},
        "compiled": {"compile": True},
        "plain momentum": {"nesterov": False},
        "3 epochs": {"epochs": 3},
        "fp32": {"precision": "fp32"},
        "channels apart": {"channels_last": False},
        "exact": {"determinism": "exact"},
    }  # fmt: skip
    return StudyConfig(
        name="fast-ablation",
        base=base or runs.fast(),
        variants=tuple(Variant(name, change) for name, change in changes.items()),
        seeds=_seeds(seeds),
        baseline="fast",
        description="What each choice of the energy recipe gains or costs.",
    )


def native(seeds: int | Sequence[int] = 3, base: RunConfig | None = None) -> StudyConfig:
    """Photos whose own size is about 224 pixels: is it the enlarging of 32×32 that a layer helps?

    The paper enlarges CIFAR's images sevenfold, which leaves their high frequencies empty. Here is
    its training, with exact orders, on a folder of photos (`data="imagefolder:PATH"`, by default
    flowers5 in the present one), five epochs.

    >>> [variant.name for variant in native().variants]
    ['none', 'identity', 'wht early', 'wht early+late', 'wht filter']
    """
    whole = paper(seeds)
    rows = {variant.name: variant for variant in whole.variants}
    names = ("none", "identity early+late", "wht early", "wht early+late", "wht filter")
    return StudyConfig(
        name="native",
        base=base or runs.paper(data="imagefolder:flowers5", order="exact", flip=True, epochs=5),
        variants=tuple(
            Variant("identity", rows[name].changes) if "identity" in name else rows[name]
            for name in names
        ),
        seeds=_seeds(seeds),
        description="Transforms inside a pretrained network on photos of native size.",
    )


STUDIES: dict[str, Callable[..., StudyConfig]] = {
    "demo": demo,
    "paper": paper,
    "paper-core": paper_core,
    "fwht": fwht,
    "fast-ablation": fast_ablation,
    "native": native,
}


def _seeds(seeds: int | Sequence[int]) -> tuple[int, ...]:
    return tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
