"""A small, wide network for images of 32×32 that trains in seconds on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from timm.models import register_model
from torch import Tensor, nn
from torch.nn import functional as F

#: Patch side of the whitening convolution, and the share of the mean eigenvalue below which a
#: direction is noise.
PATCH, NOISE = 2, 1e-2


class SpeedNet(nn.Module):
    """Whitened 2×2 patches, then three blocks of two 3×3 convolutions, the sizes 15, 7 and 3.

    Images (B, `in_chans`, 32, 32) or larger to logits (B, `num_classes`). `widths` are the maps of
    the blocks. After the ideas of Page (2019) and Jordan (arXiv 2404.00498): the first convolution
    decorrelates the patches of the training images and is not trained (`whiten`), the others begin
    by handing their input on, norms have a bias but no factor, and the last layer is scaled down.

    >>> SpeedNet(num_classes=10)(torch.zeros(2, 3, 32, 32)).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        num_classes: int = 100,
        in_chans: int = 3,
        widths: Sequence[int] = (128, 384, 512),
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        patches = in_chans * PATCH**2
        self.whitening = nn.Conv2d(in_chans, 2 * patches, PATCH)
        self.whitening.weight.requires_grad_(False)
        inputs = (2 * patches, *widths)
        self.blocks = nn.Sequential(*(_Block(a, b) for a, b in pairwise(inputs)))
        self.dropout = nn.Dropout(drop_rate)
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the first convolution from normalised training images (N, C, H, W).

        Its filters are the eigenvectors of the patches' covariance over the roots of their
        eigenvalues, and their negatives, so that the activation after it loses nothing.
        """
        patches = F.unfold(images.float(), PATCH).transpose(1, 2).reshape(-1, self._patch_size)
        covariance = torch.cov(patches.double().cpu().T)
        values, vectors = torch.linalg.eigh(covariance)
        scaled = vectors / (values + NOISE * values.mean()).sqrt()
        filters = scaled.T.reshape(-1, *self.whitening.weight.shape[1:])
        self.whitening.weight.copy_(torch.cat([filters, -filters]))

    @property
    def _patch_size(self) -> int:
        return self.whitening.weight[0].numel()

    def forward(self, x: Tensor) -> Tensor:
        maps = self.blocks(F.gelu(self.whitening(x)))
        pooled = self.dropout(maps.amax((2, 3)))
        return self.head(pooled) / 9


class _Block(nn.Module):
    """Convolution, halving, norm; convolution, norm; the sizes 31 → 15 → 7 → 3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = _handing_on(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
        self.second = _handing_on(nn.Conv2d(outputs, outputs, 3, padding=1, bias=False))
        self.first_norm, self.second_norm = _norm(outputs), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.first_norm(F.max_pool2d(self.first(x), 2)))
        return F.gelu(self.second_norm(self.second(x)))


def _handing_on(conv: nn.Conv2d) -> nn.Conv2d:
    """The first filters hand their input on, the others are drawn as usual."""
    nn.init.dirac_(conv.weight[: conv.in_channels].detach())
    return conv


def _norm(maps: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(maps, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


@register_model
def orthowatt_speednet(
    pretrained: bool = False,
    *,
    num_classes: int = 100,
    in_chans: int = 3,
    drop_rate: float = 0.0,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Any = None,
    cache_dir: Any = None,
) -> nn.Module:
    """timm.create_model("orthowatt_speednet"): the network of the recipe `speed32`."""
    return SpeedNet(num_classes, in_chans, drop_rate=drop_rate)
