"""Tokens and maps with the channels last are refused, wherever a layer would mistake them."""

import pytest
import timm
import torch
import torchvision
from torch import nn

import orthowatt as ow
from orthowatt.errors import InputError
from orthowatt.models.zoo import insert_transform

SWIN = {"img_size": 64, "window_size": 2, "depths": (1, 1), "num_heads": (1, 2), "embed_dim": 8}


def swin():
    return timm.create_model("swin_tiny_patch4_window7_224", **SWIN)


def vit():
    return timm.create_model("vit_tiny_patch16_224", depth=2, embed_dim=24, num_heads=2)


def tv_swin():
    return torchvision.models.SwinTransformer([4, 4], 8, [1, 1], [1, 2], [2, 2])


class Wrapped(nn.Module):
    """A layer for maps where the channels are last."""

    def __init__(self):
        super().__init__()
        self.layer = ow.nn.WHT2d()

    def forward(self, x):
        return self.layer(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


@pytest.mark.parametrize(
    ("make", "name", "shape"),
    [
        (swin, "layers.0", (3, 64, 64)),
        (swin, "patch_embed", (3, 64, 64)),
        (tv_swin, "features.1.0", (3, 64, 64)),
        (tv_swin, "features.1.0", None),
    ],
)
@pytest.mark.parametrize("where", ["after", "replace"])
def test_channels_last_are_refused(make, name, shape, where):
    model = make()
    with pytest.raises(InputError, match=r"channels last, but WHT2d .*insert into a CNN"):
        ow.insert(model, {name: ow.nn.WHT2d(pad="crop")}, where, input_shape=shape)
    assert "orthowatt" not in repr(model)


def test_a_function_of_the_shape_is_refused_too():
    with pytest.raises(InputError, match="channels last, but the layer takes"):
        ow.insert(swin(), {"layers.0": lambda shape: nn.Identity()}, input_shape=(3, 64, 64))


@pytest.mark.parametrize("shape", [(3, 224, 224), None])
def test_tokens_are_refused(shape):
    with pytest.raises(InputError, match=r"passes \(N, 197, 24\), which are tokens.*WHT1d\(-1\)"):
        ow.insert(vit(), {"blocks.0": ow.nn.DCT2d()}, input_shape=shape)
    with pytest.raises(InputError, match="tokens"):  # its axis -3 would be the batch
        ow.insert(vit(), {"blocks.0": ow.nn.WHT1d()}, input_shape=shape)


def test_one_axis_of_tokens_can_be_chosen():
    model = vit().eval()
    x = torch.rand(2, 3, 224, 224)
    ow.insert(model, {"blocks.0": ow.nn.WHT1d(-1)})
    whole = model.forward_features(x)
    assert torch.allclose(whole[:1], model.forward_features(x[:1]), atol=1e-5)


@pytest.mark.parametrize("make", [swin, vit])
def test_transforms_by_name_are_refused_but_before_the_image_is_embedded(make):
    size = make().patch_embed.img_size[0]
    with pytest.raises(InputError):
        insert_transform(make(), "wht", "early", image_size=size)
    model = make()
    (entry,) = insert_transform(model, "wht", "input", image_size=size)
    assert entry.shape == (3, size, size)


def test_what_permutes_by_itself_is_accepted():
    model = swin().eval()
    ow.insert(model, {"layers.0": Wrapped()}, input_shape=(3, 64, 64))
    assert model(torch.rand(1, 3, 64, 64)).shape == (1, 1000)


@pytest.mark.parametrize("size", [64, 160])
def test_a_cnn_with_linear_layers_inside_is_no_such_model(size):
    """ConvNeXt permutes inside its blocks; at 160 its maps are 40×40 with 40 channels."""
    model = timm.create_model("convnext_tiny", depths=(1, 1, 1, 1), dims=(40, 40, 40, 40))
    (entry,) = ow.insert(model, {"stages.0": ow.nn.DCT2d}, input_shape=(3, size, size))
    assert entry.shape == (40, size // 4, size // 4)
    inside = "stages.0.blocks.0.mlp.fc1"
    if size == 64:
        with pytest.raises(InputError, match="channels last"):
            ow.insert(model, {inside: ow.nn.DCT2d}, input_shape=(3, size, size))
