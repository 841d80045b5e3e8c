"""Every layer under torch.compile(fullgraph=True) and torch.export, and what these may not break."""

import pytest
import torch

import orthowatt as ow

LAYERS = {
    "wht-crop": ow.nn.WHT2d(pad="crop"),
    "wht-keep": ow.nn.WHT2d(pad="keep", norm=None),
    "wht-wc": ow.nn.WHT2d((-1, -3), pad="crop", order="pow2"),
    "wht1d": ow.nn.WHT1d(),
    "dct": ow.nn.DCT2d(),
    "dct1d": ow.nn.DCT1d(type=4),
    "dst": ow.nn.DST2d(type=1),
    "hartley": ow.nn.Hartley2d(),
    "fft": ow.nn.FFTMagnitude2d(log=True),
    "realimag": ow.nn.FFTRealImag2d(),
    "realimag-wide": ow.nn.FFTRealImag2d(packed=False),
    "identity": ow.nn.Identity2d(),
    "random": ow.nn.RandomOrthogonal2d(seed=1),
    "filter-wht": ow.nn.TransformFilter2d("wht", 4, 7),
    "filter-fft": ow.nn.TransformFilter2d("fft", 4, (7, 14)),
    "filter-realimag": ow.nn.TransformFilter2d("fft-realimag", 4, (7, 14)),
    "filter-resampled": ow.nn.TransformFilter2d("wht", 4, 20),
    "filter-channel": ow.nn.TransformFilter2d("dct", 4, None),
}


def gradients(run, layer, x):
    x = x.clone().requires_grad_()
    y = run(x)
    return [y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])]


@pytest.mark.parametrize("name", LAYERS)
def test_compiles_as_one_graph_and_exports(name):
    layer = LAYERS[name]
    x = torch.randn(2, 4, 7, 14, generator=torch.Generator().manual_seed(0)) + 0.1
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for got, want in zip(gradients(compiled, layer, x), gradients(layer, layer, x), strict=True):
        torch.testing.assert_close(got, want)
    exported = torch.export.export(layer, (x,))
    torch.testing.assert_close(exported.module()(x), layer(x))
    assert torch.isfinite(layer(x)).all()  # nothing made for the graph stays behind


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # inductor speaks of the machine's settings
@pytest.mark.parametrize("name", ["wht-crop", "realimag", "fft", "random", "filter-resampled"])
def test_inductor_gives_the_same(name):
    layer = LAYERS[name]
    x = torch.randn(2, 4, 7, 14, generator=torch.Generator().manual_seed(0))
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True)
    for got, want in zip(gradients(compiled, layer, x), gradients(layer, layer, x), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
