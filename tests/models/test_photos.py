"""A pretrained network on real photos: the same classes before and after an insertion.

The weights are a product-quantised ResNet-50 (72.18 % top-1); the file beside the photos states
for each one the class and the largest logit that it has to give.
"""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from orthowatt.models.zoo import build, insert_transform

pytestmark = pytest.mark.slow

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def photos(dev_data):
    """(maps, expected class, expected largest logit) of the 62 photos."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="the photos need pyarrow to be read")
    table = dev_data / "resnet50" / "check_images.parquet"
    if not table.is_file():
        pytest.skip(f"there is no {table}")
    rows = parquet.read_table(table).to_pylist()
    pixels = [np.asarray(Image.open(io.BytesIO(row["jpeg"])).convert("RGB")) for row in rows]
    maps = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2) / 255
    maps = (maps - torch.tensor(MEAN)[:, None, None]) / torch.tensor(SPREAD)[:, None, None]
    classes = torch.tensor([row["expected_top1"] for row in rows])
    return maps, classes, torch.tensor([row["expected_max_logit"] for row in rows])


@pytest.fixture(scope="module")
def model(resnet50_file):
    return build("orthowatt_resnet50", num_classes=1000, weights=str(resnet50_file)).eval()


@torch.inference_mode()
def logits(model, maps):
    return torch.cat([model(part) for part in maps.split(16)])


def test_the_photos_keep_their_classes_under_an_identity_and_a_filter(model, photos):
    maps, classes, largest = photos
    assert len(classes) == 62
    plain = logits(model, maps)
    assert torch.equal(plain.argmax(1), classes)
    torch.testing.assert_close(plain.max(1).values, largest, rtol=0, atol=0.02)
    for transform, layer in (("identity", "bare"), ("wht", "filter")):
        edits = insert_transform(model, transform, "early+late", layer, image_size=224)
        after = logits(model, maps)
        edits.undo()
        assert torch.equal(after.argmax(1), classes)
        torch.testing.assert_close(after, plain, rtol=1e-3, atol=1e-3)
    # The test can tell: a bare transform in the same places destroys what the network knows.
    edits = insert_transform(model, "wht", "early+late", image_size=224)
    bare = logits(model, maps[:16])
    edits.undo()
    assert (bare.argmax(1) == classes[:16]).float().mean() < 0.5
