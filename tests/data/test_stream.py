"""Images decoded while they are used: the same batches as from memory, and errors by name."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from orthowatt.data import files, sources, stream
from orthowatt.data.files import Files, streams
from orthowatt.data.stream import StreamedBatches
from orthowatt.errors import DataError

CPU = torch.device("cpu")
OPTIONS = {"batch_size": 4, "image_size": 12, "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of 9 noise images, a third of each for the test."""
    root = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(0)
    for part, count in (("train", 6), ("test", 3)):
        for name in ("cat", "dog"):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                noise = generator.integers(0, 256, (20, 17, 3), dtype=np.uint8)
                Image.fromarray(noise).save(root / part / name / f"{index}.png")
    return root


def load(folder, cache):
    return sources.load(f"imagefolder:{folder}", image_size=16, cache=cache)


def epoch(dataset, number, start=0, **options):
    held = stream.batches(dataset.train_images, dataset.train_labels, **OPTIONS, **options)
    return list(held.epoch(number, start))


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for (x, a), (y, b) in zip(first, second, strict=True):
        assert torch.equal(x, y)
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"train": True, "seed": 3, "crop_padding": 0.25, "flip": True},
        {"train": True, "alternate_flip": True, "share": (1, 2)},
        {"indices": torch.tensor([7, 2, 5])},
    ],
)
def test_streamed_batches_are_those_of_a_held_set(folder, options):
    held, streamed = load(folder, "device"), load(folder, "stream")
    assert isinstance(streamed.train_images, Files)
    assert streamed.train_images.shape == held.train_images.shape
    for number, start in ((1, 0), (2, 1)):
        if start < len(stream.batches(held.train_images, held.train_labels, **OPTIONS, **options)):
            first = epoch(held, number, start, **options)
            assert_same(epoch(streamed, number, start, **options), first)


def test_streamed_batches_can_be_scored(folder):
    with torch.inference_mode():
        assert_same(epoch(load(folder, "stream"), 1), epoch(load(folder, "device"), 1))


def test_a_streamed_set_says_so_and_has_the_same_checksum(folder):
    held, streamed = load(folder, "device"), load(folder, "stream")
    assert streamed.checksum == held.checksum
    assert streamed.mean == held.mean  # fewer images than the sample
    assert "streamed; mean and deviation are those of 12 training images" in streamed.notes
    assert (held.held_bytes, streamed.held_bytes) == (18 * 3 * 16 * 16, 0)
    assert streamed.to("cpu").channels_together().train_images is streamed.train_images


def test_leaving_an_epoch_early_ends_its_threads(folder):
    dataset = load(folder, "stream")
    batches = StreamedBatches(dataset.train_images, dataset.train_labels, **OPTIONS)
    running = batches.epoch(1)
    next(running)
    running.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("orthowatt-decode")]
    assert len(list(batches)) == 3


def test_a_damaged_file_is_named_when_its_batch_comes(folder, tmp_path):
    paths = tuple(sorted((folder / "train" / "cat").iterdir()))
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    listed = Files((*paths, bad), tuple(f"image {n}" for n in range(len(paths) + 1)), 16)
    batches = StreamedBatches(listed, torch.zeros(len(listed), dtype=torch.int64), **OPTIONS)
    running = iter(batches)
    next(running)
    with pytest.raises(DataError, match=r"image 6: .*bad.png is no readable image"):
        next(running)


@pytest.mark.parametrize(("free", "expected"), [(100, False), (99, True), (None, False)])
def test_a_set_is_held_where_it_takes_half_of_what_is_free(monkeypatch, free, expected):
    monkeypatch.setattr(files, "free_bytes", lambda: free)
    assert streams("auto", 50, CPU) is expected
    assert streams("stream", 1, CPU)
    assert not streams("device", 10**15, CPU)


def test_a_missing_file_is_named_before_anything_is_decoded(tmp_path):
    (tmp_path / "list.csv").write_text("path,label,split\ngone.png,a,train\ngone.png,a,test\n")
    with pytest.raises(DataError, match=r"row 2 of .*there is no file .*gone.png"):
        sources.load(f"table:{tmp_path / 'list.csv'}", cache="stream")
