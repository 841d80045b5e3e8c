"""What is known of timm's and torchvision's residual blocks: the branch's end, the stages."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from .site import original_class


@dataclass(frozen=True)
class Branch:
    """A block x + branch(x): `ends` are the children that can come last, the last one first.

    `skips` names the attribute that says whether the block has its shortcut at all; `needs` the
    one that must not be None for that.
    """

    ends: tuple[str, ...]
    skips: str = ""
    needs: str = ""


_RESNET = Branch(("drop_path", "se", "bn3"))
_RESNET_BASIC = Branch(("drop_path", "se", "bn2"))
_DROP_PATH = Branch(("drop_path",))
_MOBILE = Branch(("drop_path",), skips="has_skip")
_REGNET = Branch(("drop_path",), needs="downsample")

#: (package, module, class) of a residual block -> its branch
BRANCHES = {
    ("timm", "resnet", "BasicBlock"): _RESNET_BASIC,
    ("timm", "resnet", "Bottleneck"): _RESNET,
    ("timm", "res2net", "Bottle2neck"): _RESNET,
    ("timm", "resnest", "ResNestBottleneck"): Branch(("drop_path", "bn3")),
    ("timm", "sknet", "SelectiveKernelBasic"): Branch(("drop_path", "se", "conv2")),
    ("timm", "sknet", "SelectiveKernelBottleneck"): Branch(("drop_path", "se", "conv3")),
    ("timm", "resnetv2", "PreActBasic"): _DROP_PATH,
    ("timm", "resnetv2", "PreActBottleneck"): _DROP_PATH,
    ("timm", "resnetv2", "Bottleneck"): _DROP_PATH,
    ("timm", "regnet", "Bottleneck"): _REGNET,
    ("timm", "regnet", "PreBottleneck"): _REGNET,
    ("timm", "convnext", "ConvNeXtBlock"): _DROP_PATH,
    ("timm", "_efficientnet_blocks", "ConvBnAct"): _MOBILE,
    ("timm", "_efficientnet_blocks", "DepthwiseSeparableConv"): _MOBILE,
    ("timm", "_efficientnet_blocks", "InvertedResidual"): _MOBILE,
    ("timm", "_efficientnet_blocks", "UniversalInvertedResidual"): _MOBILE,
    ("timm", "_efficientnet_blocks", "EdgeResidual"): _MOBILE,
    ("torchvision", "resnet", "BasicBlock"): Branch(("bn2",)),
    ("torchvision", "resnet", "Bottleneck"): Branch(("bn3",)),
    ("torchvision", "mobilenetv2", "InvertedResidual"): Branch(("conv",), "use_res_connect"),
    ("torchvision", "mobilenetv3", "InvertedResidual"): Branch(("block",), "use_res_connect"),
    ("torchvision", "efficientnet", "MBConv"): Branch(("stochastic_depth",), "use_res_connect"),
    ("torchvision", "efficientnet", "FusedMBConv"): Branch(
        ("stochastic_depth",), "use_res_connect"
    ),
    ("torchvision", "convnext", "CNBlock"): Branch(("stochastic_depth",)),
    ("torchvision", "regnet", "ResBottleneckBlock"): Branch(("f",)),
    ("torchvision", "mnasnet", "_InvertedResidual"): Branch(("layers",), "apply_residual"),
}

#: What timm calls the parts of `feature_info` that come before the first stage.
_STEMS = {"stem", "conv_stem", "norm0", ""}


def branch_of(block: nn.Module) -> Branch | None:
    """What is known of a block's class or of one that it is derived from; None elsewhere."""
    for kind in original_class(block).__mro__:
        package, _, rest = kind.__module__.partition(".")
        found = BRANCHES.get((package, rest.rpartition(".")[2], kind.__name__))
        if found is not None:
            return found
    return None


def branch_end(block: nn.Module) -> str | None:
    """The child of a residual block after which the shortcut is added; None without a shortcut."""
    branch = branch_of(block)
    if branch is None:
        return None
    if branch.skips and not getattr(block, branch.skips):
        return None
    if branch.needs and getattr(block, branch.needs) is None:
        return None
    return next((end for end in branch.ends if getattr(block, end, None) is not None), None)


def stages(model: nn.Module) -> list[tuple[str, str]]:
    """(first block, last block) of every stage of a CNN by name, in order; [] where none is known.

    A stage is a module whose children are all residual blocks known here; in a timm model with
    fewer than two of those, each entry of `feature_info` but the stem marks one.
    """
    found = []
    for name, module in model.named_modules():
        blocks = _blocks(module)
        if blocks and all(branch_of(getattr(module, block)) for block in blocks):
            dot = f"{name}." if name else ""
            found.append((dot + blocks[0], dot + blocks[-1]))
    if len(found) > 1:
        return found
    entries = [entry["module"] for entry in getattr(model, "feature_info", None) or []]
    return _from_features(model, [n for n in entries if _STEMS.isdisjoint(n.split("."))])


def _from_features(model: nn.Module, entries: list[str]) -> list[tuple[str, str]]:
    """Stages from the modules after which timm takes a map of each resolution.

    Such a module is the stage itself, or the last block of a sequence that is; a stage may keep its
    blocks in a sequence of its own called `blocks`.
    """
    parents = [name.rpartition(".")[0] for name in entries]
    found = []
    for name, parent in zip(entries, parents, strict=True):
        first = last = name
        if parents.count(parent) == 1 and isinstance(_find(model, parent), nn.Sequential):
            first = f"{parent}.{_blocks(model.get_submodule(parent))[0]}"
        else:
            for inside in (f"{name}.blocks", name):
                held = _find(model, inside)
                if isinstance(held, (nn.Sequential, nn.ModuleList)) and _blocks(held):
                    first = f"{inside}.{_blocks(held)[0]}"
                    # what a stage does behind its `blocks` belongs to it
                    last = f"{name}.{_blocks(held)[-1]}" if inside == name else name
                    break
        found.append((first, last))
    return found


def _blocks(module: nn.Module) -> list[str]:
    """The names of a module's children, layers put in by orthowatt left out."""
    return [key for key, _ in module.named_children() if not key.startswith("orthowatt_")]


def _find(model: nn.Module, name: str) -> nn.Module | None:
    try:
        return model.get_submodule(name) if name else None
    except AttributeError:
        return None
