"""The model of a run: backbone, inserted transform, and what the insertion changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..config import RunConfig
from ..data import stream
from ..data.loader import Batches
from ..data.seeds import derive
from ..data.sources import Dataset
from ..errors import InputError
from ..models import cost, zoo
from ..models.speed import SpeedNet
from ..models.surgery import Edits
from .ranks import Ranks
from .runtime import seed_globals, useful_threads

#: Mean and deviation of ImageNet's photos, which pretrained networks were fed with.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
ALONE = Ranks()
#: Train images whose logits are compared before and after the insertion.
PROBE_IMAGES = 32


@dataclass
class Prepared:
    """A model on its device, the sites of its transforms, and metrics that need no training."""

    model: nn.Module
    layers: list[dict[str, Any]]
    metrics: dict[str, float | None]


def normalisation(config: RunConfig, dataset: Dataset) -> tuple[str, tuple, tuple]:
    """Whose mean and deviation the images are normalised with, and both, one a channel.

    Those that the network's published weights expect (ImageNet's where none are known) for
    networks that come with weights and take three channels, else the training set's own.
    """
    if (config.pretrained or config.weights) and dataset.channels == 3:
        expected = zoo.expected_statistics(config.model)
        if expected not in (None, IMAGENET):
            return f"the weights of {config.model}", *expected
        return "ImageNet", *IMAGENET
    return "the training images", dataset.mean, dataset.std


def prepare(
    config: RunConfig,
    dataset: Dataset,
    probe: Tensor,
    device: torch.device,
    at_once: int | None = None,
) -> Prepared:
    """Build the network of `config` for `dataset`; `probe` are prepared images for `logit_shift`.

    They go through it `at_once` (default: `batch_size`), as many as a training step may hold. The
    backbone is built first and from the seed alone, so that runs of one seed share it whatever is
    inserted. Seeds torch's global generator and sets its number of threads: call it where those are
    the run's own.
    """
    seed_globals(derive(config.seed, "model"), torch.device("cpu"))
    model = zoo.build(
        config.model,
        num_classes=len(dataset.classes),
        in_chans=dataset.channels,
        pretrained=config.pretrained,
        weights=config.weights,
        dropout=config.dropout,
    )
    if isinstance(model, SpeedNet) and not config.weights:
        model.whiten(probe)
    _place(model, config, device)
    shape = (dataset.channels, config.image_size, config.image_size)
    plain = cost.count(model, shape)
    if device.type == "cpu":
        macs = plain.macs * config.batch_size
        torch.set_num_threads(useful_threads(macs, torch.get_num_threads()))
    at_once = at_once or config.batch_size
    before = logits(model, probe, at_once)
    layers = insert(model, config, dataset.channels).to_list()
    zoo.freeze(model, config.freeze)
    _place(model, config, device)  # the new layers too
    metrics = _added(plain, cost.count(model, shape))
    metrics["logit_shift"] = relative_change(before, logits(model, probe, at_once))
    return Prepared(model, layers, metrics)


def outline(config: RunConfig, classes: int, channels: int) -> nn.Module:
    """The network of `config` with its transform, on "meta": shapes without memory or values."""
    model = zoo.outline(
        config.model, num_classes=classes, in_chans=channels, dropout=config.dropout
    )
    with torch.device("meta"):
        insert(model, config, channels)
    zoo.freeze(model, config.freeze)
    return model.to(memory_format=torch.channels_last) if config.channels_last else model


def insert(model: nn.Module, config: RunConfig, channels: int) -> Edits:
    """Put the configured transform into `model`."""
    return zoo.insert_transform(
        model,
        config.transform,
        config.position,
        config.layer,
        dims=config.dims,
        order=config.order,
        pad=config.pad,
        norm=config.norm,
        fft_log=config.fft_log,
        wht_by=config.wht_by,
        image_size=config.image_size,
        in_chans=channels,
        seed=config.seed,
    )


def _added(plain: cost.Cost, changed: cost.Cost) -> dict[str, float | None]:
    """What a forward pass of one image costs, and what of it the insertion added."""
    return {
        "macs": changed.macs,
        "added_macs_dense": changed.transform_macs_dense - plain.transform_macs_dense,
        "added_adds_fast": changed.transform_adds_fast - plain.transform_adds_fast,
        "added_mults_fast": changed.transform_mults_fast - plain.transform_mults_fast,
        "parameters": changed.parameters,
        "added_parameters": changed.parameters - plain.parameters,
    }


def _place(model: nn.Module, config: RunConfig, device: torch.device) -> None:
    model.to(device)
    if config.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


@dataclass
class Parts:
    """The batches of a run, and the probe: its first training images, not augmented."""

    train: Batches
    validation: Batches
    test: Batches
    probe: Tensor


def batches(
    config: RunConfig,
    dataset: Dataset,
    indices: tuple[Tensor, Tensor, Tensor],
    mean: tuple[float, ...],
    std: tuple[float, ...],
    ranks: Ranks = ALONE,
    at_once: int | None = None,
) -> Parts:
    """The batches of each part of `dataset`; `indices` are those of train, validation and test.

    With several processes they are this one's share. The images that are scored come `at_once`
    (default: this process's share of a batch): no more than a training step may hold. Raises
    `InputError` where a batch cannot be shared equally.
    """
    train, validation, test = indices
    if ranks.size > 1 and len(train) < config.batch_size:
        raise InputError(
            f"there are {len(train)} training images, but {ranks.size} processes need a whole "
            f"batch of {config.batch_size}; give a smaller batch_size"
        )
    part = ranks.share(config.batch_size)
    share = (ranks.rank, ranks.size)
    common: dict[str, Any] = {
        "image_size": config.image_size,
        "mean": mean,
        "std": std,
        "channels_last": config.channels_last,
    }
    whole, scored = (
        {"batch_size": config.batch_size, **common},
        {"batch_size": at_once or part, **common},
    )
    images, labels = dataset.train_images, dataset.train_labels
    first = torch.arange(len(labels))[:PROBE_IMAGES]
    return Parts(
        train=stream.batches(
            images,
            labels,
            indices=train,
            train=True,
            crop_padding=config.crop_padding,
            flip=config.flip,
            alternate_flip=config.alternate_flip,
            seed=config.seed,
            share=share,
            **whole,
        ),
        validation=stream.batches(images, labels, indices=validation, share=share, **scored),
        test=stream.batches(
            dataset.test_images, dataset.test_labels, indices=test, share=share, **scored
        ),
        probe=next(iter(stream.batches(images, labels, indices=first, **whole)))[0],
    )


@torch.inference_mode()
def logits(model: nn.Module, images: Tensor, at_once: int = PROBE_IMAGES) -> Tensor:
    """The logits in evaluation mode (no dropout), float64; the model's mode stays."""
    training = model.training
    model.eval()
    found = torch.cat([model(some).double() for some in images.split(at_once)])
    model.train(training)
    return found


def relative_change(before: Tensor, after: Tensor) -> float | None:
    """‖after − before‖ / ‖before‖ (Frobenius); None where that is no number."""
    if before.shape != after.shape:
        return None
    size = torch.linalg.vector_norm(before).item()
    return torch.linalg.vector_norm(after - before).item() / size if size else None
