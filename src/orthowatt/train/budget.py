"""A limit on a run's energy: when training must end for the rest of the run to fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..config import RunConfig


class Budget:
    """Watches `budget_joules`, and keeps back what the run still needs once training has ended.

    Kept back are the passes over the test set (that of the score, and those shown beside it: the
    last weights' where an average is scored, the mirrored one) and one over the validation set,
    each image at a third of the mean energy of a training image of the same area, for a forward
    pass is a third of a training step's arithmetic; and as much as was used between the last two
    looks, for that may pass before the next one.

    >>> budget = Budget(RunConfig(budget_joules=100.0))
    >>> data = {"test": 250, "validation": 50}
    >>> budget.spent(80.0, 600.0, data), budget.spent(84.0, 630.0, data)
    (False, True)
    """

    def __init__(self, config: RunConfig) -> None:
        self.limit = config.budget_joules
        self.passes = 1 + bool(config.ema) + config.mirror_test
        self._last: float | None = None

    def spent(self, joules: float | None, images: float, data: dict[str, Any]) -> bool:
        """Whether training must end now, at `joules` of the run and so many images trained on.

        `images` count by their area, as `image_areas` says; `data` holds how many images there are
        of "test" and "validation". Where the energy cannot be read any more nobody knows what is
        left: then it must end too.
        """
        if self.limit is None:
            return False
        if joules is None:
            return True
        since = 0.0 if self._last is None else max(0.0, joules - self._last)
        self._last = joules
        still = data["test"] * self.passes + data["validation"]
        reserve = joules / max(1.0, images) * still / 3
        return joules + reserve + since >= self.limit


def image_areas(sizes: Sequence[int], images: Sequence[int], full: int) -> float:
    """Images of several sizes as images of `full` pixels a side, by their area.

    >>> image_areas([112, 224], [400, 100], 224)
    200.0
    """
    return sum(n * (size / full) ** 2 for size, n in zip(sizes, images, strict=True))


def exceeded(config: RunConfig, energy: dict[str, Any]) -> str | None:
    """The sentence about a whole run that used more than its budget, or may have.

    >>> exceeded(RunConfig(budget_joules=100.0), {"joules": 99.0, "bound_joules": 2.0})
    'the run used 99 ± 2 J: whether it kept budget_joules 100 is not sure'
    """
    limit, joules = config.budget_joules, energy.get("joules")
    if limit is None:
        return None
    if joules is None:
        return f"whether the run kept budget_joules {limit:,.0f} is unknown: {energy.get('reason')}"
    bound = energy.get("bound_joules")
    used = f"the run used {joules:,.0f}" + ("" if bound is None else f" ± {bound:,.0f}") + " J"
    if joules > limit:
        return f"{used}: more than budget_joules {limit:,.0f}"
    if bound is None or joules + bound > limit:
        return f"{used}: whether it kept budget_joules {limit:,.0f} is not sure"
    return None
