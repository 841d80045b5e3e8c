"""Official pickles: checksum first, restricted reading, download and its failure."""

import hashlib
import os
import pickle
import subprocess
import sys
import tarfile
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, CIFAR100

from orthowatt.data import cifar
from orthowatt.data.sources import load
from orthowatt.errors import DataError


def _batch(count: int, seed: int) -> bytes:
    generator = np.random.default_rng(seed)
    return pickle.dumps(
        {
            "data": generator.integers(0, 256, (count, 3072), dtype=np.uint8),
            "fine_labels": [index % 2 for index in range(count)],
        },
        protocol=4,
    )


@pytest.fixture
def server(tmp_path):
    """The address of an HTTP server, on this machine alone, of the test's folder."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as http:
        thread = Thread(target=http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture
def tiny(tmp_path, server):
    """An archive of the official layout with a few images, packed and served."""
    contents = {
        "train": _batch(6, 0),
        "test": _batch(4, 1),
        "meta": pickle.dumps({"fine_label_names": ["apple", "bear"]}),
    }
    folder = tmp_path / "origin" / "tiny-python"
    folder.mkdir(parents=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    packed = tmp_path / "tiny.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, "tiny-python")
    sums = {name: hashlib.md5(content).hexdigest() for name, content in contents.items()}
    return cifar.Archive(
        name="tiny",
        folder="tiny-python",
        train={"train": sums["train"]},
        test={"test": sums["test"]},
        meta=("meta", sums["meta"]),
        labels_key="fine_labels",
        classes_key="fine_label_names",
        url=f"{server}/{packed.name}",
        md5=hashlib.md5(packed.read_bytes()).hexdigest(),
    )


@pytest.mark.parametrize("beneath", [True, False], ids=["root", "the folder itself"])
def test_reads_the_layout_from_root_or_the_folder_itself(tiny, tmp_path, beneath):
    origin = tmp_path / "origin"
    found = cifar.read_archive(tiny, origin if beneath else origin / "tiny-python")
    assert found.train_images.shape == (6, 3, 32, 32)
    assert found.test_labels.tolist() == [0, 1, 0, 1]
    assert found.classes == ("apple", "bear")
    with (origin / "tiny-python" / "train").open("rb") as file:
        raw = pickle.load(file)["data"]
    assert torch.equal(found.train_images, torch.from_numpy(raw).reshape(6, 3, 32, 32))


def test_downloads_and_unpacks_what_is_absent(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    root = tmp_path / "new" / "root"
    assert len(cifar.read_archive(tiny, root).train_labels) == 6
    assert sorted(os.listdir(root)) == ["tiny-python"]


def test_a_download_with_another_checksum_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(DataError, match="could not be downloaded"):
        cifar.read_archive(replace(tiny, md5="0" * 32), tmp_path / "root")
    assert not (tmp_path / "root" / "tiny-python").exists()


def test_without_a_network_the_error_names_the_ways(monkeypatch, tmp_path):
    for name in ("http_proxy", "https_proxy"):  # nothing listens on the discard port
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.delenv(name.upper(), raising=False)
    with pytest.raises(DataError) as caught:
        load("cifar100", root=tmp_path)
    for part in ("could not be downloaded", "cifar-100-python", "--data-root", "--data digits"):
        assert part in str(caught.value)


def test_a_file_with_another_checksum_is_never_unpickled(tiny, tmp_path):
    """A pickle that would create a file when loaded, at the place of an official one."""
    proof = tmp_path / "proof"

    class Payload:
        def __reduce__(self):
            return (Path.touch, (proof,))

    folder = tmp_path / "origin" / "tiny-python"
    (folder / "train").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(DataError, match=r"not the official file .* not opened"):
        cifar.read_archive(tiny, tmp_path / "origin")
    assert not proof.exists()
    pickle.loads((folder / "train").read_bytes())  # the payload is live: it was not tried in vain
    assert proof.exists()


def test_even_a_verified_pickle_builds_arrays_only(tmp_path):
    path = tmp_path / "file"
    content = pickle.dumps({"data": Path("x")})
    path.write_bytes(content)
    with pytest.raises(DataError, match="only numpy arrays"):
        cifar.read_verified(path, hashlib.md5(content).hexdigest())


def test_a_verified_pickle_of_another_kind_is_refused(tmp_path):
    path = tmp_path / "file"
    content = pickle.dumps([1, 2])
    path.write_bytes(content)
    with pytest.raises(DataError, match="holds list"):
        cifar.read_verified(path, hashlib.md5(content).hexdigest())


def test_an_old_pickle_with_byte_strings_is_read():
    """Python 2 wrote protocol 2 with 8-bit strings, as the official files are."""
    content = b"\x80\x02}q\x00U\x04dataq\x01U\x02\xff\x00q\x02s."
    assert cifar._ArrayUnpickler.loads(content) == {"data": "\xff\x00"}


@pytest.mark.parametrize(("kind", "peer"), [("cifar10", CIFAR10), ("cifar100", CIFAR100)])
def test_the_official_sums_are_torchvisions(kind, peer):
    archive = cifar.ARCHIVES[kind]
    assert archive.train == dict(peer.train_list)
    assert archive.test == dict(peer.test_list)
    assert archive.meta == (peer.meta["filename"], peer.meta["md5"])
    assert archive.classes_key == peer.meta["key"]
    assert (archive.folder, archive.url, archive.md5) == (peer.base_folder, peer.url, peer.tgz_md5)


@pytest.fixture(scope="module")
def official(dev_data, tmp_path_factory):
    """A folder that holds the official CIFAR-100, or a skip that says why not."""
    if (dev_data / "cifar-100-python").is_dir():
        return dev_data
    if not (dev_data / "unpack.py").is_file():
        pytest.skip(f"{dev_data} holds neither cifar-100-python nor unpack.py to make it with")
    if find_spec("pyarrow") is None:
        pytest.skip("unpacking the development data needs pyarrow")
    dest = tmp_path_factory.mktemp("cifar100")
    subprocess.run(
        [sys.executable, dev_data / "unpack.py", dest, "cifar100"], check=True, timeout=200
    )
    return dest


@pytest.mark.slow
def test_the_official_cifar100_equals_torchvisions(official):
    found = load("cifar100", root=official)
    train, test = (CIFAR100(str(official), train=train) for train in (True, False))
    assert np.array_equal(found.train_images.permute(0, 2, 3, 1).numpy(), train.data)
    assert np.array_equal(found.test_images.permute(0, 2, 3, 1).numpy(), test.data)
    assert found.train_labels.tolist() == train.targets
    assert found.classes == tuple(train.classes)
    assert torch.equal(torch.bincount(found.train_labels), torch.full((100,), 500))
    assert found.checksum == "ab9fc483e91cf5b1d6775f79cbdd06e82a12f6a2b6dc92130ddf49ee167d639e"
