"""What one training step keeps in memory, counted tensor by tensor without computing anything.

The step runs on fake tensors, which have a shape, a type and a storage of no bytes. Autograd saves
and frees them exactly as it does real ones, so the highest sum of the storages alive at once is the
peak of the allocator; only what libraries allocate for themselves inside an operation is unseen.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from ..errors import InputError

#: CUDA's caching allocator hands out multiples of it (kMinBlockSize in CUDACachingAllocator).
BLOCK = 512
_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Footprint:
    """Bytes that training holds on its device, by what they are for.

    `weights`: parameters and buffers; `optimizer`: its moments; `average`: a second set of weights;
    `data`: the images held there; `step`: the highest sum of what a step makes beside these, at
    `images` at once: inputs, saved maps, gradients and temporaries; `gradients` is the part of it
    that grows with the network alone.
    """

    images: int
    weights: int
    gradients: int
    optimizer: int
    average: int
    data: int
    step: int

    @property
    def total(self) -> int:
        """The peak: everything at once."""
        return self.weights + self.optimizer + self.average + self.data + self.step

    def to_dict(self) -> dict[str, int]:
        """The bytes by name, `total` with them."""
        return {**asdict(self), "total": self.total}


def footprint(
    model: nn.Module,
    image: tuple[int, int, int],
    *,
    batch_size: int,
    micro_batch: int | None = None,
    precision: str = "fp32",
    optimizer: str = "adam",
    momentum: float = 0.9,
    average: bool = False,
    data_bytes: int = 0,
    stored_bytes: int = 0,
    buckets: bool = False,
) -> Footprint:
    """The memory of training `model` on images (C, H, W), `batch_size` a step.

    `micro_batch` of them go forward and back at once (None: all); `precision` is "fp32", "bf16" or
    "fp16" of autocast; `stored_bytes` is an image as it is stored; `buckets` says that several
    processes share their gradients, in memory that is never given back. The model stays as it is
    and may lie on any device, "meta" too; no random number is drawn. Algorithms' workspaces and
    what `torch.compile` saves are not part of it.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 64, 10))
    >>> found = footprint(net, (3, 8, 8), batch_size=16, optimizer="sgd", momentum=0)
    >>> found.weights == found.gradients, found.optimizer, found.step > 16 * (3 + 8) * 64 * 4
    (True, 0, True)
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    weights = _bytes([*model.parameters(), *model.buffers()])
    gradients = _bytes(trained)
    parted = micro_batch is not None and micro_batch < batch_size
    step = _step(model, image, batch_size, micro_batch, precision, parted or buckets)
    step += batch_size * stored_bytes
    if buckets:
        # parts are added up beside the buckets, and go there with the last; a whole batch's
        # gradients go one by one, each for a moment there twice
        step += gradients if parted else max((_rounded(p.nbytes) for p in trained), default=0)
    return Footprint(
        images=micro_batch or batch_size,
        weights=weights,
        gradients=gradients,
        optimizer=_moments(optimizer, momentum) * gradients,
        average=weights if average else 0,
        data=data_bytes,
        step=step,
    )


def _moments(optimizer: str, momentum: float) -> int:
    """Values that the optimiser keeps of each parameter."""
    return {"sgd": int(momentum > 0)}.get(optimizer, 2)


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(_rounded(tensor.nbytes) for tensor in tensors)


def _rounded(count: int) -> int:
    return -(-count // BLOCK) * BLOCK


def _step(
    model: nn.Module,
    image: tuple[int, int, int],
    batch_size: int,
    micro_batch: int | None,
    precision: str,
    added: bool,
) -> int:
    """The highest sum of the storages that a step makes beside parameters and buffers.

    As in the training loop, an update forgets the gradients, unless they are `added` to what is
    there: with more than one part the second one counts, which finds those of the first.
    """
    training = model.training
    part = micro_batch or batch_size
    watch = _Storages()
    with FakeTensorMode(allow_non_fake_inputs=True):
        tensors, leaves = _fakes(model)
        with watch:
            images = torch.empty(batch_size, *image).to(memory_format=torch.channels_last)
            labels = torch.empty(batch_size, dtype=torch.int64)
            for leaf in leaves if added else []:
                leaf.grad = torch.empty_like(leaf)
            model.train()
            try:
                loss = _forward(model, tensors, images[:part], labels[:part], precision)
            except ValueError as error:
                if "more than 1 value per channel" not in str(error):
                    raise
                raise InputError(
                    f"batch norm cannot train on {part} image at once; choose a larger "
                    f"{'micro_batch' if part < batch_size else 'batch_size'}"
                ) from error
            finally:
                model.train(training)
            loss.backward()
    return watch.peak


def _fakes(model: nn.Module) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Stand-ins for the parameters and buffers by name, and those that are trained."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        fake = torch.empty_like(parameter, device="cpu", requires_grad=False)
        tensors[name] = fake.requires_grad_(parameter.requires_grad)
    for name, buffer in model.named_buffers():
        tensors[name] = torch.empty_like(buffer, device="cpu")
    return tensors, [tensor for tensor in tensors.values() if tensor.requires_grad]


def _forward(
    model: nn.Module, tensors: dict[str, Tensor], images: Tensor, labels: Tensor, precision: str
) -> Tensor:
    dtype = _DTYPES.get(precision)
    # fake tensors of the CPU, for those of CUDA need a GPU; the same layers are cast on both
    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=dtype is not None):
        logits = torch.func.functional_call(model, tensors, (images,))
    return F.cross_entropy(logits.float(), labels)


class _Storages(TorchDispatchMode):
    """Adds up the storages that operations make, each until nothing refers to it any more."""

    def __init__(self) -> None:
        super().__init__()
        self.live = self.peak = 0
        self._alive: dict[int, weakref.ref] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {
            leaf.untyped_storage()._cdata
            for leaf in tree_iter((args, kwargs))
            if isinstance(leaf, Tensor)
        }
        for leaf in tree_iter(result):
            if isinstance(leaf, Tensor) and leaf.untyped_storage()._cdata not in given:
                self._add(leaf.untyped_storage())  # a view or an in-place result is nothing new
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, _rounded(storage.nbytes())
        if key in self._alive:
            return
        self.live += size
        self.peak = max(self.peak, self.live)
        self._alive[key] = weakref.ref(storage, self._remover(key, size))

    def _remover(self, key: int, size: int) -> Callable[[Any], None]:
        def remove(_: Any) -> None:
            del self._alive[key]
            self.live -= size

        return remove
