"""Names, statistics and checksums of data sets."""

import hashlib

import numpy as np
import pytest
import torch

from orthowatt.data import sources
from orthowatt.errors import DataError, InputError


@pytest.mark.parametrize("name", ["digit", "cifar-100", "", "digits:x"])
def test_an_unknown_name_is_refused_with_the_allowed_ones(name):
    with pytest.raises(InputError, match="there is no data set"):
        sources.load(name)
    with pytest.raises(InputError, match="digits"):
        sources.load("digit")


@pytest.mark.parametrize("name", ["imagefolder", "table", "table:"])
def test_a_place_is_asked_for(name):
    with pytest.raises(InputError, match="must name a place"):
        sources.load(name)


def test_statistics_agree_with_numpy():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (700, 3, 9, 7), dtype=torch.uint8, generator=generator)
    mean, std = sources.statistics(images)
    whole = images.numpy() / 255
    np.testing.assert_allclose(mean, whole.mean((0, 2, 3)), rtol=1e-13)
    np.testing.assert_allclose(std, whole.std((0, 2, 3)), rtol=1e-11)


def test_a_constant_channel_has_deviation_one():
    assert sources.statistics(torch.full((3, 1, 4, 4), 7, dtype=torch.uint8))[1] == (1.0,)


def test_the_checksum_is_over_dtype_shape_and_bytes():
    labels = torch.tensor([3, 1])
    expected = hashlib.sha256(b"torch.int64 (2,)\n" + labels.numpy().tobytes()).hexdigest()
    assert sources.checksum(labels) == expected
    assert sources.checksum(torch.tensor([1, 3])) != expected
    assert sources.checksum(labels.reshape(1, 2)) != expected


def test_the_checksum_sees_a_permuted_tensor_as_its_values():
    x = torch.arange(6, dtype=torch.uint8).reshape(2, 3)
    assert sources.checksum(x.T) == sources.checksum(x.T.contiguous())


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_outside_the_classes_are_refused(label):
    pair = (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, label]))
    good = (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]))
    with pytest.raises(DataError, match="test labels outside 0 to 1"):
        sources.assemble("made", good, pair, ("a", "b"))


def test_an_empty_part_is_refused():
    good = (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]))
    with pytest.raises(DataError, match="no test images"):
        sources.assemble("made", good, (good[0][:0], good[1][:0]), ("a", "b"))


def test_the_cache_folder_follows_the_platform(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sources.cache_folder() == tmp_path / "orthowatt"
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sources.cache_folder() == tmp_path / "Library" / "Caches" / "orthowatt"
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert sources.cache_folder() == tmp_path / "orthowatt"
