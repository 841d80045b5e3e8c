"""Weights from files: what is fitted, what is refused, and that nothing in a file is run."""

import logging
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from orthowatt.errors import DataError
from orthowatt.models.weights import load_weights, read_state
from orthowatt.models.zoo import build


def model(**options):
    return build("orthowatt_resnet8", **{"num_classes": 5, **options})


@pytest.fixture
def source():
    return model()


def write(path, state):
    if path.suffix == ".safetensors":
        save_file({k: v.contiguous() for k, v in state.items()}, path)
    else:
        torch.save(state, path)
    return path


WRAPS = {
    "a.safetensors": lambda s: s,
    "a.pth": lambda s: s,
    "wrapped.pth": lambda s: {"state_dict": s, "epoch": 3},
    "parallel.pt": lambda s: {"model": {f"module.{k}": v for k, v in s.items()}},
    "compiled.pt": lambda s: {f"_orig_mod.{k}": v for k, v in s.items()},
}


@pytest.mark.parametrize("name", WRAPS)
def test_all_forms_of_a_state_dict(name, tmp_path, source):
    file = write(tmp_path / name, WRAPS[name](source.state_dict()))
    other = build("orthowatt_resnet8", num_classes=5, weights=str(file), pretrained=True)
    for key, value in other.state_dict().items():
        assert torch.equal(value, source.state_dict()[key])


def test_a_head_of_another_size_is_replaced_and_said(tmp_path, source, caplog):
    file = write(tmp_path / "a.safetensors", source.state_dict())
    other = model(num_classes=8)
    head = other.fc.weight.clone()
    with caplog.at_level(logging.WARNING):
        notes = load_weights(other, file)
    assert torch.equal(other.fc.weight, head)
    assert torch.equal(other.conv1[0].weight, source.conv1[0].weight)
    assert "fc.weight has 5 classes in the file and 8 in the model" in notes[0]
    assert "fc.weight has 5 classes" in caplog.text
    headless = model(num_classes=0)
    assert load_weights(headless, file) == (
        "fc.weight is left out, for the model has no such head",
        "fc.bias is left out, for the model has no such head",
    )


def test_a_first_convolution_for_fewer_channels_is_converted(tmp_path, source):
    file = write(tmp_path / "a.safetensors", source.state_dict())
    grey = model(in_chans=1)
    (note,) = load_weights(grey, file)
    assert note == "conv1.0.weight was made for 3 input channels and is converted to 1"
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    # A grey image gives the same as its three equal channels did.
    torch.testing.assert_close(grey.eval()(x), source.eval()(x.expand(2, 3, 32, 32)))


def test_a_missing_count_of_batches_is_no_fault(tmp_path, source):
    state = {k: v for k, v in source.state_dict().items() if "num_batches" not in k}
    assert load_weights(model(), write(tmp_path / "a.pth", state)) == ()


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_run(tmp_path, source):
    file = write(tmp_path / "a.pth", {**source.state_dict(), "x": Evil(tmp_path / "harm")})
    with pytest.raises(DataError, match="loading it would run its code"):
        load_weights(source, file)
    assert not (tmp_path / "harm").exists()
    assert torch.load(file, weights_only=False) is not None  # the file would have done it
    assert (tmp_path / "harm").exists()


def test_files_that_cannot_be_used_leave_the_model_alone(tmp_path, source):
    state = source.state_dict()
    files = {
        "no weights file": tmp_path / "none.pth",
        r"torn.safetensors cannot be read": tmp_path / "torn.safetensors",
        r"torn.pth cannot be read": tmp_path / "torn.pth",
        "holds no state dict": write(tmp_path / "tensor.pth", torch.ones(3)),
        "holds more than tensors": write(tmp_path / "mixed.pth", {**state, "epoch": 3}),
        "lacks layer1.0.conv1.weight": write(
            tmp_path / "less.pth", {k: v for k, v in state.items() if k != "layer1.0.conv1.weight"}
        ),
        "has other.weight too many": write(
            tmp_path / "more.pth", {**state, "other.weight": torch.ones(2)}
        ),
        r"layer1.0.bn1.weight is \(3,\), not \(16,\)": write(
            tmp_path / "shape.pth", {**state, "layer1.0.bn1.weight": torch.ones(3)}
        ),
    }
    for name in ("torn.safetensors", "torn.pth"):
        (tmp_path / name).write_bytes(b"\x80\x02 torn")
    other = model()
    before = {k: v.clone() for k, v in other.state_dict().items()}
    for words, file in files.items():
        with pytest.raises(DataError, match=words):
            load_weights(other, file)
        assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())


def test_a_plain_model_has_fc_for_a_head(tmp_path):
    plain = nn.ModuleDict({"fc": nn.Linear(2, 3)})
    file = write(tmp_path / "a.pth", {"fc.weight": torch.ones(4, 2), "fc.bias": torch.ones(4)})
    assert len(load_weights(plain, file)) == 2


@pytest.mark.slow
def test_the_development_weights_load_into_both_libraries(resnet50_file):
    import torchvision

    state = read_state(resnet50_file)
    assert len(state) == 320
    ours = build("orthowatt_resnet50", num_classes=1000, weights=str(resnet50_file)).eval()
    theirs = torchvision.models.resnet50().eval()
    assert load_weights(theirs, resnet50_file) == ()
    x = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-3, atol=1e-4)
