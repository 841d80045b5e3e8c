"""The processes that train one run together: one, or as many as torchrun started.

Each step's batch is shared equally and its gradients are averaged, so several processes take the
steps of one, up to the order in which sums are rounded. Two things differ: a batch norm sees its
own process's share alone (unless `sync_bn`), and keeps the statistics of the first process; and a
dropout draws otherwise. Evaluation is shared, its sums are those of all images.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d, SyncBatchNormAct
from torch import Tensor, nn
from torch import distributed as dist

from ..config import RunConfig
from ..errors import InputError
from ..models import site

#: What torchrun tells each process that it starts.
VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR")


@dataclass(frozen=True)
class Ranks:
    """This process among those of a run: number `rank` of `size`, number `local` on its machine.

    With one process every method is what it says without any communication.

    >>> Ranks().agree(True, False), Ranks().first
    ((True, False), True)
    """

    rank: int = 0
    size: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether this process writes the files and speaks."""
        return self.rank == 0

    def device(self, name: str) -> str:
        """The device of this process: its own GPU where there are several processes."""
        if self.size == 1 or name == "cpu":
            return name
        if name.startswith("cuda:"):
            raise InputError(
                f"device is {name!r}, but each of {self.size} processes needs a GPU of its own; "
                "give device=cuda, or auto"
            )
        if name == "auto" and not torch.cuda.is_available():
            return "cpu"
        if self.local >= torch.cuda.device_count():
            raise InputError(
                f"process {self.local} of this machine has no GPU: torch finds "
                f"{torch.cuda.device_count()}; start fewer with --nproc-per-node"
            )
        return f"cuda:{self.local}"

    def share(self, batch_size: int) -> int:
        """Images of a step that fall to this process; `batch_size` counts those of all."""
        if batch_size % self.size:
            raise InputError(
                f"batch_size is {batch_size}, but {self.size} processes must share it equally; "
                f"give a multiple of {self.size}"
            )
        return batch_size // self.size

    def wrap(self, model: nn.Module, device: torch.device) -> nn.Module:
        """The model with its gradients averaged over all processes."""
        if self.size == 1:
            return model
        devices = [device.index] if device.type == "cuda" else None
        # gradients that are views of the buckets they travel in are not kept twice
        return nn.parallel.DistributedDataParallel(
            model, device_ids=devices, gradient_as_bucket_view=True
        )

    def sum(self, *tensors: Tensor) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.size > 1:
            for tensor in tensors:
                dist.all_reduce(tensor)

    def from_first(self, tensors: list[Tensor]) -> None:
        """Replace the tensors by those of the first process."""
        if self.size > 1:
            for tensor in tensors:
                dist.broadcast(tensor, 0)

    def agree(self, *said: bool) -> tuple[bool, ...]:
        """Of each word whether any process says so; a wait for all of them."""
        if self.size == 1:
            return said
        flags = torch.tensor([float(word) for word in said])
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in flags.tolist())

    def gather(self, value: Any) -> list[Any]:
        """The JSON-ready value of every process, in the order of their numbers."""
        if self.size == 1:
            return [value]
        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value)
        return found

    def wait(self) -> None:
        """Go on when all processes have come here."""
        self.agree(False)


def is_first() -> bool:
    """Whether this process is the one of a run that speaks, as torchrun numbers them."""
    return os.environ.get("RANK", "0") == "0" or not _started_by_torchrun()


def launcher() -> list[str]:
    """The words that start this program again as it was started: by torchrun where it shares a run.

    >>> launcher()
    ['orthowatt']
    """
    world = os.environ.get("WORLD_SIZE", "1")
    if world == "1" or not _started_by_torchrun():
        return ["orthowatt"]
    machines = os.environ.get("GROUP_WORLD_SIZE", "1")
    nodes = [f"--nnodes={machines}"] if machines != "1" else []
    each = f"--nproc-per-node={os.environ.get('LOCAL_WORLD_SIZE', world)}"
    return ["torchrun", *nodes, each, "-m", "orthowatt"]


def _started_by_torchrun() -> bool:
    return all(name in os.environ for name in VARIABLES)


@contextlib.contextmanager
def joined(config: RunConfig) -> Iterator[Ranks]:
    """Join the processes that torchrun started, or be the only one; leave them at the end.

    Gradients travel by NCCL between GPUs and by gloo between CPUs; what is told (signals, energy)
    travels by gloo. Where a process fails it leaves at once, and torchrun ends the others.

    Raises `InputError` for several processes that something else has joined already, and for
    `sync_bn` on CPUs, for which torch has no such layer.
    """
    if dist.is_initialized():
        if dist.get_world_size() > 1:
            raise InputError(
                f"torch.distributed already joins {dist.get_world_size()} processes, but a run "
                "joins its own, as torchrun starts them; call "
                "torch.distributed.destroy_process_group() before it"
            )
        yield Ranks()
        return
    if not _started_by_torchrun():
        yield Ranks()
        return
    rank, size, local = (int(os.environ[name]) for name in VARIABLES[:3])
    if size == 1:
        yield Ranks()
        return
    ranks = Ranks(rank, size, local)
    device = ranks.device(config.device)
    if device != "cpu":
        torch.cuda.set_device(device)
    elif config.sync_bn:
        raise InputError(
            "sync_bn is true, but torch synchronises batch norms on GPUs only; give sync_bn=false"
        )
    dist.init_process_group("gloo" if device == "cpu" else "cpu:gloo,cuda:nccl")
    yield ranks
    dist.destroy_process_group()


def synchronise(model: nn.Module) -> None:
    """Let the model's batch norms see the images of all processes, on GPUs; in place.

    Keys, parameters, inserted layers and an activation that belongs to the norm stay; a norm held
    in evaluation (a frozen stage's) sees no images and stays as it is. Raises `InputError` for a
    kind of batch norm that has no synchronised one.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    >>> synchronise(model)
    >>> type(model[1]).__name__
    'SyncBatchNorm'
    """
    kinds: dict[type, type] = {
        nn.BatchNorm1d: nn.SyncBatchNorm,
        nn.BatchNorm2d: nn.SyncBatchNorm,
        nn.BatchNorm3d: nn.SyncBatchNorm,
        BatchNormAct2d: SyncBatchNormAct,
    }
    for path, norm in model.named_modules():
        kind = site.original_class(norm)
        if not isinstance(norm, nn.modules.batchnorm._BatchNorm) or site.is_frozen(norm):
            continue
        if issubclass(kind, nn.SyncBatchNorm):
            continue
        if kind not in kinds:
            raise InputError(
                f"sync_bn is true, but {path} is a {kind.__name__}, which has no synchronised "
                "form; give sync_bn=false"
            )
        # torch's own conversion makes new modules, and loses what was attached to the old ones
        norm.process_group = None  # type: ignore[assignment]
        site.rebase(norm, kinds[kind])
