"""The dense Walsh-Hadamard layer is the fast one, computed otherwise."""

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from orthowatt.config import RunConfig
from orthowatt.errors import InputError
from orthowatt.nn import WHT2d
from orthowatt.nn.dense import DenseWHT2d, _matrix
from orthowatt.train.loop import train_run


@pytest.mark.parametrize("norm", ["ortho", None])
@pytest.mark.parametrize(
    "options", [{}, {"order": "pow2", "pad": "crop"}, {"pad": "keep"}, {"pad": "crop"}]
)
@pytest.mark.parametrize("size", [(8, 12), (28, 4), (14, 7)])
def test_it_is_the_fast_one(options, norm, size):
    x = torch.rand(2, 4, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    dense, fast = DenseWHT2d(norm=norm, **options), WHT2d(norm=norm, **options)
    if not options and size == (14, 7):
        with pytest.raises(InputError, match="give pad='keep' or pad='crop'"):
            dense(x)
        return
    assert torch.allclose(dense(x), fast(x), atol=1e-12, rtol=1e-12)
    assert dense.orthogonality((4, *size)) == fast.orthogonality((4, *size))


@pytest.mark.parametrize("dims", [(-3,), (-1, -3)])
def test_it_takes_other_axes_and_has_the_same_gradient(dims):
    x = torch.rand(2, 4, 8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    x.requires_grad_(True)
    left = torch.autograd.grad(DenseWHT2d(dims)(x).pow(3).sum(), x)[0]
    right = torch.autograd.grad(WHT2d(dims)(x).pow(3).sum(), x)[0]
    assert torch.allclose(left, right, atol=1e-10)


def test_a_run_may_compute_it_so(tmp_path):
    config = RunConfig(
        transform="wht", wht_by="dense", epochs=0, image_size=16, batch_size=512, device="cpu"
    )
    dense = train_run(config, tmp_path / "dense")
    fast = train_run(config.replace(wht_by="fast"), tmp_path / "fast")
    assert dense.layers[0]["type"] == "DenseWHT2d"
    assert dense.settings["transforms"] == "dense products"
    assert dense.metrics["test_loss"] == pytest.approx(fast.metrics["test_loss"], rel=1e-4)
    assert dense.metrics["added_macs_dense"] == fast.metrics["added_macs_dense"] > 0


def test_matrices_first_seen_in_inference_serve_training():
    _matrix.cache_clear()
    layer, x = DenseWHT2d(), torch.rand(1, 2, 12, 20)
    with torch.inference_mode():
        expected = layer(x)
    mixed = nn.Conv2d(2, 2, 1)
    layer(mixed(x)).sum().backward()
    assert mixed.weight.grad is not None
    assert torch.equal(layer(x), expected)


def test_planning_the_memory_keeps_no_fake_matrix():
    _matrix.cache_clear()
    layer, x = DenseWHT2d(), torch.rand(1, 2, 12, 20, dtype=torch.bfloat16)
    with FakeTensorMode(allow_non_fake_inputs=True):
        layer(torch.empty(1, 2, 12, 20, dtype=torch.bfloat16))
    assert torch.allclose(layer(x), WHT2d()(x), atol=0.1)


def test_compiled_it_is_one_graph():
    layer = torch.compile(DenseWHT2d(), backend="aot_eager", fullgraph=True, dynamic=False)
    x = torch.rand(1, 2, 12, 28, requires_grad=True)
    y = layer(x)
    assert torch.allclose(y, WHT2d()(x), atol=1e-5)
    y.sum().backward()
    assert x.grad is not None
