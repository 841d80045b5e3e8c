"""Real JPEG photos of about 220 pixels, in memory and streamed; needs the development data."""

import subprocess
import sys

import pytest
import torch

from orthowatt.data import sources, stream


@pytest.fixture(scope="module")
def flowers(dev_data, tmp_path_factory):
    if not (dev_data / "unpack.py").is_file():
        pytest.skip(f"{dev_data} holds no unpack.py to unpack the photos with")
    folder = tmp_path_factory.mktemp("photos")
    command = [sys.executable, str(dev_data / "unpack.py"), str(folder), "flowers5"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "flowers5"


@pytest.mark.slow
def test_photos_streamed_are_the_photos_held(flowers):
    held, streamed = (
        sources.load(f"imagefolder:{flowers}", image_size=64, cache=cache)
        for cache in ("device", "stream")
    )
    assert (len(held.train_labels), len(held.test_labels)) == (2613, 655)
    assert held.classes == ("daisy", "dandelion", "roses", "sunflowers", "tulips")
    assert streamed.checksum == held.checksum
    torch.testing.assert_close(streamed.mean, held.mean, rtol=0.05, atol=0)
    options = {"batch_size": 32, "image_size": 64, "train": True, "flip": True, "seed": 1}
    both = [
        stream.batches(data.train_images, data.train_labels, **options).epoch(2)
        for data in (held, streamed)
    ]
    for _ in range(3):
        (x, a), (y, b) = (next(batches) for batches in both)
        assert torch.equal(x, y)
        assert torch.equal(a, b)
    for batches in both:
        batches.close()
