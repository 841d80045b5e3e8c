"""Inside the residual branch, before the addition: every block that is said to be known."""

import functools

import pytest
import timm.models as tm
import torch
import torchvision.models as tv
from torch import nn

import orthowatt as ow
from orthowatt.errors import InputError
from orthowatt.models.blocks import BRANCHES, branch_end, stages


class Zero(nn.Module):
    def forward(self, x):
        return x * 0


def _mobile(block, **options):
    return block(16, 16, **options)


def _mbconv(config, block):
    return block(config(2, 3, 1, 16, 16, 1), 0.1, nn.BatchNorm2d)


_norm = functools.partial(nn.BatchNorm2d)
_groups = functools.partial(tm.resnetv2.GroupNormAct, num_groups=4)
BLOCKS = {
    ("timm", "resnet", "BasicBlock"): lambda: tm.resnet.BasicBlock(16, 16),
    ("timm", "resnet", "Bottleneck"): lambda: tm.resnet.Bottleneck(16, 4),
    ("timm", "res2net", "Bottle2neck"): lambda: tm.res2net.Bottle2neck(
        16, 4, act_layer=nn.ReLU, norm_layer=nn.BatchNorm2d
    ),
    ("timm", "resnest", "ResNestBottleneck"): lambda: tm.resnest.ResNestBottleneck(16, 4),
    ("timm", "sknet", "SelectiveKernelBasic"): lambda: tm.sknet.SelectiveKernelBasic(16, 16),
    ("timm", "sknet", "SelectiveKernelBottleneck"): lambda: tm.sknet.SelectiveKernelBottleneck(
        16, 4
    ),
    ("timm", "resnetv2", "PreActBasic"): lambda: tm.resnetv2.PreActBasic(
        16, 16, norm_layer=_groups
    ),
    ("timm", "resnetv2", "PreActBottleneck"): lambda: tm.resnetv2.PreActBottleneck(
        16, 16, norm_layer=_groups
    ),
    ("timm", "resnetv2", "Bottleneck"): lambda: tm.resnetv2.Bottleneck(16, 16, norm_layer=_groups),
    ("timm", "regnet", "Bottleneck"): lambda: tm.regnet.Bottleneck(
        16, 16, downsample="conv1x1", group_size=4
    ),
    ("timm", "regnet", "PreBottleneck"): lambda: tm.regnet.PreBottleneck(
        16, 16, downsample="conv1x1", group_size=4
    ),
    ("timm", "convnext", "ConvNeXtBlock"): lambda: tm.convnext.ConvNeXtBlock(16),
    ("timm", "_efficientnet_blocks", "ConvBnAct"): lambda: _mobile(
        tm._efficientnet_blocks.ConvBnAct, kernel_size=3, skip=True
    ),
    ("timm", "_efficientnet_blocks", "DepthwiseSeparableConv"): lambda: _mobile(
        tm._efficientnet_blocks.DepthwiseSeparableConv
    ),
    ("timm", "_efficientnet_blocks", "InvertedResidual"): lambda: _mobile(
        tm._efficientnet_blocks.InvertedResidual
    ),
    ("timm", "_efficientnet_blocks", "UniversalInvertedResidual"): lambda: _mobile(
        tm._efficientnet_blocks.UniversalInvertedResidual
    ),
    ("timm", "_efficientnet_blocks", "EdgeResidual"): lambda: _mobile(
        tm._efficientnet_blocks.EdgeResidual
    ),
    ("torchvision", "resnet", "BasicBlock"): lambda: tv.resnet.BasicBlock(16, 16),
    ("torchvision", "resnet", "Bottleneck"): lambda: tv.resnet.Bottleneck(16, 4),
    ("torchvision", "mobilenetv2", "InvertedResidual"): lambda: tv.mobilenetv2.InvertedResidual(
        16, 16, 1, 2
    ),
    ("torchvision", "mobilenetv3", "InvertedResidual"): lambda: tv.mobilenetv3.InvertedResidual(
        tv.mobilenetv3.InvertedResidualConfig(16, 3, 32, 16, True, "RE", 1, 1, 1.0), _norm
    ),
    ("torchvision", "efficientnet", "MBConv"): lambda: _mbconv(
        tv.efficientnet.MBConvConfig, tv.efficientnet.MBConv
    ),
    ("torchvision", "efficientnet", "FusedMBConv"): lambda: _mbconv(
        tv.efficientnet.FusedMBConvConfig, tv.efficientnet.FusedMBConv
    ),
    ("torchvision", "convnext", "CNBlock"): lambda: tv.convnext.CNBlock(16, 1.0, 0.1),
    ("torchvision", "regnet", "ResBottleneckBlock"): lambda: tv.regnet.ResBottleneckBlock(
        16, 16, 1, nn.BatchNorm2d, nn.ReLU, 4, 1.0, 0.25
    ),
    ("torchvision", "mnasnet", "_InvertedResidual"): lambda: tv.mnasnet._InvertedResidual(
        16, 16, 3, 1, 2
    ),
}


