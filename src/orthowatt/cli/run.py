"""`orthowatt run`: train one configuration."""

from __future__ import annotations

import json
import shlex
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from ..config import RunConfig
from ..errors import DataError, InputError, OrthowattError, closest
from . import INTERRUPTED, plan
from .common import Common, parse, print_json, progress_console

_PLAN = "print the settings and the memory needed, and stop; --device may then be t4, l4, a100-40 …"


@dataclass(kw_only=True)
class Options(Common):
    """Options of `run`: where it goes, then every setting of the run."""

    recipe: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(
            metavar="RECIPE|FILE",
            help="comes first: a recipe's name, or a .toml or .json file",
            help_behavior_hint="(required)",
        ),
    ]
    config: Annotated[RunConfig, tyro.conf.arg(help="everything that decides the run's result")]
    out: Annotated[Path | None, tyro.conf.arg(help="the run's folder; the same folder goes on")] = (
        None
    )
    plan: Annotated[bool, tyro.conf.arg(help=_PLAN)] = False
    variant: Annotated[str | None, tyro.conf.arg(help="the row's name in a study")] = None


def run(argv: Sequence[str]) -> int:
    """Train, or with `--plan` say what would be trained."""
    if "--help" in argv or "-h" in argv:
        recipe, base = _for_help(argv)
        argv = ["--help"]
    else:
        recipe = _positional(argv)
        base = load(recipe)
    options = parse(
        Options, argv, "run",
        "Train one configuration: a recipe or a file, with any setting changed on the way.",
        "orthowatt run demo --transform wht --out runs/wht",
        default=Options(recipe=recipe, config=base),
    )  # fmt: skip
    if options.plan:
        return plan.show(options.config, load(options.recipe), options.json)
    if options.out is None:
        raise InputError("--out is missing; name the folder that the run writes into")
    try:
        return _train(options)
    except KeyboardInterrupt:
        _say_how_to_go_on(argv)
        return INTERRUPTED
    except SystemExit:
        _say_how_to_go_on(argv)
        raise


def _say_how_to_go_on(argv: Sequence[str]) -> None:
    from ..train.ranks import is_first, launcher

    if is_first():
        again = shlex.join([*launcher(), "run", *argv])
        print(f"\northowatt run: stopped; to go on: {again}", file=sys.stderr)


def load(name: str) -> RunConfig:
    """A bundled recipe by name, or a TOML or JSON file of settings."""
    from ..recipes.run import RECIPES

    if name in RECIPES:
        return RECIPES[name]()
    path = Path(name)
    if path.suffix not in (".toml", ".json"):
        hint = closest(name, RECIPES)
        raise InputError(f"no recipe is named {name!r}; {hint} (or a .toml or .json file)")
    text = path.read_text(encoding="utf-8")
    try:
        values = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    return RunConfig.from_dict(values)


def _for_help(argv: Sequence[str]) -> tuple[str, RunConfig]:
    """The recipe whose values the help shows as defaults: the named one, else the demo's."""
    if argv[0].startswith("-"):
        return "demo", load("demo")
    try:
        return argv[0], load(argv[0])
    except (OrthowattError, OSError):
        return "demo", load("demo")


def _positional(argv: Sequence[str]) -> str:
    """The recipe must come first, for the other options start from its values."""
    if not argv or argv[0].startswith("-"):
        raise InputError("name a recipe or file first: orthowatt run demo --out DIR")
    return argv[0]


def _train(options: Options) -> int:
    from ..energy import Energy
    from ..train.loop import train_run
    from ..train.progress import progress_for
    from ..train.ranks import is_first
    from ..train.records import stopped_note

    assert options.out is not None
    progress = None if options.quiet else progress_for(progress_console(options))
    record = train_run(options.config, options.out, progress=progress, variant=options.variant)
    if not is_first():
        return 0 if record.status == "finished" else 1
    if options.json:
        print_json(record.to_dict())
    else:
        accuracy = record.metric("test_accuracy")
        energy = Energy.from_dict(dict(record.energy_of("run")))
        cost = str(energy) if energy.joules is not None else f"energy {energy}"
        found = "none" if accuracy is None else f"{accuracy:.4f}"
        print(f"test accuracy {found}; {cost}")
        if "stopped" in record.settings:
            print(stopped_note(record.settings["stopped"]))
        print(f"record: {options.out / 'record.json'}")
    sys.stdout.flush()
    return 0 if record.status == "finished" else 1
