"""Folders and tables of image files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from orthowatt.data import decode as decode_module
from orthowatt.data.decode import decode
from orthowatt.data.loader import validation_split
from orthowatt.data.sources import load
from orthowatt.errors import DataError

COLOURS = {"cat": (250, 10, 10), "dog": (10, 250, 10), "owl": (10, 10, 250)}


def paint(path: Path, colour, size=(24, 18)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def fill(root: Path, count: int, classes=tuple(COLOURS), suffix="png") -> None:
    for name in classes:
        for index in range(count):
            paint(root / name / f"{index}.{suffix}", COLOURS[name])


def assert_coloured(images, labels, classes):
    for image, label in zip(images, labels, strict=True):
        expected = torch.tensor(COLOURS[classes[label]]).reshape(3, 1, 1)
        assert (image.int() - expected).abs().max() <= 3


@pytest.mark.parametrize("second", ["val", "test", "valid"])
def test_train_and_held_out_folders(tmp_path, second):
    fill(tmp_path / "train", 3)
    fill(tmp_path / second, 2, suffix="jpg")
    found = load(f"imagefolder:{tmp_path}", image_size=16)
    assert found.classes == ("cat", "dog", "owl")
    assert found.train_images.shape == (9, 3, 16, 16)
    assert found.test_images.shape == (6, 3, 16, 16)
    assert found.validation is None
    assert_coloured(found.train_images, found.train_labels, found.classes)
    assert_coloured(found.test_images, found.test_labels, found.classes)


def test_three_folders_keep_the_named_validation_images(tmp_path):
    fill(tmp_path / "train", 4)
    fill(tmp_path / "val", 2)
    fill(tmp_path / "test", 1)
    found = load(f"imagefolder:{tmp_path}", image_size=8)
    assert (len(found.train_labels), len(found.test_labels)) == (18, 3)
    train, validation = validation_split(found, 0.1, seed=5)
    assert (len(train), len(validation)) == (12, 6)
    assert torch.bincount(found.train_labels[validation]).tolist() == [2, 2, 2]
    assert len(validation_split(found, 0.0)[0]) == 18


def test_one_folder_is_divided_by_a_fixed_seed(tmp_path):
    fill(tmp_path, 10)
    first, again = (load(f"imagefolder:{tmp_path}", image_size=8) for _ in range(2))
    assert torch.bincount(first.test_labels).tolist() == [2, 2, 2]
    assert torch.bincount(first.train_labels).tolist() == [8, 8, 8]
    assert first.checksum == again.checksum


def test_the_default_size_is_224(tmp_path):
    fill(tmp_path / "train", 1, ("cat",))
    fill(tmp_path / "test", 1, ("cat",))
    assert load(f"imagefolder:{tmp_path}").train_images.shape[-1] == 224


def test_a_folder_that_is_absent_or_empty_is_named(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        load(f"imagefolder:{tmp_path / 'nothing'}")
    with pytest.raises(DataError, match="holds no class folders"):
        load(f"imagefolder:{tmp_path}")
    fill(tmp_path / "train", 1)
    with pytest.raises(DataError, match="has no test images"):
        load(f"imagefolder:{tmp_path}")
    (tmp_path / "train" / "empty").mkdir()
    with pytest.raises(DataError, match=r"class folder .*empty holds no image"):
        load(f"imagefolder:{tmp_path}")


def test_a_test_class_without_train_images_is_named(tmp_path):
    fill(tmp_path / "train", 1, ("cat",))
    fill(tmp_path / "test", 1, ("cat", "dog"))
    with pytest.raises(DataError, match="test class 'dog' has no train images"):
        load(f"imagefolder:{tmp_path}", image_size=8)


@pytest.mark.parametrize("suffix", ["jpg", "bmp"])
def test_a_damaged_image_is_named(tmp_path, suffix):
    fill(tmp_path / "train", 1, ("cat",))
    fill(tmp_path / "test", 1, ("cat",))
    (tmp_path / "train" / "cat" / f"bad.{suffix}").write_bytes(b"no image")
    with pytest.raises(DataError, match=rf"class 'cat': .*bad\.{suffix} is no readable image"):
        load(f"imagefolder:{tmp_path}", image_size=8)


def test_a_set_larger_than_memory_is_refused_before_decoding(tmp_path):
    fill(tmp_path / "train", 1, ("cat",))
    fill(tmp_path / "test", 1, ("cat",))
    with pytest.raises(DataError, match="choose cache=stream, or a smaller image_size"):
        load(f"imagefolder:{tmp_path}", image_size=10**7, cache="device")


def test_the_checksum_is_that_of_the_files(tmp_path):
    fill(tmp_path / "here", 5)
    fill(tmp_path / "there", 5)
    first = load(f"imagefolder:{tmp_path / 'here'}", image_size=8)
    assert load(f"imagefolder:{tmp_path / 'there'}", image_size=16).checksum == first.checksum
    paint(tmp_path / "there" / "cat" / "3.png", COLOURS["dog"])
    assert load(f"imagefolder:{tmp_path / 'there'}", image_size=8).checksum != first.checksum


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp"])
def test_torchvision_and_pillow_read_the_same(tmp_path, suffix, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (40, 52, 3), dtype=np.uint8)
    path = tmp_path / f"photo.{suffix}"
    Image.fromarray(noise).resize((104, 80)).save(path)
    found = decode(path, "photo", 80)
    assert (decode_module._fast(path) is None) is (suffix == "bmp")
    monkeypatch.setattr(decode_module, "_fast", lambda path: None)
    wanted = decode(path, "photo", 80)
    assert (found.int() - wanted.int()).abs().max() <= 2


def test_a_grey_jpeg_and_a_transparent_png_have_three_channels(tmp_path):
    Image.new("L", (20, 20), 100).save(tmp_path / "grey.jpg")
    Image.new("RGBA", (20, 20), (10, 200, 30, 128)).save(tmp_path / "clear.png")
    Image.new("CMYK", (20, 20), (0, 255, 255, 0)).save(tmp_path / "ink.jpg")
    Image.fromarray(np.full((20, 20), 40000, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert decode(tmp_path / "grey.jpg", "x", 10).unique().tolist() == [100]
    assert decode(tmp_path / "clear.png", "x", 10)[:, 0, 0].tolist() == [10, 200, 30]
    red, green, blue = decode(tmp_path / "ink.jpg", "x", 10)[:, 0, 0].tolist()
    assert red > 200
    assert max(green, blue) < 60
    assert decode(tmp_path / "deep.png", "x", 10).shape == (3, 10, 10)


@pytest.fixture
def table(tmp_path):
    def write(*rows: str, name: str = "list.csv") -> str:
        for index, label in enumerate(("cat", "dog", "owl")):
            paint(tmp_path / "pictures" / f"{index}.png", COLOURS[label])
        (tmp_path / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
        return f"table:{tmp_path / name}"

    return write


def test_a_table_with_splits(table):
    found = load(
        table(
            "path,label,split,note",
            "pictures/0.png,cat,train,x",
            "pictures/1.png,dog,train,",
            "pictures/0.png,cat,val,",
            "pictures/1.png,dog,test,y",
        ),
        image_size=16,
    )
    assert found.classes == ("cat", "dog")
    assert found.test_labels.tolist() == [1]
    assert found.validation is not None
    assert found.validation.tolist() == [2]
    assert_coloured(found.train_images, found.train_labels, found.classes)


def test_a_table_in_celebas_coding_sorts_numbers_by_value(table):
    found = load(
        table(
            "split,label,path",
            "0,10,pictures/0.png",
            "0,-1,pictures/2.png",
            "0,9,pictures/1.png",
            "2,9,pictures/1.png",
        ),
        image_size=16,
    )
    assert found.classes == ("9", "10", "-1")
    assert found.train_labels.tolist() == [1, 2, 0]


def test_a_table_without_splits_is_divided(table):
    rows = [f"pictures/{index % 3}.png,{('cat', 'dog', 'owl')[index % 3]}" for index in range(15)]
    found = load(table("path,label", *rows), image_size=16)
    assert torch.bincount(found.test_labels).tolist() == [1, 1, 1]
    assert_coloured(found.test_images, found.test_labels, found.classes)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["file,label", "a,b"], "needs a column 'path', but its first row has 'file', 'label'"),
        (["path,label", "pictures/0.png,"], "row 2 .* lacks a path or a label"),
        (
            ["path,label,split", "pictures/0.png,a,train", "gone.png,a,test"],
            "row 3 .*there is no file .*gone.png",
        ),
        (["path,label,split", "pictures/0.png,a,tset"], "row 2 .*split 'tset'; did you mean 'test"),
        (["path,label"], "lists no images"),
        ([""], "first row has nothing"),
    ],
)
def test_a_bad_table_is_told_by_its_row(table, rows, message):
    with pytest.raises(DataError, match=message):
        load(table(*rows), image_size=8)


def test_a_table_that_is_absent_is_named(tmp_path):
    with pytest.raises(DataError, match="is no file"):
        load(f"table:{tmp_path / 'list.csv'}")


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_decoding_turns_a_photo_upright(tmp_path, suffix):
    photo = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° to see it upright
    photo.save(tmp_path / f"photo.{suffix}", exif=exif)
    image = decode(tmp_path / f"photo.{suffix}", "photo", 8)
    assert torch.equal(image[0], torch.from_numpy(np.rot90(np.asarray(photo), -1).copy()))


@pytest.mark.parametrize("shape", [(40, 60), (60, 40), (16, 30)])
def test_decoding_resizes_the_centre_square(tmp_path, shape):
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    side, top, left = min(shape), (shape[0] - min(shape)) // 2, (shape[1] - min(shape)) // 2
    centre = torch.from_numpy(noise[top : top + side, left : left + side]).permute(2, 0, 1)
    expected = F.interpolate(centre[None].double(), (16, 16), mode="bilinear", antialias=True)[0]
    found = decode(tmp_path / "noise.png", "noise", 16)
    assert (found.double() - expected).abs().max() <= 1.01  # whole numbers, rounded twice
