"""The networks of the paper and of the studies, built by name; timm makes them by name as well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import timm
import torch
from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import nn

from ..errors import InputError, closest
from . import keras, site
from . import weights as files
from .positions import insert_transform

__all__ = ["build", "freeze", "insert_transform", "paper_resnet50"]

OWN = ("orthowatt_resnet50", "orthowatt_resnet18", "orthowatt_resnet8")
#: timm's name of the weights that `pretrained=True` takes, where its own default is another.
_PRETRAINED = {"resnet50": "resnet50.tv_in1k"}


def build(
    name: str,
    *,
    num_classes: int,
    in_chans: int = 3,
    pretrained: bool = False,
    weights: str | None = None,
    dropout: float = 0.0,
) -> nn.Module:
    """A timm model by name, or one of "orthowatt_resnet50" (the paper's), "…18" and "…8" (small).

    orthowatt_resnet18 is ResNet-18 for images of 32×32: its stem, a 3×3 convolution without stride
    or pooling, keeps the size, so its stages work on 32, 16, 8 and 4 pixels. orthowatt_resnet8 has
    four stages of one basic block on maps of 16, 32, 64 and 128 channels, at 16×16, 8×8, 4×4 and
    2×2 for images of 32×32. `weights` is a file (safetensors or pth) and goes before `pretrained`;
    a head of another size is replaced. Initial weights are drawn from torch's global generator, as
    timm's are. Raises `InputError` for an unknown name, `DataError` where weights cannot be had.

    >>> import torch
    >>> build("orthowatt_resnet8", num_classes=10, in_chans=1)(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 10])
    """
    fetch = pretrained and weights is None
    if name in _SMALL:
        if fetch:
            raise InputError(f"{name} has no pretrained weights; set pretrained=False")
        model = _SMALL[name](num_classes, in_chans, dropout)
    else:
        known = "resnet50" if name == "orthowatt_resnet50" else name
        model = _timm(known, fetch, num_classes, in_chans, dropout)
    if weights is not None:
        files.load_weights(model, weights)
    return model


def outline(name: str, *, num_classes: int, in_chans: int = 3, dropout: float = 0.0) -> nn.Module:
    """The network that `build` makes, on "meta": shapes without values; no random number is drawn.

    >>> next(outline("orthowatt_resnet8", num_classes=10).parameters()).device.type
    'meta'
    """
    options: dict[str, Any] = {"num_classes": num_classes, "in_chans": in_chans, "dropout": dropout}
    try:
        with torch.device("meta"):
            return build(name, **options)
    except RuntimeError:  # some take their widths from tensors, which have no values there
        with torch.random.fork_rng(devices=[]):
            return build(name, **options).to("meta")


def expected_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation, a channel each, of the images that `name`'s published weights expect.

    None where timm knows of no published weights.

    >>> expected_statistics("tf_efficientnet_lite0")
    ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    """
    known = "resnet50" if name == "orthowatt_resnet50" else name
    chosen = _PRETRAINED.get(known, known)
    if name in _SMALL or not timm.is_model(known) or not timm.is_model_pretrained(chosen):
        return None
    found = timm.get_pretrained_cfg(chosen)
    return None if found is None else (tuple(found.mean), tuple(found.std))


def paper_resnet50(
    transform: str,
    position: str,
    layer: str = "bare",
    *,
    dims: Sequence[int] = (-2, -1),
    order: str = "exact",
    pad: str | None = "crop",
    norm: str | None = "ortho",
    dropout: float = 0.5,
    freeze: Sequence[str] = (),
    num_classes: int = 100,
    pretrained: bool = True,
    weights: str | None = None,
    image_size: int = 224,
    in_chans: int = 3,
    fft_log: bool = False,
    seed: int = 0,
) -> nn.Module:
    """The paper's network: ResNet-50, pretrained on ImageNet, with a transform at a position.

    `transform` is none, identity, random, wht, dct, dst, hartley, fft or fft-realimag; `position`
    input, early, late, early+late or final; `layer` "bare" or "filter". `freeze` names stages or
    modules, in Keras's names (conv1 … conv5, conv2_block1) or torch's. `pretrained=True` takes
    timm's resnet50.tv_in1k; `weights` a file instead. Source: arXiv 2506.16418.

    >>> model = paper_resnet50("wht", "early+late", pretrained=False)
    >>> print(repr(model).splitlines()[1].strip())
    [layer3.5.orthowatt_after: WHT2d not orthogonal at 14×14 (cropped from 16×16)]
    """
    model = build(
        "orthowatt_resnet50", num_classes=num_classes, in_chans=in_chans, pretrained=pretrained,
        weights=weights, dropout=dropout,
    )  # fmt: skip
    _freeze(model, freeze)
    insert_transform(
        model, transform, position, layer, dims=dims, order=order, pad=pad, norm=norm,
        fft_log=fft_log, image_size=image_size, in_chans=in_chans, seed=seed,
    )  # fmt: skip
    return model


