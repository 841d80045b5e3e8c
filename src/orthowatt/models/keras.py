"""Keras's names for the parts of a ResNet, beside those of timm and torchvision."""

from __future__ import annotations

import re

from torch import nn

_BLOCK = re.compile(r"conv([2-5])_block(\d+)(?:_([0-3])_(conv|bn|relu)|_out|_add)?")
_STAGE = re.compile(r"conv([2-5])(?:_x)?")
_STEM = {
    "conv1_conv": ("conv1",),
    "conv1_bn": ("bn1",),
    "conv1_relu": ("act1", "relu"),
    "pool1_pool": ("maxpool",),
    "avg_pool": ("global_pool", "avgpool"),
    "predictions": ("fc",),
}


def module_name(name: str, model: nn.Module) -> str | None:
    """The module of a ResNet that Keras calls `name`, or None where there is none.

    conv2_block1 and conv2_block1_out are the first block of layer1, conv4 (or conv4_x) is layer3,
    conv3_block2_1_conv the first convolution of layer2.1, its _0_ the shortcut's.

    >>> from timm.models import create_model
    >>> module_name("conv4_block6_out", create_model("resnet50"))
    'layer3.5'
    """
    for candidate in _candidates(name):
        if _exists(model, candidate):
            return candidate
    return None


def freezable(name: str, model: nn.Module) -> tuple[str, ...]:
    """The modules that freezing `name` reaches: Keras's conv1 is the stem with its norm.

    >>> from timm.models import create_model
    >>> freezable("conv1", create_model("resnet18"))
    ('conv1', 'bn1')
    """
    if name == "conv1" and _is_resnet(model):
        return ("conv1", "bn1")
    if name and _exists(model, name):
        return (name,)
    found = module_name(name, model)
    return () if found is None else (found,)


def names(model: nn.Module) -> list[str]:
    """Keras's names of the stages and blocks that the model has; [] where it is no ResNet."""
    if not _is_resnet(model):
        return []
    found = []
    for stage in range(2, 6):
        layer = getattr(model, f"layer{stage - 1}", None)
        if isinstance(layer, nn.Module):
            found.append(f"conv{stage}")
            found += [f"conv{stage}_block{i + 1}" for i, _ in enumerate(layer.children())]
    return found


def _is_resnet(model: nn.Module) -> bool:
    return all(_exists(model, name) for name in ("conv1", "bn1", "layer1"))


def _candidates(name: str) -> tuple[str, ...]:
    if name in _STEM:
        return _STEM[name]
    stage = _STAGE.fullmatch(name)
    if stage:
        return (f"layer{int(stage[1]) - 1}",)
    block = _BLOCK.fullmatch(name)
    if not block:
        return ()
    path = f"layer{int(block[1]) - 1}.{int(block[2]) - 1}"
    number, part = block[3], block[4]
    if part is None:
        return (path,)
    if number == "0":
        return (f"{path}.downsample.{'0' if part == 'conv' else '1'}",) if part != "relu" else ()
    parts = {"conv": f"conv{number}", "bn": f"bn{number}", "relu": f"act{number}"}
    return (f"{path}.{parts[part]}",)


def _exists(model: nn.Module, name: str) -> bool:
    try:
        model.get_submodule(name)
    except AttributeError:
        return False
    return True
