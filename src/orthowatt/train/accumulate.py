"""A batch in parts that fit the memory: their gradients, summed, are those of the whole batch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from torch import Tensor, nn


def parts(
    images: Tensor, labels: Tensor, size: int | None
) -> Iterator[tuple[Tensor, Tensor, float, bool]]:
    """(images, labels, share, whether it is the last) of each `size` images of a batch, in order.

    With a mean loss for each part, Σ share · loss is the mean loss of the whole batch, and so are
    its gradients, up to rounding and what looks at a part alone: a batch norm and the draws of a
    dropout. A last part may be smaller, and its share with it. `size` None is the whole batch.

    >>> import torch
    >>> batch = torch.zeros(6, 1, 8, 8), torch.zeros(6)
    >>> [(len(x), round(share, 3)) for x, _, share, _ in parts(*batch, 4)]
    [(4, 0.667), (2, 0.333)]
    """
    whole = len(labels)
    step = whole if size is None else min(size, whole)
    for start in range(0, whole, step):
        rows = slice(start, start + step)
        yield images[rows], labels[rows], len(labels[rows]) / whole, start + step >= whole


def keeping(forward: Callable[[Tensor], Tensor], last: bool) -> contextlib.AbstractContextManager:
    """A context in which several processes keep the gradients of a part to themselves.

    Those of the `last` part are shared with all before it: the mean over the processes of a sum is
    the sum of the means. Elsewhere and with one process it changes nothing.
    """
    no_sync = getattr(forward, "no_sync", None)
    return contextlib.nullcontext() if last or no_sync is None else no_sync()


def has_batch_norm(model: nn.Module) -> bool:
    """Whether the model normalises with the statistics of the images it is given at once.

    A norm held in evaluation (a frozen stage's) does not.

    >>> has_batch_norm(nn.Sequential(nn.BatchNorm2d(4))), has_batch_norm(nn.GroupNorm(2, 4))
    (True, False)
    """
    training = model.training
    model.train()
    found = any(
        isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
        for module in model.modules()
    )
    model.train(training)
    return found
