"""Insertion: nothing is renamed, nothing half done, and the model survives what is done to models."""

import copy
import io
import itertools
import json
import pickle

import pytest
import timm
import torch
import torchvision
from torch import nn

import orthowatt as ow
from orthowatt import config
from orthowatt.errors import InputError, InputTypeError
from orthowatt.models import positions
from orthowatt.models.zoo import build


def small(seed=0):
    torch.manual_seed(seed)
    model = build("orthowatt_resnet8", num_classes=5).eval()
    for module in model.modules():  # a shortcut whose branch is 0 would hide a layer in it
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return model


@pytest.fixture(autouse=True)
def own_randomness():
    with torch.random.fork_rng(devices=[]):
        yield


@pytest.fixture
def x():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_after_and_before_are_the_layer_around_the_module(x):
    model, layer = small(), ow.nn.DCT2d()
    inside = {}
    block = model.layer1[0]
    block.register_forward_hook(lambda m, args, out: inside.update(input=args[0], output=out))
    model(x)
    source, result = inside["input"], inside["output"]
    ow.insert(model, {"layer1.0": layer})
    torch.testing.assert_close(block(source), ow.dct(result))
    ow.insert(model, {"layer1.0": ow.nn.WHT2d()}, where="before")
    plain = small().layer1[0]
    torch.testing.assert_close(block(source), ow.dct(plain(ow.wht(source))))


def test_layers_added_later_are_outermost(x):
    model = nn.Sequential(nn.Identity())
    for layer in (ow.nn.WHT2d(norm=None), ow.nn.DST2d()):
        ow.insert(model, {"0": layer}, where="before")
        ow.insert(model, {"0": copy.deepcopy(layer)}, where="after")
    want = ow.dst(ow.wht(ow.wht(ow.dst(x), norm=None), norm=None))
    torch.testing.assert_close(model(x), want)


def test_replace_puts_the_layer_in_place(x):
    model = small()
    edits = ow.insert(model, {"maxpool": ow.nn.WHT2d()}, where="replace")
    assert type(model.maxpool) is ow.nn.WHT2d
    assert edits.sites[0].path == "maxpool"
    edits.undo()
    assert type(model.maxpool) is nn.Identity
    assert torch.equal(model(x), small()(x))


def test_keys_stay_and_the_original_checkpoint_loads_strictly(x):
    plain, model = small(1), small(2)
    keys, parameters = list(model.state_dict()), [n for n, _ in model.named_parameters()]
    ow.insert(model, {"layer1.0": ow.nn.WHT2d, "layer2": ow.nn.RandomOrthogonal2d})
    ow.insert(model, {"layer3.0": ow.nn.Hartley2d}, where="branch")
    assert list(model.state_dict()) == keys
    assert [n for n, _ in model.named_parameters()] == parameters
    model.load_state_dict(plain.state_dict(), strict=True)
    plain.load_state_dict(model.state_dict(), strict=True)


def test_with_parameters_exactly_theirs_are_missing():
    plain, model = small(1), small(2)
    ow.insert(
        model,
        {"layer1": lambda shape: ow.nn.TransformFilter2d("wht", shape[0], shape[1:])},
        input_shape=(3, 32, 32),
    )
    found = model.load_state_dict(plain.state_dict(), strict=False)
    assert found.missing_keys == ["layer1.0.orthowatt_after.v"]
    assert not found.unexpected_keys
    fresh = small(3)
    ow.insert(fresh, {"layer1": ow.nn.TransformFilter2d("wht", 16, 16)})
    fresh.load_state_dict(model.state_dict(), strict=True)


def edited():
    model = small()
    ow.insert(
        model,
        {"layer1.0": ow.nn.WHT2d, "layer2": ow.nn.TransformFilter2d("dct", 32, 8)},
        input_shape=(3, 32, 32),
    )
    ow.insert(model, {"layer3.0": ow.nn.RandomOrthogonal2d}, where="branch")
    ow.insert(model, {"conv1": ow.nn.Hartley2d}, where="before")
    return model


