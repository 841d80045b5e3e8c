"""`orthowatt study`: variants × seeds, only what is missing."""

from __future__ import annotations

import ast
import contextlib
import shlex
import signal
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from ..config import StudyConfig, Variant
from ..errors import DataError, InputError, closest
from . import DONE, FAILED
from .common import Common, parse, print_json, progress_console, result_console
from .progress import StudyProgress

if TYPE_CHECKING:
    from ..study.store import CellState, Store


@dataclass(kw_only=True)
class Options(Common):
    """Options of `study`."""

    study: Annotated[
        str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE|FILE.toml", help="what to run")
    ]
    out: Annotated[Path, tyro.conf.arg(help="the study's folder; the same folder goes on")]
    seeds: Annotated[
        int | None, tyro.conf.arg(help="run seeds 0 … N-1 (default: as the study says)")
    ] = None
    plan: Annotated[bool, tyro.conf.arg(help="say what would be run, and run nothing")] = False
    retry_failed: Annotated[
        bool, tyro.conf.arg(help="try runs again whose loss was not finite; others always are")
    ] = False
    set: Annotated[
        tuple[str, ...],
        tyro.conf.arg(
            metavar="NAME=VALUE …",
            help="change settings of every run, as in --set epochs=5 weights=resnet50.safetensors",
        ),
    ] = ()


def run(argv: Sequence[str]) -> int:
    """Run what is missing and print the table; 1 where something is still missing."""
    options = parse(
        Options, argv, "study",
        "Run variants × seeds, interleaved, each run in a process of its own; done runs stay.",
        "orthowatt study demo --out my-study --seeds 5",
    )  # fmt: skip
    study = changed(load(options.study, options.seeds), options.set)
    from ..study.runner import device_slug, run_study
    from ..study.store import Store

    slug = device_slug(study.base.device)
    store = Store(options.out, slug)
    if options.plan:
        return _print_plan(study, store, options)
    with (
        _says_how_to_go_on(argv),
        sigterm_stops(),
        StudyProgress(progress_console(options)) as progress,
    ):
        records = run_study(
            study, options.out, slug=slug, progress=progress, retry_failed=options.retry_failed
        )
    states = store.states(study)
    undone = [state for state in states if state.state != "done"]
    if options.json:
        print_json(
            {
                "out": str(options.out),
                "records": [record.to_dict() for record in records],
                "not_done": [state.to_dict() for state in undone],
            }
        )
    else:
        from .table import study_tables

        result_console().print(study_tables([options.out]))
        print(f"report: orthowatt report {options.out}")
    if undone:
        _say_what_is_not_done(undone, len(states))
    return FAILED if undone else DONE


def _say_what_is_not_done(states: Sequence[CellState], of: int) -> None:
    """One line a run, and how to try it again."""
    for state in states:
        reason = f": {state.reason}" if state.reason else ""
        line = f"  {state.state:<12} {state.cell.variant}, seed {state.cell.seed}{reason}"
        print(line, file=sys.stderr)
    how = "" if all(state.to_run() for state in states) else " with --retry-failed"
    print(
        f"orthowatt study: {len(states)} of {of} runs are not done; the same command{how} tries "
        "them again",
        file=sys.stderr,
    )


def load(name: str, seeds: int | None) -> StudyConfig:
    """A bundled study by name, a run's recipe as a study of one row, or a TOML file."""
    from ..recipes.run import RECIPES
    from ..recipes.study import STUDIES

    if seeds is not None and seeds < 1:
        raise InputError(f"--seeds is {seeds}, but must be at least 1")
    if name in STUDIES:
        return STUDIES[name]() if seeds is None else STUDIES[name](seeds=seeds)
    if name in RECIPES:  # a study of one row
        return StudyConfig(
            name, RECIPES[name](), (Variant(name),), tuple(range(seeds or 1)), baseline=name
        )
    path = Path(name)
    if path.suffix != ".toml":
        raise InputError(
            f"no study is named {name!r}; {closest(name, {**STUDIES, **RECIPES})} (or a .toml file)"
        )
    try:
        study = StudyConfig.from_dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid TOML: {error}") from error
    return study if seeds is None else replace(study, seeds=tuple(range(seeds)))


def changed(study: StudyConfig, settings: Sequence[str]) -> StudyConfig:
    """The study with settings of its base changed; values are written as in TOML or Python.

    What is neither is a string, so that paths and words need no quotes. A variant that the settings
    make equal to another, as `--set epochs=3` does to one of three epochs, is left out and named.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting} has no value; write --set {name}=VALUE")
        values[name.replace("-", "_")] = _value(value)
    base = study.base.replace(**values)
    same: dict[str, Variant] = {}
    for variant in sorted(study.variants, key=lambda one: one.name != study.baseline):
        first = same.setdefault(base.replace(**variant.changes).hash, variant)
        if first is not variant:
            print(
                f"orthowatt study: {variant.name!r} is left out: with these settings it is "
                f"{first.name!r}",
                file=sys.stderr,
            )
    kept = tuple(variant for variant in study.variants if variant in same.values())
    return replace(study, base=base, variants=kept)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


@contextlib.contextmanager
def sigterm_stops() -> Iterator[None]:
    """Let SIGTERM end the block as an exception, so that the run in it can be stopped in order."""

    def stop(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    if threading.current_thread() is not threading.main_thread() or before != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _says_how_to_go_on(argv: Sequence[str]) -> Iterator[None]:
    """Name the command that continues the study when Ctrl-C or SIGTERM ends the block."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        again = shlex.join(["orthowatt", "study", *argv])
        print(f"\northowatt study: stopped; to go on: {again}", file=sys.stderr)
        raise


def _print_plan(study: StudyConfig, store: Store, options: Options) -> int:
    states = store.states(study)
    if options.json:
        print_json([state.to_dict() for state in states])
        return 0
    for state in states:
        print(f"{state.state:<12} {state.cell.variant}, seed {state.cell.seed}")
    missing = sum(state.to_run(options.retry_failed) for state in states)
    print(f"{missing} of {len(states)} runs are missing in {options.out}")
    return 0
