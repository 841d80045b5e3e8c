"""Each slip planted into the figures of an ordinary run must be found back."""

from __future__ import annotations

from collections.abc import Callable

from .claims import Context
from .explain import Row, explain
from .floor import OrdinaryRun, ordinary_run
from .slips import HYPOTHESES, SLIPS

#: The conditions of the planted runs.
CONTEXT = Context(
    model="resnet50",
    image_size=224,
    native_size=32,
    classes=100,
    train_images=50_000,
    test_images=10_000,
    epochs=(24, 26),
    device="a100-sxm4",
)
#: The planted truth: what an image of the baseline costs to train, and the variant's cost ratio.
JOULES_PER_IMAGE = 0.13
RATIO = 1.02

Pair = tuple[float, float]


def self_test() -> list[tuple[str, bool]]:
    """Plant H1 to H12 one by one into true figures; each slip's id and whether it is found.

    Found means: among the two best explanations, or the twin of one (H1 and H2 print the same
    figures, so no arithmetic can tell them apart).

    >>> all(found for slip, found in self_test())
    True
    """
    run = ordinary_run(CONTEXT)
    found = []
    for slip, plant in PLANTS.items():
        base = JOULES_PER_IMAGE * run.middle_images
        rows = [
            Row(joules, name)
            for joules, name in zip(plant((base, RATIO * base), run), ("A", "B"), strict=True)
        ]
        best = explain(rows, run, None)  # a planted slip does contradict what is stated
        found.append((slip, any(slip in (*e.slips, *e.twins) for e in best)))
    return found


def _thousand(pair: Pair, run: OrdinaryRun) -> Pair:
    return 1000 * pair[0], pair[1]


def _epoch(pair: Pair, run: OrdinaryRun) -> Pair:
    return pair[0], pair[1] / run.middle_epochs


def _samples(pair: Pair, run: OrdinaryRun) -> Pair:
    """One sample a minute, as if it were one a second."""
    return pair[0] / 60, pair[1] / 60


def _readings(pair: Pair, run: OrdinaryRun) -> Pair:
    """One reading of 300 W an epoch, each counted as one second."""
    return 300 * run.middle_epochs, 300 * run.middle_epochs * RATIO


def _counter(pair: Pair, run: OrdinaryRun) -> Pair:
    """The driver was loaded twelve days of 300 W before."""
    before = 12 * 86400 * 300.0
    return before + pair[0], before + pair[0] + pair[1]


def _models(pair: Pair, run: OrdinaryRun) -> Pair:
    return 15 * pair[0], pair[1]


def _stopped(pair: Pair, run: OrdinaryRun) -> Pair:
    """The variant stopped in its fourth epoch."""
    return pair[0], pair[1] * 3.5 / run.middle_epochs


def _native(pair: Pair, run: OrdinaryRun) -> Pair:
    return pair[0], pair[1] * (run.native_share or 1.0)


def _stalled(pair: Pair, run: OrdinaryRun) -> Pair:
    """The GPU waited for its data most of the time, in both rows."""
    return 9 * pair[0], 9 * pair[1]


def _inference(pair: Pair, run: OrdinaryRun) -> Pair:
    """The variant's row is one pass over the test images."""
    return pair[0], pair[1] / 3 * (run.test_images or 0) / run.middle_images


def _host(pair: Pair, run: OrdinaryRun) -> Pair:
    """400 W of host for the baseline's run at 1,200 images/s."""
    return pair[0] + 400 * run.middle_images / 1200, pair[1]


PLANTS: dict[str, Callable[[Pair, OrdinaryRun], Pair]] = {
    "H1": _thousand,
    "H2": _thousand,
    "H3": _epoch,
    "H4": _samples,
    "H5": _readings,
    "H6": _counter,
    "H7": _models,
    "H8": _stopped,
    "H9": _native,
    "H10": _stalled,
    "H11": _inference,
    "H12": _host,
}
assert set(PLANTS) == {slip.id for slip in SLIPS} <= set(HYPOTHESES)