def through_a_file(model):
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize(
    "do", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), through_a_file]
)
def test_copies_are_whole_and_apart(do, x):
    model = edited()
    other = do(model)
    assert torch.equal(other(x), model(x))
    assert type(other.layer1[0]) is type(model.layer1[0])
    with torch.no_grad():
        other.layer2[0].orthowatt_after.v.zero_()
    assert not torch.equal(other(x), model(x))
    assert torch.equal(edited()(x), model(x))


def test_the_model_is_still_what_it_was():
    model = edited()
    assert isinstance(model, timm.models.ResNet)
    assert isinstance(model.layer1[0], timm.models.resnet.BasicBlock)
    assert type(model.layer1[0]).__name__ == "BasicBlock"
    assert len(model.layer1) == 1
    model.train()
    assert model.layer2[0].orthowatt_after.training
    assert model.half().layer2[0].orthowatt_after.v.dtype == torch.float16


def test_features_and_checkpointing_see_the_layers(x):
    model = edited()
    want = model(x)
    model.set_grad_checkpointing(True)
    torch.testing.assert_close(model(x), want)
    intermediates = model.forward_intermediates(x, intermediates_only=True)
    want = intermediates[2]  # layer2, whose layer is the last thing in it
    with torch.no_grad():
        model.layer2[0].orthowatt_after.v.mul_(2)
    torch.testing.assert_close(model.forward_intermediates(x, intermediates_only=True)[2], 2 * want)


def test_it_compiles_as_one_graph_and_exports(x):
    model = edited()
    want = model(x)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x), want)
    batch = torch.export.Dim("batch", min=2, max=64)
    exported = torch.export.export(model, (x,), dynamic_shapes={"x": {0: batch}})
    torch.testing.assert_close(exported.module()(x), want)
    more = torch.cat([x, x[:1]])
    torch.testing.assert_close(exported.module()(more), model(more))


def test_it_trains():
    model = edited().train()
    x = torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    model(x).square().mean().backward()
    gradient = model.layer2[0].orthowatt_after.v.grad
    assert gradient is not None
    assert gradient.abs().sum() > 0


def test_undo_gives_back_the_same_classes_and_function(x):
    model = small()
    classes = [type(m) for m in model.modules()]
    want = model(x)
    first = ow.insert(model, {"layer1.0": ow.nn.WHT2d, "conv1": ow.nn.DCT2d})
    second = ow.insert(model, {"layer1.0": ow.nn.DST2d})
    first.undo()
    assert [name for name, _ in model.layer1[0].named_children()][-1] == "orthowatt_after_2"
    second.undo()
    assert [type(m) for m in model.modules()] == classes
    assert torch.equal(model(x), want)
    with pytest.raises(InputError, match="undone before"):
        second.undo()


def test_undo_refuses_what_is_no_longer_there():
    model = small()
    edits = ow.insert(model, {"maxpool": ow.nn.WHT2d, "act1": ow.nn.DCT2d}, where="replace")
    model.maxpool = nn.Identity()
    with pytest.raises(InputError, match="maxpool no longer holds the inserted WHT2d"):
        edits.undo()
    assert type(model.act1) is ow.nn.DCT2d


def failing():
    raise RuntimeError("a factory that fails")


