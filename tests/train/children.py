"""Runs in processes of their own that die: started by a server that has loaded everything once.

A process that has trained cannot be forked (autograd's threads), so a fresh one forks the children.
"""

import math
import multiprocessing
import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import torch
from torch.nn import functional

from orthowatt.config import RunConfig
from orthowatt.data import sources
from orthowatt.errors import DataError
from orthowatt.train import epoch, last_words
from orthowatt.train.loop import train_run
from orthowatt.train.progress import Silent

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["orthowatt.train.loop", "orthowatt.data.digits", "timm"])


class Sender(Silent):
    """Sends this process a signal at a step."""

    def __init__(self, at: int | None, number: int) -> None:
        self.at, self.number = at, number

    def update(self, epoch, step, *facts):
        if step == self.at:
            os.kill(os.getpid(), self.number)


def train(config: dict, folder: str, at: int | None = None, number: int = signal.SIGKILL) -> None:
    """Train, and get signal `number` at step `at`."""
    torch.set_num_threads(1)
    train_run(RunConfig.from_dict(config), folder, progress=Sender(at, number))


def train_until_rename(config: dict, folder: str, rename: int) -> None:
    """Train, and die before rename `rename` of those that put the second checkpoint in place."""
    calls = []

    def replace(source, target):
        if os.fspath(target).endswith((".pt", "coming")):
            calls.append(target)
        if len(calls) == 3 + rename:  # the first needs no third rename
            os.kill(os.getpid(), signal.SIGKILL)
        os.rename(source, target)

    os.replace = replace
    train(config, folder)


def train_as_rank(
    config: dict, folder: str, environment: dict, at, number, broken: bool, diverging: bool
) -> None:
    """Train as one of several processes; a broken one finds no data, a diverging one no loss."""

    def no_data(*_, **__):
        raise DataError("the disk is gone")

    losses = []
    last_words.PATIENCE = 0.5

    def no_loss(*given, **options):
        losses.append(functional.cross_entropy(*given, **options))
        return losses[-1] * (math.nan if len(losses) == 3 else 1)

    os.environ |= environment
    if broken:
        sources.load = no_data
    if diverging:
        epoch.F = SimpleNamespace(cross_entropy=no_loss)
    try:
        train(config, folder, at, number)
    except Exception as error:
        Path(folder, f"error-{environment['RANK']}").write_text(str(error))
        raise SystemExit(1) from error


def run(target, config: RunConfig, *arguments) -> int:
    """The exit code of `target` in a process of its own; negative for a signal."""
    process = SERVER.Process(target=target, args=(config.to_dict(), *map(_plain, arguments)))
    process.start()
    process.join()
    code = process.exitcode
    process.close()
    assert code is not None
    return code


def start_ranks(
    config: RunConfig, folder: Path, at=None, number=signal.SIGTERM, broken=None, diverging=None
):
    """Two processes as torchrun starts them; `broken` and `diverging` number one of them."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    processes = []
    for rank in range(2):
        environment = {
            "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
        process = SERVER.Process(
            target=train_as_rank,
            args=(
                config.to_dict(),
                str(folder),
                environment,
                at,
                number,
                rank == broken,
                rank == diverging,
            ),
        )
        process.start()
        processes.append(process)
    return processes


def codes(processes) -> list[int]:
    """The exit codes, when all have ended."""
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]


def _plain(value):
    return os.fspath(value) if isinstance(value, Path) else value
