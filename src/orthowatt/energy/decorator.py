"""`measure`: the meter as a decorator, or as a context for a single window."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, overload

from ..errors import InputTypeError
from .meter import EnergyMeter
from .window import Window


class MeasuredFunction:
    """A function whose every call runs in a window; `window` is that of the latest finished call.

    The result of the call is the function's own.
    """

    def __init__(self, function: Callable[..., Any], name: str, meter: EnergyMeter | None) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._name = name
        self._meter = meter
        self.window: Window | None = None

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        if self._meter is None:
            self._meter = EnergyMeter()
        window = self._meter.window(self._name)
        try:
            with window:
                return self._function(*arguments, **options)
        finally:
            self.window = window

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        # a decorated method: bind the instance, as a plain function does
        return self if instance is None else functools.partial(self.__call__, instance)


class Measurement:
    """What `measure("name")` returns: decorates a function, or is a window of its own meter."""

    def __init__(self, name: str | None, meter: EnergyMeter | None) -> None:
        self._name = name
        self._given = meter
        self._own: EnergyMeter | None = None
        self._window: Window | None = None

    def __call__(self, function: Callable[..., Any]) -> MeasuredFunction:
        _check_function(function)
        return MeasuredFunction(function, self._name or function.__qualname__, self._given)

    def __enter__(self) -> Window:
        if self._given is None:
            self._own = EnergyMeter()
        meter = self._given or self._own
        assert meter is not None
        self._window = meter.window(self._name or "measure").open()
        return self._window

    def __exit__(self, *exception: object) -> None:
        assert self._window is not None
        try:
            self._window.close()
        finally:
            if self._own is not None:
                self._own.close()


@overload
def measure(
    target: Callable[..., Any], *, meter: EnergyMeter | None = None
) -> MeasuredFunction: ...
@overload
def measure(target: str | None = None, *, meter: EnergyMeter | None = None) -> Measurement: ...
def measure(target: Any = None, *, meter: EnergyMeter | None = None) -> Any:
    """Measure each call of a function, or one `with` block, in joules and seconds.

    `@measure`, `@measure("name")` or `with measure("name") as window`; `meter` takes an
    `EnergyMeter` of yours instead of a new one. Raises `InputTypeError` for a coroutine or
    generator function: its body runs after the call has returned.

    >>> @measure
    ... def work():
    ...     return sum(range(1000))
    >>> work()
    499500
    >>> work.window.energy.joules is None or work.window.energy.joules > 0
    True
    >>> with measure("block") as window:
    ...     _ = work()
    >>> window.name
    'block'
    """
    if target is None or isinstance(target, str):
        return Measurement(target, meter)
    return Measurement(None, meter)(target)


def _check_function(function: Any) -> None:
    later = (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    )
    if not callable(function) or isinstance(function, type) or later:
        what = "a coroutine or generator function" if later else repr(function)
        raise InputTypeError(
            f"measure was given {what}, but needs a plain function or a window's name; inside "
            "others use `with meter.window(name)`"
        )
