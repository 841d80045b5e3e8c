"""The networks by name, every transform at every position, freezing, and timm's registry."""

import functools
import math
import subprocess
import sys

import pytest
import timm
import torch
from torch import nn

import orthowatt as ow
from orthowatt import config
from orthowatt.errors import DataError, InputError
from orthowatt.models import positions, zoo
from orthowatt.models.cost import count
from orthowatt.models.zoo import (
    build,
    expected_statistics,
    freeze,
    insert_transform,
    outline,
    paper_resnet50,
)

SITES = {
    "input": ["conv1.orthowatt_before"],
    "early": ["layer1.0.orthowatt_after"],
    "late": ["layer3.5.orthowatt_after"],
    "early+late": ["layer1.0.orthowatt_after", "layer3.5.orthowatt_after"],
    "final": ["layer4.2.orthowatt_after"],
}
SHAPES = {
    "conv1": (3, 224, 224),
    "layer1": (256, 56, 56),
    "layer3": (1024, 14, 14),
    "layer4": (2048, 7, 7),
}


def on_meta(*arguments, **options):
    """The paper's network without memory for its weights: the surgery is the same."""
    with torch.device("meta"):
        return paper_resnet50(*arguments, pretrained=False, **options)


def test_the_choices_are_those_of_the_configuration():
    assert positions.TRANSFORMS == config.TRANSFORMS
    assert positions.POSITIONS == config.POSITIONS
    assert positions.LAYERS == config.LAYERS


@functools.cache
def plain_keys():
    return set(on_meta("none", "early").state_dict())


def check_insertion(transform, position, layer):
    model, paths = on_meta(transform, position, layer), SITES[position]
    inserted = [n for n, _ in model.named_modules() if n.rpartition(".")[2][:9] == "orthowatt"]
    assert inserted == paths
    for path in paths:
        found = model.get_submodule(path)
        assert (found.filters if layer == "filter" else found.kind) == transform
        assert found.map_shape == SHAPES[path.split(".")[0]]
    added = {f"{path}.v" for path in paths} if layer == "filter" else set()
    assert set(model.state_dict()) == plain_keys() | added


@pytest.mark.parametrize("layer", positions.LAYERS)
@pytest.mark.parametrize("transform", positions.TRANSFORMS[1:])
def test_every_transform_both_ways(transform, layer):
    check_insertion(transform, "early+late", layer)


@pytest.mark.parametrize("position", positions.POSITIONS)
def test_every_position(position):
    check_insertion("wht", position, "bare")


@pytest.mark.slow
@pytest.mark.parametrize("layer", positions.LAYERS)
@pytest.mark.parametrize("transform", positions.TRANSFORMS[1:])
def test_every_transform_at_every_position(transform, layer):
    for position in positions.POSITIONS:
        check_insertion(transform, position, layer)


@pytest.mark.parametrize("dims", [(-1, -3), (-3,), (-3, -2, -1)])
def test_other_axes(dims):
    model = on_meta("wht", "early+late", dims=dims)
    assert model.layer1[0].orthowatt_after.dims == dims


def test_options_reach_the_layer():
    model = on_meta("wht", "late", order="pow2", pad="keep", norm=None)
    late = model.layer3[5].orthowatt_after
    assert (late.order, late.pad, late.norm) == ("pow2", "keep", None)
    assert on_meta("fft", "late", fft_log=True).layer3[5].orthowatt_after.log
    two = on_meta("random", "early+late", seed=3)
    seeds = {two.layer1[0].orthowatt_after.seed, two.layer3[5].orthowatt_after.seed}
    other = on_meta("random", "early+late", seed=4)
    seeds |= {other.layer1[0].orthowatt_after.seed, other.layer3[5].orthowatt_after.seed}
    assert len(seeds) == 4


def test_a_pad_that_the_network_cannot_use_is_refused():
    with pytest.raises(InputError, match=r"after layer3.5 .* size 14 .* no Hadamard matrix"):
        on_meta("wht", "late", pad=None)
    with pytest.raises(InputError, match="makes 4 channels of 3, but the next layer, conv1"):
        on_meta("wht", "input", dims=(-1, -3), pad="keep")


def test_the_papers_network_is_resnet50_with_dropout():
    model = on_meta("none", "early", num_classes=17, dropout=0.25)
    assert model.fc.out_features == 17
    assert model.drop_rate == 0.25
    assert sum(p.numel() for p in model.parameters()) == 25557032 - 983 * 2049
    assert not any("orthowatt" in name for name, _ in model.named_modules())


@pytest.mark.parametrize("transform", ["identity", "dct"])
def test_filters_and_the_identity_keep_the_function(transform):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build("orthowatt_resnet8", num_classes=5, in_chans=1).eval()
    x = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    want = model(x)
    layer = "filter" if transform == "dct" else "bare"
    for position in positions.POSITIONS:
        edits = insert_transform(
            model, transform, position, layer, image_size=32, in_chans=1, pad=None
        )
        torch.testing.assert_close(model(x), want)
        edits.undo()
    bare = insert_transform(model, "dct", "early", image_size=32, in_chans=1)
    assert not torch.allclose(model(x), want, atol=1e-3)
    bare.undo()
    none = insert_transform(model, "none", "early+late", image_size=32, in_chans=1)
    assert none.to_list() == []
    none.undo()
    assert torch.equal(model(x), want)


