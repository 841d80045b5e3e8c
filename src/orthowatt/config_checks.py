"""Whether the values of a configuration are of the right type and in range; needs no torch."""

from __future__ import annotations

import difflib
import math
import re
import typing
from typing import Any, Literal

from .errors import InputError, check_choice

#: annotation -> (the types of a value, of a tuple's items, what a sentence calls them)
_TYPES: dict[Any, tuple[tuple[type, ...], type | None, str]] = {
    str: ((str,), None, "a string"),
    str | None: ((str, type(None)), None, "a string or None"),
    bool: ((bool,), None, "true or false"),
    tuple[str, ...]: ((tuple,), str, 'a list of names, as in ("layer1",), or ()'),
    tuple[int, ...]: ((tuple,), int, "a list of whole numbers, as in (-2, -1), or ()"),
}


def check_types(config: Any) -> None:
    """Every field that is no number and no set of literals holds what its annotation says."""
    for name, annotation in typing.get_type_hints(type(config)).items():
        if annotation not in _TYPES:
            continue
        value = getattr(config, name)
        types, item, words = _TYPES[annotation]
        fits = isinstance(value, types)
        if fits and item is not None:
            fits = all(type(part) is item for part in value)
        if not fits:
            raise InputError(f"{name} is {value!r}, but must be {words}")


def check_choices(config: Any) -> None:
    """Every field whose annotation is a set of literals holds one of them."""
    for name, annotation in typing.get_type_hints(type(config)).items():
        allowed = _literals(annotation)
        if allowed:
            check_choice(name, getattr(config, name), allowed)
    if not 1 <= len(config.dims) <= 2 or any(
        dim not in (-3, -2, -1, 1, 2, 3) for dim in config.dims
    ):
        raise InputError(
            f"dims is {config.dims}, but must be one or two of 1, 2, 3 (C, H, W of an NCHW map) "
            "or -3, -2, -1: (-2, -1) is (H, W), (-1, -3) is (W, C), (-3,) is the channels"
        )
    if len({dim % 4 for dim in config.dims}) != len(config.dims):
        raise InputError(f"dims is {config.dims}, but names one dimension twice")


def _literals(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)
    found: list[Any] = []
    for part in typing.get_args(annotation):
        if typing.get_origin(part) is Literal:
            found.extend(typing.get_args(part))
        elif part is type(None) and found:
            found.append(None)
    return tuple(found)


_RANGES = {
    # field: (lowest, highest, lowest allowed, highest allowed)
    "dropout": (0.0, 1.0, True, False),
    "image_size": (8, 4096, True, True),
    "validation": (0.0, 0.9, True, True),
    "crop_padding": (0.0, 0.5, True, True),
    "epochs": (0, math.inf, True, False),
    "batch_size": (1, math.inf, True, False),
    "limit_images": (1, math.inf, True, False),
    "micro_batch": (1, math.inf, True, False),
    "learning_rate": (0.0, math.inf, False, False),
    "momentum": (0.0, 1.0, True, False),
    "l2": (0.0, math.inf, True, False),
    "weight_decay": (0.0, math.inf, True, False),
    "warmup": (0.0, 1.0, True, False),
    "label_smoothing": (0.0, 1.0, True, False),
    "ema": (0.0, 1.0, True, False),
    "budget_joules": (0.0, math.inf, False, False),
    "target_accuracy": (0.0, 1.0, False, True),
    "checkpoint_steps": (0, math.inf, True, False),
    "checkpoint_seconds": (0.0, math.inf, True, False),
    "seed": (0, 2**63, True, False),
    "split_seed": (0, 2**63, True, False),
}
_INTEGERS = (
    "image_size", "epochs", "batch_size", "limit_images", "micro_batch", "checkpoint_steps", "seed",
    "split_seed",
)  # fmt: skip
_OPTIONAL = ("limit_images", "micro_batch", "budget_joules", "target_accuracy")


def check_numbers(config: Any) -> None:
    for name, (low, high, low_in, high_in) in _RANGES.items():
        value = getattr(config, name)
        if value is None and name in _OPTIONAL:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise InputError(f"{name} is {value!r}, but must be a number")
        if name in _INTEGERS and not isinstance(value, int):
            raise InputError(f"{name} is {value!r}, but must be a whole number")
        above = value >= low if low_in else value > low
        below = value <= high if high_in else value < high
        if not (above and below):  # NaN fails both
            bounds = f"{'[' if low_in else '('}{low}, {high}{']' if high_in else ')'}"
            raise InputError(f"{name} is {value!r}, but must lie in {bounds}")


def check_together(config: Any) -> None:
    """Settings that contradict each other."""
    low, high, *_ = _RANGES["image_size"]
    if any(not low <= size <= high for size in config.train_sizes):
        raise InputError(
            f"train_sizes is {config.train_sizes}, but each must lie in [{low}, {high}]"
        )
    held_out = config.validation > 0 and config.train_on == "train"
    if config.target_accuracy is not None and not held_out:
        raise InputError(
            f"target_accuracy is {config.target_accuracy}, but no validation images are held out "
            "to watch it on; set validation above 0 and train_on=train"
        )
    _check_micro_batch(config)
    if config.nesterov and (config.optimizer != "sgd" or not config.momentum):
        raise InputError("nesterov is true, but belongs to optimizer=sgd with a momentum above 0")
    if config.wht_by == "dense" and (config.transform, config.layer) != ("wht", "bare"):
        raise InputError("wht_by is dense, but belongs to transform=wht with layer=bare")
    if config.flip and config.alternate_flip:
        raise InputError("flip and alternate_flip are both true; choose one of them")


def _check_micro_batch(config: Any) -> None:
    """Parts of equal size, so that a batch norm sees the same number of images in each."""
    batch, part = config.batch_size, config.micro_batch
    if part is None:
        return
    if batch % part:
        low = [n for n in range(1, math.isqrt(batch) + 1) if batch % n == 0]
        fit = {*low, *(batch // n for n in low)}
        near = sorted(sorted(fit, key=lambda n: abs(n - part))[:3])
        raise InputError(
            f"micro_batch is {part}, but must divide batch_size, {batch}, as "
            f"{', '.join(map(str, near))} do"
        )
    if config.auto_batch:
        raise InputError(
            f"micro_batch is {part} and auto_batch true; leave one of them out, for auto_batch "
            "chooses micro_batch"
        )


def check_position(position: str, presets: tuple[str, ...]) -> None:
    """A preset, or names of modules parted by +; what is nearly a preset is a slip."""
    if position in presets:
        return
    names = position.split("+")
    if not all(re.fullmatch(r"[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)*", name) for name in names):
        raise InputError(
            f"position is {position!r}, but must be one of {', '.join(presets)}, or names of "
            "modules parted by +, as in layer1.0+layer3.5"
        )
    if position.isalpha() and difflib.get_close_matches(position, presets, cutoff=0.6):
        check_choice("position", position, presets)
