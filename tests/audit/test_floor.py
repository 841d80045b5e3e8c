"""Work by shape and the ordinary run, against counted and published figures."""

import dataclasses

import pytest

from orthowatt.audit import Context
from orthowatt.audit.floor import devices, macs_of, ordinary_run, resnet_macs
from orthowatt.errors import InputError

PAPER = Context(
    model="resnet50",
    image_size=224,
    native_size=32,
    classes=100,
    train_images=50_000,
    test_images=10_000,
    epochs=(20, 30),
    phase="training",
    device="a100-sxm4",
)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
@pytest.mark.parametrize("size", [32, 224])
def test_macs_agree_with_a_counted_network(name, size):
    """Shapes of torchvision's own networks, without weights or arithmetic (meta device)."""
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = getattr(models, name)().eval()
        image = torch.empty(1, 3, size, size)
    with FlopCounterMode(display=False) as counter:
        model(image)
    assert resnet_macs(name, size) == counter.get_total_flops() / 2


def test_the_papers_figures():
    """4.1 GMAC, 24.6 GFLOP an image, 1.23e15 FLOP an epoch, a floor of 39.4 kJ for 25 epochs."""
    run = ordinary_run(PAPER)
    assert macs_of(PAPER) == pytest.approx(4.1e9, rel=0.005)
    assert run.flops_per_image == pytest.approx(24.6e9, rel=0.005)
    assert run.flops_per_image * 50_000 == pytest.approx(1.23e15, rel=0.005)
    assert run.floor_joules() == pytest.approx(39.4e3, rel=0.005)
    assert run.floor_joules(20) == pytest.approx(39.4e3 * 20 / 25, rel=0.005)


def test_the_ordinary_run():
    """938 to 2,470 images/s: 20 to 30 epochs take 7 to 27 min and 100 to 640 kJ."""
    run = ordinary_run(PAPER)
    assert run.rates == (938, 2470)
    assert [round(seconds / 60) for seconds in run.seconds] == [7, 27]
    assert run.joules[0] == pytest.approx(100e3, rel=0.02)
    assert run.joules[1] == pytest.approx(640e3, rel=0.002)
    assert run.native_share == pytest.approx(0.084 / 4.1, rel=0.01)


def test_a_measured_public_run_lies_where_such_runs_do():
    """493 kJ in 2,406 s on an A100 is 205 W: between idle and limit, and in the range."""
    run = ordinary_run(PAPER)
    assert run.idle_watts < 493e3 / 2406 < run.device.power_limit_watts
    assert run.joules[0] < 493e3 < run.joules[1]


def test_rates_scale_with_the_work_of_an_image():
    half = ordinary_run(dataclasses.replace(PAPER, model="resnet101"))
    assert half.rates[1] == pytest.approx(
        2470 * resnet_macs("resnet50", 224) / resnet_macs("resnet101", 224, 100)
    )
    stated = ordinary_run(dataclasses.replace(PAPER, model=None, macs_per_image=4.1e9))
    assert stated.flops_per_image == pytest.approx(24.6e9)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"epochs": None}, "no source states how many epochs"),
        ({"train_images": None}, "how many images an epoch has"),
        ({"device": None}, "the device"),
        ({"device": "a100"}, "did you mean 'a100-sxm4'"),
        ({"device": "t4"}, "no public training rate"),
        ({"model": "vgg16"}, "the work of one image is not known"),
        ({"image_size": None}, "the work of one image is not known"),
        ({"phase": "inference"}, "only training runs are judged"),
    ],
)
def test_what_is_missing_is_named(changes, text):
    with pytest.raises(InputError, match=text):
        ordinary_run(dataclasses.replace(PAPER, **changes))


def test_devices_are_consistent():
    for board in devices().values():
        assert board.power_limit_watts > (board.idle_watts or 0) >= 0
        assert board.best_peak[1] == max(board.peak_flops.values())
        if board.training_watts:
            assert board.training_watts[1] == board.power_limit_watts