def test_every_known_block_is_tested():
    assert set(BLOCKS) == set(BRANCHES)


@pytest.mark.parametrize("key", BLOCKS, ids="-".join)
def test_a_zero_in_the_branch_leaves_the_shortcut(key):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        block = BLOCKS[key]().eval()
        for module in block.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, 0.5, 1.5)
    x = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0))
    shortcut = block.norm1(x) if key[2] == "PreBottleneck" else x
    if isinstance(getattr(block, "downsample", None), nn.Module):
        shortcut = block.downsample(shortcut)
    model = nn.Sequential(block)
    before = model(x.clone())
    assert not any(torch.allclose(before, s) for s in (shortcut, shortcut.relu()))
    edits = ow.insert(model, {"0": Zero()}, where="branch")
    after = model(x.clone())
    assert any(torch.equal(after, s) for s in (shortcut, shortcut.relu()))
    edits.undo()
    assert torch.equal(model(x.clone()), before)


@pytest.mark.parametrize("drop_path", [None, nn.Identity()])
def test_the_layer_comes_last_in_the_branch(drop_path):
    block = tm.resnet.Bottleneck(16, 4, drop_path=drop_path)
    assert branch_end(block) == ("bn3" if drop_path is None else "drop_path")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("conv1", "conv1 is Sequential; where='after' at 'conv1.6' would do"),
        ("layer1", "layer1 is Sequential; name a block inside it, such as 'layer1.0'"),
        ("", "the model is ResNet; name a block inside it, such as 'layer1.0'"),
    ],
)
def test_elsewhere_the_error_names_what_would_do(name, words):
    model = tm.create_model("orthowatt_resnet8")
    with pytest.raises(InputError, match=words):
        ow.insert(model, {name: ow.nn.WHT2d}, where="branch")


def test_a_block_without_a_shortcut_is_refused():
    model = nn.Sequential(tv.mobilenetv2.InvertedResidual(16, 24, 1, 2))
    with pytest.raises(InputError, match=r"has no shortcut, .* where='after' at '0' would do"):
        ow.insert(model, {"0": ow.nn.WHT2d}, where="branch")


def test_stages_are_found():
    resnet = [("layer1.0", "layer1.2"), ("layer2.0", "layer2.3")]
    assert stages(tm.create_model("resnet50"))[:2] == resnet
    assert stages(tv.resnet50())[:2] == resnet
    mobile = stages(tm.create_model("mobilenetv3_small_050"))
    assert (mobile[0], mobile[-2]) == (("blocks.0.0", "blocks.0.0"), ("blocks.4.0", "blocks.4.2"))
    dense = stages(tm.create_model("densenet121"))
    assert dense[0] == ("features.denseblock1", "features.denseblock1")
    assert stages(nn.Sequential(nn.Conv2d(1, 1, 1))) == []
