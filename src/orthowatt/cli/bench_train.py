"""`orthowatt bench train`: the training loop against a bare one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro
from rich.table import Table

from ..config import RunConfig
from ..errors import InputError
from ..record import dumps, write_atomic
from .common import Common, parse, print_json, result_console

if TYPE_CHECKING:
    from ..bench.train import Row


@dataclass(kw_only=True)
class Options(Common):
    """Options of `bench train`; the defaults are those of the bar on an H100."""

    what: Annotated[Literal["train"], tyro.conf.Positional] = "train"
    out: Annotated[
        Path | None, tyro.conf.arg(help="also write the result here (or: --json FILE)")
    ] = None
    model: Annotated[str, tyro.conf.arg(help="as in `orthowatt run`")] = "orthowatt_resnet50"
    image_size: Annotated[int, tyro.conf.arg(help="pixels a side")] = 224
    batch_size: Annotated[int, tyro.conf.arg(help="images a step")] = 256
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], tyro.conf.arg(help="of the forward pass")
    ] = "auto"
    optimizer: Annotated[Literal["adam", "adamw", "sgd"], tyro.conf.arg(help="fused")] = "sgd"
    compile: Annotated[bool, tyro.conf.arg(help="torch.compile, in every loop")] = False
    steps: Annotated[int, tyro.conf.arg(help="training steps a round")] = 20
    rounds: Annotated[int, tyro.conf.arg(help="rounds, in which every loop has its turn")] = 7
    peers: Annotated[bool, tyro.conf.arg(help="also time a loop of timm's parts")] = False
    device: Annotated[str, tyro.conf.arg(help="auto, cpu, cuda or cuda:N")] = "auto"


def run(argv: Sequence[str]) -> int:
    """Measure, print, and say whether the bar was met."""
    options = parse(
        Options, argv, "bench train",
        "The training loop, interleaved with a bare loop on one batch, and with timm's parts.",
        "orthowatt bench train --compile --peers --out train.json",
    )  # fmt: skip
    for name, least in (("steps", 1), ("rounds", 2)):
        if getattr(options, name) < least:
            raise InputError(f"--{name} is {getattr(options, name)}, but must be at least {least}")
    names = ("model", "image_size", "batch_size", "precision", "optimizer", "compile", "device")
    config = RunConfig(learning_rate=1e-3, **{name: getattr(options, name) for name in names})
    from ..bench import machine, train
    from ..train.runtime import resolve_device

    rows, settings = train.run(
        config, steps=options.steps, rounds=options.rounds, peers=options.peers
    )
    result = {
        **machine.describe(resolve_device(options.device)),
        "settings": settings,
        "rows": [row.to_dict() for row in rows],
    }
    if options.out:
        write_atomic(options.out, dumps(result, indent=1) + "\n")
    if options.json:
        print_json(result)
        return 0
    result_console().print(_table(rows))
    if settings["note"]:
        print(settings["note"])
    return 0


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("loop")
    for name in ("images/s", "quartiles", "× bare", "bar", "data wait", "host"):
        table.add_column(name, justify="right")
    for row in rows:
        bar = "" if row.bar is None else f"{'≥' if row.ratio >= row.bar else 'under'} {row.bar:g}"
        shares = [
            "—" if share is None else f"{share:.2%}".replace("%", " %")
            for share in (row.data_wait_share, row.host_share)
        ]
        table.add_row(
            row.name, f"{row.images_per_second:,.1f}", f"{row.low:,.1f}–{row.high:,.1f}",
            f"{row.ratio:.3f}", bar, *shares,
        )  # fmt: skip
    return table