def test_the_small_network_has_the_maps_it_states():
    model = build("orthowatt_resnet8", num_classes=10, in_chans=1)
    for position, maps in (
        ("input", [(1, 32, 32)]),
        ("early+late", [(16, 16, 16), (64, 4, 4)]),
        ("final", [(128, 2, 2)]),
    ):
        edits = insert_transform(model, "identity", position, image_size=32, in_chans=1)
        assert [site.shape for site in edits] == maps
        edits.undo()


@pytest.mark.parametrize(
    ("name", "size", "early", "late", "final"),
    [
        ("resnet18", 64, "layer1.0", "layer3.1", "layer4.1"),
        ("mobilenetv3_small_050", 64, "blocks.0.0", "blocks.4.2", "blocks.5.0"),
        ("convnext_atto", 64, "stages.0.blocks.0", "stages.2.blocks.5", "stages.3.blocks.1"),
        ("regnetx_002", 64, "s1.b1", "s3.b4", "s4.b7"),
        ("densenet121", 64, "features.denseblock1", "features.denseblock3", "features.norm5"),
        ("resnet34", 64, "layer1.0", "layer3.5", "layer4.2"),
        ("efficientnet_b0", 64, "blocks.0.0", "blocks.5.3", "blocks.6.0"),
        # blocks that are known by timm's feature_info alone
        ("nf_resnet26", 64, "stages.0.0", "stages.2.1", "stages.3.1"),
        ("vovnet39a", 64, "stages.0.blocks.0", "stages.2", "stages.3"),
        ("ghostnet_050", 64, "blocks.1.0", "blocks.5.0", "blocks.7.0"),
    ],
)
def test_positions_in_other_networks(name, size, early, late, final):
    model = outline(name, num_classes=5)
    shape = (3, size, size)
    for position, path in (("early", early), ("late", late), ("final", final)):
        assert positions.site_names(model, position, shape) == [path]
    edits = insert_transform(model, "dct", "early+late", image_size=size)
    assert [site.path for site in edits] == [f"{p}.orthowatt_after" for p in (early, late)]
    edits.undo()
    edits = insert_transform(model, "dct", "input", image_size=size)
    assert edits.sites[0].shape == shape


def test_a_network_that_computes_its_widths_has_an_outline_too(monkeypatch):
    """As timm's RegNet does, which no torch builds on "meta" before it knows `unique` there."""

    def drawn(num_classes, in_chans, dropout):
        widths = torch.arange(8.0) + torch.rand(8)
        return torch.nn.Linear(int(widths.max().item()) // 9 + 3, num_classes)

    monkeypatch.setitem(zoo._SMALL, "drawn", drawn)
    state = torch.get_rng_state()
    assert outline("drawn", num_classes=5).weight.shape == (5, 3)
    assert outline("drawn", num_classes=5).weight.is_meta
    assert torch.equal(torch.get_rng_state(), state)


def test_a_position_may_name_modules():
    with torch.device("meta"):
        model = build("resnet18", num_classes=5)
    edits = insert_transform(model, "wht", "conv3_block2+layer1.0", image_size=64)
    assert [site.path for site in edits] == [
        "layer2.1.orthowatt_after", "layer1.0.orthowatt_after",
    ]  # fmt: skip
    edits.undo()
    with pytest.raises(InputError, match=r"position is 'layer9.0': .*no module 'layer9.0'; did"):
        insert_transform(model, "wht", "layer9.0", image_size=64)
    with pytest.raises(InputError, match="names one module twice"):
        insert_transform(model, "wht", "layer1.0+conv2_block1", image_size=64)


@pytest.mark.parametrize("layer", positions.LAYERS)
@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "efficientnet_b0"])
def test_other_networks_train_a_step(name, layer):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(name, num_classes=5)
        x = torch.randn(2, 3, 32, 32)
    plain = model.eval()(x)
    edits = insert_transform(model, "hartley", "early", layer, image_size=32)
    if layer == "filter":
        torch.testing.assert_close(model(x), plain, rtol=1e-4, atol=1e-4)
    model.train()(x).square().sum().backward()
    stem = next(model.parameters())
    assert stem.grad is not None
    assert stem.grad.isfinite().all()
    assert stem.grad.abs().max() > 0
    if layer == "filter":
        assert edits.sites[0].layer.v.grad.abs().max() > 0


def test_the_statistics_that_published_weights_expect():
    imagenet = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert expected_statistics("orthowatt_resnet50") == imagenet
    assert expected_statistics("tf_efficientnet_lite0") == ((0.5,) * 3, (0.5,) * 3)
    assert expected_statistics("orthowatt_resnet8") is None


def test_a_network_of_unknown_stages_says_what_to_do():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(InputError, match=r"stages of Sequential are not known.*orthowatt.insert"):
        insert_transform(model, "wht", "late", image_size=8)


