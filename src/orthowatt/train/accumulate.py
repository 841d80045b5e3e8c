"""A batch in parts that fit the memory: their gradients, summed, are those of the whole batch."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn


def parts(
    images: Tensor, labels: Tensor, size: int | None
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """(images, labels, share) of each `size` images of a batch, in order; None is the whole batch.

    With a mean loss for each part, Σ share · loss is the mean loss of the whole batch, and so are
    its gradients, up to rounding and what looks at a part alone: a batch norm and the draws of a
    dropout. A last part may be smaller, and its share with it.

    >>> import torch
    >>> batch = torch.zeros(6, 1, 8, 8), torch.zeros(6)
    >>> [(len(x), round(share, 3)) for x, _, share in parts(*batch, 4)]
    [(4, 0.667), (2, 0.333)]
    """
    whole = len(labels)
    step = whole if size is None else min(size, whole)
    for start in range(0, whole, step):
        rows = slice(start, start + step)
        yield images[rows], labels[rows], len(labels[rows]) / whole


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
