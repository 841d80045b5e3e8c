"""One base error and its few subclasses; imported by every other part, importing none."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OrthowattError(Exception):
    """Base of every error that orthowatt raises on purpose; its text is one sentence for a user.

    >>> try:
    ...     check_choice("order", "pow3", ["exact", "pow2"])
    ... except OrthowattError as error:
    ...     print(error)
    order is 'pow3', but must be one of exact, pow2 (did you mean 'pow2'?)
    """


class InputError(OrthowattError, ValueError):
    """A value is not allowed: the message says what was given, what is allowed and the mend."""


class InputTypeError(OrthowattError, TypeError):
    """An argument has the wrong type (an integer tensor, a string where a number belongs)."""


class DataError(OrthowattError):
    """A data set, weights file or record is missing, damaged or not what it claims to be."""


class TrainingError(OrthowattError):
    """A run cannot go on (a loss that is not finite, too little memory, a foreign checkpoint)."""


def closest(given: str, allowed: Iterable[str], count: int = 3) -> str:
    """A clause naming the allowed values most like `given`, or all of them when none is close.

    >>> closest("wth", ["wht", "dct"])
    "did you mean 'wht'?"
    """
    names = [str(name) for name in allowed]
    near = difflib.get_close_matches(str(given), names, n=count, cutoff=0.5)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    shown = ", ".join(names[:20]) + (", …" if len(names) > 20 else "")
    return f"allowed: {shown}"


def check_choice(what: str, given: object, allowed: Iterable[object]) -> None:
    """Raise `InputError` unless `given` is one of `allowed`; `what` names the option."""
    options = list(allowed)
    if given not in options:
        texts = ["None" if option is None else str(option) for option in options]
        hint = closest(str(given), texts)
        listed = "" if hint.startswith("allowed") else f" ({hint})"
        raise InputError(f"{what} is {given!r}, but must be one of {', '.join(texts)}{listed}")
