"""Counts against the paper's arithmetic and against numbers that are known."""

import pytest
import timm
import torch
from torch import nn

import orthowatt as ow
from orthowatt.errors import InputError
from orthowatt.models.arithmetic import operations, wht_additions
from orthowatt.models.cost import count
from orthowatt.models.zoo import build, insert_transform, paper_resnet50


def test_resnet50_costs_what_everybody_says():
    with torch.device("meta"):
        found = count(timm.create_model("resnet50"), (3, 224, 224))
    assert found.macs == 4_089_184_256  # torchvision's model card: 4.09 GFLOPS
    assert found.parameters == 25_557_032
    assert found.transform_macs_dense == found.transform_adds_fast == 0
    assert sum(layer.macs for layer in found.layers) == found.macs
    # 16 shortcuts: 3·256·56² + 4·512·28² + 6·1024·14² + 3·2048·7²
    assert found.additions == 5_519_360


@pytest.mark.parametrize(
    ("position", "dense", "fast"),
    [
        # At conv2_block1 padded to 64: 256·64²·2·64, and 256·64²·2·6 butterflies.
        ("early", 134_217_728, 12_582_912),
        # At conv4_block6 padded to 16: 1024·16²·2·16 and ·2·4.
        ("late", 8_388_608, 2_097_152),
    ],
)
def test_the_papers_layer_adds_what_the_arithmetic_says(position, dense, fast):
    with torch.device("meta"):
        model = paper_resnet50("wht", position, order="pow2", pretrained=False, num_classes=1000)
    found = count(model, (3, 224, 224))
    assert (found.transform_macs_dense, found.transform_adds_fast) == (dense, fast)
    assert found.macs == 4_089_184_256
    assert found.parameters == 25_557_032


def additions_of(matrix):
    """Additions of one product with a matrix of 0 and ±1."""
    return int((matrix != 0).sum() - (matrix.abs().sum(1) > 0).sum())


def test_additions_of_a_fast_wht():
    assert [wht_additions(n) for n in (1, 2, 4, 64)] == [0, 2, 8, 384]
    assert wht_additions(20) <= additions_of(ow.hadamard(20))
    # Order 28 by Paley II: s = a + b, d = a - b, then C·s + d and C·d - s, C of order 14.
    conference = (ow.hadamard(28)[:14, :14] + ow.hadamard(28)[:14, 14:]) / 2
    assert torch.equal(conference.diagonal(), torch.zeros(14, dtype=torch.float64))
    assert wht_additions(28) == 28 + 2 * additions_of(conference) + 28
    assert wht_additions(56) == 56 + 2 * wht_additions(28)
    assert wht_additions(24) == 24 + 2 * wht_additions(12)


def test_a_filter_is_two_transforms_and_a_product():
    shape = (3, 8, 8)
    one = operations(ow.nn.WHT2d(), shape)
    two = operations(ow.nn.TransformFilter2d("wht", 3, 8), shape)
    assert two.macs_dense == 2 * one.macs_dense + 3 * 64
    assert two.adds_fast == 2 * one.adds_fast
    assert operations(ow.nn.Identity2d(), shape).macs_dense == 0
    random = operations(ow.nn.RandomOrthogonal2d(), shape)
    assert random.macs_dense == random.mults_fast == 3 * 64 * 16


@pytest.mark.parametrize(
    "layer",
    [
        ow.nn.DCT2d(), ow.nn.DST2d(), ow.nn.Hartley2d(), ow.nn.FFTMagnitude2d(),
        ow.nn.FFTRealImag2d(), ow.nn.WHT2d(),
    ],
    ids=lambda layer: type(layer).__name__,
)  # fmt: skip
def test_fast_is_less_than_dense_and_more_than_linear(layer):
    found = operations(layer, (1, 64, 64))
    assert 2 * 64 * 64 < found.adds_fast < 0.3 * found.macs_dense
    assert operations(layer, (5, 64, 64)).adds_fast == 5 * found.adds_fast


def test_products_that_are_no_modules_count():
    class Attention(nn.Module):
        def forward(self, x):
            flat = x.flatten(2)
            return flat @ flat.transpose(1, 2)

    assert count(Attention(), (4, 5, 5)).macs == 4 * 4 * 25


def test_grouped_convolutions_and_layers_by_name():
    model = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=4, bias=False), nn.Flatten())
    found = count(model, (8, 4, 4))
    assert found.macs == 8 * 16 * 2 * 9
    assert [(row.name, row.type, row.macs, row.output) for row in found.layers] == [
        ("0", "Conv2d", 2304, (8, 4, 4)),
        ("1", "Flatten", 0, (128,)),
    ]


def test_inserted_layers_are_rows_of_their_own():
    model = build("orthowatt_resnet8", num_classes=10, in_chans=1)
    plain = count(model, (1, 32, 32))
    insert_transform(model, "wht", "early+late", "filter", image_size=32, in_chans=1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    found = count(model, (1, 32, 32))
    rows = [row for row in found.layers if row.transform is not None]
    assert [row.name for row in rows] == ["layer1.0.orthowatt_after", "layer3.0.orthowatt_after"]
    assert [row.parameters for row in rows] == [16**3, 64 * 16]
    assert found.parameters == plain.parameters + 16**3 + 64 * 16
    assert found.macs == plain.macs
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_shape_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"does not run on inputs of shape \(4, 32, 32\)"):
        count(build("orthowatt_resnet8", num_classes=10), (4, 32, 32))