FREEZES = {
    "conv1": {"conv1", "bn1"},
    "conv2": {"layer1"},
    "conv3_x": {"layer2"},
    "conv4_block6": {"layer3.5"},
    "conv5_block3_out": {"layer4.2"},
    "conv2_block1_0_conv": {"layer1.0.downsample.0"},
    "conv2_block1_2_bn": {"layer1.0.bn2"},
    "layer4.1": {"layer4.1"},
    "fc": {"fc"},
}


@pytest.mark.parametrize("name", FREEZES)
def test_freezing_by_either_name(name):
    model = on_meta("dct", "early", "filter", freeze=[name])
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    want = {
        n
        for n, _ in model.named_parameters()
        if any(n.startswith(f"{part}.") for part in FREEZES[name]) and "orthowatt" not in n
    }
    assert want
    assert frozen == want


def test_a_frozen_norm_keeps_its_statistics():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build("orthowatt_resnet8", num_classes=5)
    names = freeze(model, ["conv2", "layer2"])
    assert names[0] == "layer1.0.conv1.weight"
    keys = list(model.state_dict())
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model(torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    changed = {
        k.split(".")[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])
    }
    assert changed == {"conv1", "bn1", "layer3", "layer4"}
    assert list(model.state_dict()) == keys
    assert isinstance(model.layer1[0].bn1, nn.BatchNorm2d)
    assert model.layer3[0].bn1.training


def test_freezing_an_unknown_part_freezes_nothing():
    model = build("orthowatt_resnet8", num_classes=5)
    with pytest.raises(InputError, match=r"'conv6' to freeze; did you mean 'conv"):
        freeze(model, ["conv2", "conv6"])
    assert all(p.requires_grad for p in model.parameters())


def test_keras_names_in_surgery():
    with torch.device("meta"):
        model = timm.create_model("resnet50")
    edits = ow.insert(model, {"conv4_block6_out": ow.nn.DCT2d, "conv1_relu": ow.nn.DCT2d})
    assert [site.path for site in edits] == ["layer3.5.orthowatt_after", "act1.orthowatt_after"]
    with pytest.raises(InputError, match="did you mean 'conv4_block6'"):
        ow.insert(model, {"conv4_block7": ow.nn.DCT2d})


def test_both_are_registered_with_timm():
    with torch.device("meta"):
        model = timm.create_model(
            "orthowatt_resnet50", transform="hartley", position="early", layer="filter",
            num_classes=9, drop_rate=0.5,
        )  # fmt: skip
        small = timm.create_model("orthowatt_resnet8", num_classes=7, in_chans=1)
    assert model.layer1[0].orthowatt_after.filters == "hartley"
    assert (model.fc.out_features, model.drop_rate, small.fc.out_features) == (9, 0.5, 7)


@pytest.mark.parametrize("first", ["ow.insert", "ow.models"])
def test_using_orthowatt_registers_with_timm(first):
    code = (
        f"import orthowatt as ow; {first}; import timm; "
        "print(*timm.list_models('orthowatt_*', include_tags=False))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = ["orthowatt_resnet8", "orthowatt_resnet18", "orthowatt_resnet50", "orthowatt_speednet"]
    assert out.stdout.split() == names


def test_resnet18_keeps_small_photos_large():
    """The usual ResNet-18 for CIFAR: 11.2 M parameters, 0.56 GMAC, stages on 32 to 4 pixels."""
    model = timm.create_model("orthowatt_resnet18", num_classes=100, drop_rate=0.2)
    found = count(model, (3, 32, 32))
    assert found.parameters == 11_220_132
    assert found.macs == pytest.approx(0.556e9, rel=0.01)
    edits = insert_transform(model, "wht", "early+late", image_size=32)
    assert [site.shape for site in edits] == [(64, 32, 32), (256, 8, 8)]
    features = timm.create_model("resnet18", num_classes=100)
    assert set(model.state_dict()) == set(features.state_dict())
    assert model.drop_rate == 0.2
    spread = float(model.conv1.weight.detach().std())
    assert spread == pytest.approx((2 / (9 * 64)) ** 0.5, rel=0.1)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 100)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "orthowatt_resnet18", "pretrained": True}, "resnet18 has no pretrained"),
        ({"name": "resnet51"}, "timm has no model 'resnet51'; did you mean .*'resnet50'"),
        ({"name": "orthowatt_resnet8", "pretrained": True}, "no pretrained weights"),
        ({"name": "resnet8_none"}, "timm has no model"),
    ],
)
def test_models_that_cannot_be_had(options, words):
    with pytest.raises(InputError, match=words):
        build(num_classes=5, **options)


def test_without_a_network_the_ways_to_get_weights_are_named(monkeypatch, tmp_path):
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")  # a port that nobody serves
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(
        DataError, match=r"resnet50.tv_in1k .*HF_HOME.*weights=FILE.*pretrained=Fal"
    ):
        paper_resnet50("wht", "early")


def test_every_initial_weight_is_finite():
    model = build("orthowatt_resnet8", num_classes=3)
    assert all(math.isfinite(p.sum().item()) for p in model.parameters())