def freeze(model: nn.Module, names: Iterable[str]) -> tuple[str, ...]:
    """Exclude modules from training, in place; the names of their parameters, now without gradient.

    `names` are modules of the model, or Keras's for a ResNet: conv1 is the stem with its norm,
    conv2 … conv5 the stages, conv2_block1 a block. As in Keras, a frozen batch norm stays in
    evaluation, also under `model.train()`. Layers inserted by orthowatt stay trainable. Raises
    `InputError` for an unknown name, and nothing is frozen then.

    >>> model = build("resnet18", num_classes=10)
    >>> freeze(model, ["conv1"])
    ('conv1.weight', 'bn1.weight', 'bn1.bias')
    """
    modules: list[str] = []
    for name in names:
        found = keras.freezable(name, model)
        if not found:
            known = [n for n, _ in model.named_modules() if n]
            names_known = dict.fromkeys(["conv1", *keras.names(model), *known])
            hint = closest(str(name), names_known)
            raise InputError(f"the model has no part {name!r} to freeze; {hint}")
        modules += found
    frozen = {}
    for path in modules:
        part = model.get_submodule(path)
        for key, parameter in part.named_parameters():
            if "orthowatt_" not in key:
                parameter.requires_grad_(False)
                frozen[f"{path}.{key}"] = parameter
        for norm in part.modules():
            if isinstance(norm, nn.modules.batchnorm._BatchNorm):
                site.freeze_statistics(norm)
    return tuple(frozen)


_freeze = freeze


def _timm(name: str, fetch: bool, num_classes: int, in_chans: int, dropout: float) -> nn.Module:
    if not timm.is_model(name):
        raise InputError(
            f"timm has no model {name!r}; {closest(name, [*timm.list_models(), *OWN])}"
        )
    options: dict[str, Any] = {
        "num_classes": num_classes, "in_chans": in_chans, "drop_rate": dropout,
    }  # fmt: skip
    if not fetch:
        return timm.create_model(name, **options)
    chosen = _PRETRAINED.get(name, name)
    if not timm.is_model_pretrained(chosen):
        raise InputError(f"timm has no pretrained weights for {name}; set pretrained=False")
    files.check_hub(chosen)
    try:
        return timm.create_model(chosen, pretrained=True, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise files.no_weights(chosen, str(error).splitlines()[0]) from error


def _resnet8(num_classes: int, in_chans: int, dropout: float) -> ResNet:
    model = ResNet(
        BasicBlock,  # pyright: ignore[reportArgumentType]  (timm annotates the instance)
        (1, 1, 1, 1), num_classes=num_classes, in_chans=in_chans, drop_rate=dropout,
        channels=(16, 32, 64, 128), stem_type="deep", stem_width=8,
    )  # fmt: skip
    # Small images: the stem halves them once, so that the first stage still has 16×16 maps.
    model.maxpool = nn.Identity()
    return model


def _resnet18(num_classes: int, in_chans: int, dropout: float) -> ResNet:
    model = ResNet(
        BasicBlock,  # pyright: ignore[reportArgumentType]  (timm annotates the instance)
        (2, 2, 2, 2), num_classes=num_classes, in_chans=in_chans, drop_rate=dropout,
    )  # fmt: skip
    # As usual for CIFAR: the stem of ImageNet would leave 8×8 of 32×32 pixels to the first stage.
    model.conv1 = nn.Conv2d(in_chans, 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()
    for info, reduction in zip(model.feature_info, (1, 1, 2, 4, 8), strict=True):
        info["reduction"] = reduction
    return model


_SMALL = {"orthowatt_resnet8": _resnet8, "orthowatt_resnet18": _resnet18}


@register_model
def orthowatt_resnet50(
    pretrained: bool = False,
    *,
    transform: str = "none",
    position: str = "early+late",
    num_classes: int = 1000,
    drop_rate: float = 0.0,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Any = None,
    cache_dir: Any = None,
    **options: Any,
) -> nn.Module:
    """timm.create_model("orthowatt_resnet50", transform=…): `paper_resnet50` by its other name."""
    return paper_resnet50(
        transform, position, pretrained=pretrained, num_classes=num_classes, dropout=drop_rate,
        **options,
    )  # fmt: skip


@register_model
def orthowatt_resnet8(
    pretrained: bool = False,
    *,
    num_classes: int = 1000,
    in_chans: int = 3,
    drop_rate: float = 0.0,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Any = None,
    cache_dir: Any = None,
) -> nn.Module:
    """timm.create_model("orthowatt_resnet8"): the small network of the studies."""
    return build(
        "orthowatt_resnet8", num_classes=num_classes, in_chans=in_chans, pretrained=pretrained,
        dropout=drop_rate,
    )  # fmt: skip


@register_model
def orthowatt_resnet18(
    pretrained: bool = False,
    *,
    num_classes: int = 1000,
    in_chans: int = 3,
    drop_rate: float = 0.0,
    pretrained_cfg: Any = None,
    pretrained_cfg_overlay: Any = None,
    cache_dir: Any = None,
) -> nn.Module:
    """timm.create_model("orthowatt_resnet18"): ResNet-18 with a stem for images of 32×32."""
    return build(
        "orthowatt_resnet18", num_classes=num_classes, in_chans=in_chans, pretrained=pretrained,
        dropout=drop_rate,
    )  # fmt: skip
