"""Signs that a run failed although it ended, each with what it rests on and a remedy.

They are those of arXiv 2506.16418, whose FFT variants stayed under 10 % and whose validation
accuracy swung between 0.03 and 0.52, and its remedies: regularise, or take a smaller model.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from ..models.lossy import losses
from ..record import RunRecord

#: The epoch after which a network should have left chance, and by how many binomial errors.
JUDGED_AFTER, ERRORS = 3, 5
#: A test accuracy below it is a failure whatever the number of classes.
LOW = 0.1
#: Best minus worst validation accuracy of the last half of the epochs, above which it swings.
SWING = 0.2
_REGULARISE = "regularise (dropout, l2, label_smoothing) or take a smaller model"


@dataclass(frozen=True)
class Signature:
    """One sign: its `name`, the sentence that states it and what to do about it."""

    name: str
    text: str
    remedy: str

    def to_dict(self) -> dict[str, Any]:
        """The sign as JSON-ready values."""
        return asdict(self)


def of_run(record: RunRecord, model: nn.Module) -> list[dict[str, Any]]:
    """The signs of a run with its scores in `record`, and of the layers in `model`.

    >>> from orthowatt.config import RunConfig
    >>> epochs = [{"validation_accuracy": a, "train_accuracy": a} for a in (0.1, 0.1, 0.1)]
    >>> data = {"classes": 10, "validation": 144, "train": 1294}
    >>> record = RunRecord(RunConfig(), epochs=epochs, data=data)
    >>> [sign["name"] for sign in of_run(record, nn.Identity())]
    ['near chance']
    """
    found = [near_chance(record), swinging(record.epochs), *of_layers(model)]
    return [sign.to_dict() for sign in found if sign is not None]


def near_chance(record: RunRecord) -> Signature | None:
    """Accuracy that chance alone may give after three epochs, or below 10 % at the end."""
    parts = [_after_some(record), _at_the_end(record)]
    told = [text for text in parts if text]
    if not told:
        return None
    remedy = _REGULARISE
    if record.config.transform not in ("none", "identity") and record.config.layer == "bare":
        remedy += "; layer=filter begins as the identity and keeps what the network can do"
    return Signature("near chance", "; ".join(told), remedy)


def _after_some(record: RunRecord) -> str:
    if len(record.epochs) < JUDGED_AFTER or not record.data.get("classes"):
        return ""
    entry, chance = record.epochs[JUDGED_AFTER - 1], 1 / record.data["classes"]
    held_out = entry.get("validation_accuracy") is not None
    part = "validation" if held_out else "train"
    accuracy, count = entry.get(f"{part}_accuracy"), record.data.get(part)
    if accuracy is None or not count:
        return ""
    limit = chance + ERRORS * math.sqrt(chance * (1 - chance) / count)
    if accuracy >= limit:
        return ""
    return (
        f"{part} accuracy {accuracy:.1%} after {JUDGED_AFTER} epochs, below {limit:.1%}: chance, "
        f"{chance:.1%}, and {ERRORS} binomial errors of {count:,} images"
    ).replace("%", " %")


def _at_the_end(record: RunRecord) -> str:
    accuracy = record.metric("test_accuracy")
    if accuracy is None or accuracy >= LOW:
        return ""
    return f"test accuracy {accuracy:.1%} at the end, below {LOW:.0%}".replace("%", " %")


def swinging(epochs: Sequence[dict[str, Any]]) -> Signature | None:
    """A validation accuracy that lies far apart among the last half of the epochs.

    >>> swinging([{"epoch": n, "validation_accuracy": a} for n, a in enumerate((0, 0, 0.5, 0.2))])
    Signature(name='swinging', text='validation accuracy between 20.0 % and 50.0 % in the last \
2 epochs', remedy='regularise (dropout, l2, label_smoothing) or take a smaller model; a lower \
learning_rate swings less')
    """
    last = epochs[len(epochs) - len(epochs) // 2 :]
    scores = [a for entry in last if (a := entry.get("validation_accuracy")) is not None]
    if len(scores) < 2 or max(scores) - min(scores) <= SWING:
        return None
    text = (
        f"validation accuracy between {min(scores):.1%} and {max(scores):.1%} in the last "
        f"{len(scores)} epochs"
    )
    if scores == sorted(scores):
        text += ", rising throughout: it had not finished learning"
        remedy = f"more epochs; else {_REGULARISE}"
    else:
        remedy = f"{_REGULARISE}; a lower learning_rate swings less"
    return Signature("swinging", text.replace("%", " %"), remedy)


def of_layers(model: nn.Module) -> Iterator[Signature]:
    """Inserted layers through which a part of each map is lost for good, or its phase."""
    remedies = {
        "phase": "hartley and fft-realimag keep it, and so does layer=filter; else ",
        "part": "pad=keep or layer=filter lose nothing; else ",
        "weight": "",
    }
    for loss in losses(model):
        name = "loses phase" if loss.kind == "phase" else "not invertible"
        yield Signature(name, loss.text, remedies[loss.kind] + _REGULARISE)