BAD = {
    "unknown name": ({"layer1.0": ow.nn.WHT2d, "layr2.0": ow.nn.WHT2d}, {}, "'layer2.0'"),
    "unknown Keras name": ({"conv2_block3": ow.nn.WHT2d}, {}, "did you mean 'conv2_block1'"),
    "no layer": ({"layer1.0": ow.nn.WHT2d(), "layer2.0": 3}, {}, "3 is neither a layer"),
    "too many arguments": ({"layer1.0": ow.nn.TransformFilter2d}, {}, "kind, channels, size"),
    "size unknown": ({"layer1.0": lambda shape: ow.nn.WHT2d()}, {}, "give input_shape"),
    "not a module": ({"layer1.0": lambda: 3}, {}, "made int"),
    "a size without an order": (
        {"layer1.0": ow.nn.WHT2d, "layer2.0": lambda: ow.nn.WHT2d()},
        {"input_shape": (3, 56, 56)},
        "size 14 of dim -2 has no Hadamard matrix",
    ),
    "another input": ({"layer1.0": ow.nn.WHT2d}, {"input_shape": (4, 32, 32)}, "does not run"),
    "no input": ({"layer1.0": ow.nn.WHT2d}, {"input_shape": (0, 32, 32)}, "input_shape is"),
    "no map": ({"fc": ow.nn.WHT2d}, {"input_shape": (3, 32, 32)}, r"got \(2, 5\)"),
    "where": ({"fc": ow.nn.WHT2d}, {"where": "around"}, "where is 'around'"),
    "root": ({"": ow.nn.WHT2d}, {"where": "replace"}, "cannot be replaced"),
    "channels": (
        {"layer1.0": ow.nn.WHT2d(), "layer2.0": ow.nn.FFTRealImag2d(packed=False)},
        {},
        "makes 64 channels of 32, but the next layer, layer3.0.conv1, takes 32",
    ),
    "channels before": (
        {"conv1": ow.nn.WHT2d((-1, -3), pad="keep")},
        {"where": "before"},
        "makes 4 channels of 3, but the next layer, conv1, takes 3",
    ),
    "channels in a branch": (
        {"layer2.0": ow.nn.FFTRealImag2d(packed=False)},
        {"where": "branch"},
        "in the branch of layer2.0 makes 64 channels of 32",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_errors_leave_the_model_as_it_was(case, x):
    layers, options, words = BAD[case]
    model = small()
    classes, want = [type(m) for m in model.modules()], model(x)
    with pytest.raises((InputError, InputTypeError), match=words):
        ow.insert(model, layers, **options)
    assert [type(m) for m in model.modules()] == classes
    assert torch.equal(model(x), want)


def test_a_factory_that_fails_leaves_the_model_as_it_was():
    model = small()
    with pytest.raises(RuntimeError, match="a factory that fails"):
        ow.insert(model, {"layer1.0": ow.nn.WHT2d, "layer2.0": failing})
    assert not any("orthowatt" in name for name, _ in model.named_modules())


def test_a_layer_belongs_to_one_place():
    layer, model = ow.nn.WHT2d(), small()
    with pytest.raises(InputError, match="given for two places"):
        ow.insert(model, {"layer1.0": layer, "layer2.0": layer})
    ow.insert(model, {"layer1.0": layer})
    with pytest.raises(InputError, match="in the model already"):
        ow.insert(model, {"layer2.0": layer})


def test_modules_that_cannot_take_a_layer_say_why():
    shared = nn.ReLU()
    model = nn.ModuleDict({"one": shared, "two": shared, "list": nn.ModuleList([nn.ReLU()])})
    for name, words in {
        "one": "one and two are one and the same module",
        "list": r"a container that never runs; name one of its children \(0\)",
    }.items():
        with pytest.raises(InputError, match=words):
            ow.insert(model, {name: ow.nn.WHT2d})
    patched = nn.Sequential(nn.ReLU(), nn.ReLU())
    patched[0].forward = lambda x: x
    with pytest.raises(InputError, match="replaced its forward"):
        ow.insert(patched, {"0": ow.nn.WHT2d})
    with pytest.raises(InputError, match="insert first, then compile"):
        ow.insert(torch.compile(nn.ReLU()), {"": ow.nn.WHT2d})
    with pytest.raises(InputError, match="insert first, then compile"):
        ow.insert(torch.jit.ScriptModule(), {"": ow.nn.WHT2d})


def test_the_root_takes_layers_too(x):
    model = ow.nn.Identity2d()
    ow.insert(model, {"": ow.nn.WHT2d}, where="before")
    assert torch.equal(model(x), ow.wht(x))


def test_a_module_that_does_not_give_one_map_says_so():
    class Two(nn.Module):
        def forward(self, x):
            return x, x

    model = nn.Sequential(Two())
    ow.insert(model, {"0": ow.nn.WHT2d})
    with pytest.raises(InputTypeError, match="Two returns tuple, not one tensor"):
        model(torch.zeros(1, 1, 4, 4))
    named = nn.ReLU()
    ow.insert(named, {"": ow.nn.WHT2d}, where="before")
    with pytest.raises(InputError, match="pass the map by position"):
        named(input=torch.zeros(1, 1, 4, 4))


def test_a_container_with_a_forward_of_its_own(x):
    """torchvision's dense block walks over its own children, which the layer must not join."""
    torch.manual_seed(0)
    model = torchvision.models.densenet._DenseBlock(2, 3, 2, 4, 0.0).eval()
    want = ow.dct(model(x))
    ow.insert(model, {"": ow.nn.DCT2d})
    torch.testing.assert_close(model(x), want)
    assert list(model.keys()) == ["denselayer1", "denselayer2"]
    assert len(model) == 2
    torch.testing.assert_close(copy.deepcopy(model)(x), want)


def test_repr_lists_the_layers_that_are_not_orthogonal():
    model = small()
    crop = {"layer1.0": ow.nn.WHT2d(pad="crop"), "layer3.0": ow.nn.WHT2d(pad="crop")}
    edits = ow.insert(model, crop, input_shape=(3, 112, 112))
    assert repr(model).splitlines()[1].strip() == (
        "[layer3.0.orthowatt_after: WHT2d not orthogonal at 14×14 (cropped from 16×16)]"
    )
    edits.undo()
    assert "orthogonal" not in repr(model)
    ow.insert(model, {"layer1.0": ow.nn.WHT2d(pad="crop"), "layer2.0": ow.nn.FFTMagnitude2d})
    lines = repr(model).splitlines()[1:3]
    assert "layer1.0.orthowatt_after: WHT2d not orthogonal where a size has no order" in lines[0]
    assert "layer2.0.orthowatt_after: FFTMagnitude2d not orthogonal (phase" in lines[1]


def test_sites_can_be_written_down():
    model = small()
    layers = {"layer1.0": ow.nn.WHT2d(pad="crop"), "layer2": nn.Dropout()}
    rows = ow.insert(model, layers, input_shape=(3, 56, 56)).to_list()
    assert json.loads(json.dumps(rows)) == rows
    assert rows[0] | {"layer": ""} == {
        "name": "layer1.0", "where": "after", "path": "layer1.0.orthowatt_after", "layer": "",
        "type": "WHT2d", "channels": 16, "size": [28, 28], "orthogonal": True, "reason": "",
    }  # fmt: skip
    assert rows[1]["path"] == "layer2.0.orthowatt_after"
    assert rows[1]["orthogonal"] is None
    unknown = ow.insert(small(), {"layer1.0": ow.nn.WHT2d(pad="crop")}).to_list()[0]
    assert unknown["size"] is None
    assert unknown["orthogonal"] is None


def test_a_trial_run_leaves_no_trace():
    model = small().train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    state = torch.random.get_rng_state()
    ow.insert(model, {"layer1.0": ow.nn.WHT2d}, input_shape=(3, 32, 32))
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training


@pytest.mark.parametrize("transform", [t for t in config.TRANSFORMS if t != "none"])
def test_gradients_flow_past_operations_in_place(transform):
    """ReLU and += of the network overwrite their input, which a layer may have saved."""
    model = small().train()
    images = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(1))
    for layer, (name, where) in itertools.product(("bare", "filter"), OVERWRITTEN):
        make = maker(transform, layer)
        edits = ow.insert(model, {name: make}, where, input_shape=(3, 28, 28))
        model.zero_grad()
        model(images).square().sum().backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())
        edits.undo()


OVERWRITTEN = [
    ("layer1.0", "after"),
    ("layer2.0", "before"),
    ("layer3.0", "branch"),
    ("bn1", "after"),
    ("act1", "before"),
]


def maker(transform, layer):
    rest = ((-2, -1), "exact", "crop", "ortho", True, "fast", 0)
    return lambda shape: positions._layer(transform, layer, shape, *rest)
