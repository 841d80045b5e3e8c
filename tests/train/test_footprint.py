"""The estimated peak of a step against what the allocator of the CPU hands out."""

from operator import itemgetter

import pytest
import torch
from torch import nn
from torch._C._profiler import _EventType
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from orthowatt.models.positions import insert_transform
from orthowatt.models.zoo import build, freeze
from orthowatt.train.accumulate import keeping, parts
from orthowatt.train.footprint import footprint
from orthowatt.train.ranks import Ranks

DTYPES = {"bf16": torch.bfloat16}


def network(name, transform="none"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = build(name, num_classes=10).to(memory_format=torch.channels_last)
        insert_transform(model, transform, "early+late", image_size=32)
    return model


def measured(model, images, micro_batch, precision, optimizer):
    """The highest sum of all that torch allocates in two steps, the weights added.

    Without oneDNN, whose convolutions take workspaces of their own that a GPU does not know.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    if optimizer == "adam":
        stepper = torch.optim.Adam(trained, fused=True)
    else:
        stepper = torch.optim.SGD(trained, lr=1e-3, momentum=0.9, fused=True)
    dtype = DTYPES.get(precision)
    model.train()
    held = sum(t.nbytes for t in (*model.parameters(), *model.buffers()))
    with (
        torch.backends.mkldnn.flags(enabled=False),
        profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as found,
    ):
        for _ in range(2):
            x = torch.zeros(images, 3, 32, 32).to(memory_format=torch.channels_last)
            labels = torch.zeros(images, dtype=torch.int64)
            for some, theirs, share, last in parts(x, labels, micro_batch):
                with keeping(model, last):
                    with torch.autocast("cpu", dtype=dtype or torch.bfloat16, enabled=bool(dtype)):
                        logits = model(some)
                    (F.cross_entropy(logits.float(), theirs) * share).backward()
            stepper.step()
            stepper.zero_grad(set_to_none=True)
    return held + highest(found.profiler.kineto_results.experimental_event_tree())


def highest(events):
    """The highest sum of what these events and those within them allocate.

    What was there before (the buckets that processes share their gradients in are made anew in the
    second step) counts neither when it is made nor when some thread gives it back.
    """
    changes, waiting = [], list(events)
    while waiting:
        event = waiting.pop()
        waiting += event.children
        if event.tag == _EventType.Allocation:
            fields = event.extra_fields
            changes.append((event.start_time_ns, fields.ptr, fields.alloc_size))
    sizes, peak = {}, 0
    for _, address, size in sorted(changes, key=itemgetter(0)):
        if size > 0:
            sizes[address] = size
            peak = max(peak, sum(sizes.values()))
        else:
            sizes.pop(address, None)
    return peak


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")  # torch's own switch
@pytest.mark.parametrize(
    ("name", "transform", "images", "micro_batch", "precision", "optimizer"),
    [
        ("orthowatt_resnet8", "none", 32, None, "fp32", "adam"),
        ("orthowatt_resnet8", "hartley", 128, None, "fp32", "adam"),
        ("orthowatt_resnet8", "none", 128, 32, "fp32", "adam"),
        ("resnet18", "none", 16, None, "bf16", "sgd"),
        pytest.param("resnet18", "none", 32, 8, "fp32", "adam", marks=pytest.mark.slow),
        pytest.param(
            "mobilenetv3_small_050", "none", 16, None, "fp32", "adam", marks=pytest.mark.slow
        ),
    ],
)
def test_the_estimate_is_the_allocators_peak(
    name, transform, images, micro_batch, precision, optimizer
):
    model = network(name, transform)
    estimate = footprint(
        model, (3, 32, 32), batch_size=images, micro_batch=micro_batch, precision=precision,
        optimizer=optimizer,
    )  # fmt: skip
    peak = measured(model, images, micro_batch, precision, optimizer)
    assert estimate.total == pytest.approx(peak, rel=0.05)


@pytest.mark.filterwarnings("ignore:TF32 acceleration on top of oneDNN")
@pytest.mark.parametrize("micro_batch", [None, 4])
def test_gradients_that_several_processes_share_are_counted(alone, micro_batch):
    """A deep network at few images, where they are a third of the memory."""
    model = network("resnet18")
    options = {"batch_size": 16, "micro_batch": micro_batch, "optimizer": "sgd"}
    plain, shared = (footprint(model, (3, 32, 32), buckets=b, **options) for b in (False, True))
    peak = measured(Ranks(0, 2).wrap(model, torch.device("cpu")), 16, micro_batch, "fp32", "sgd")
    assert shared.total == pytest.approx(peak, rel=0.02)
    assert shared.total > 1.05 * plain.total


def test_nothing_is_changed_or_drawn():
    model = network("orthowatt_resnet8", "wht").eval()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state = torch.get_rng_state()
    footprint(model, (3, 32, 32), batch_size=4, micro_batch=2, precision="bf16")
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_model_without_memory_gives_the_same_estimate():
    with torch.device("meta"):
        empty = build("resnet18", num_classes=10).to(memory_format=torch.channels_last)
    options = {"batch_size": 8, "precision": "fp16"}
    here = footprint(network("resnet18"), (3, 32, 32), **options)
    assert footprint(empty, (3, 32, 32), **options) == here


def test_what_is_frozen_or_kept_twice_counts():
    model = network("orthowatt_resnet8")
    plain = footprint(model, (3, 32, 32), batch_size=8, optimizer="sgd", momentum=0.0)
    assert plain.optimizer == plain.average == 0
    both = footprint(model, (3, 32, 32), batch_size=8, average=True, data_bytes=1000)
    assert both.average == both.weights == plain.weights
    assert both.total == plain.total + 2 * both.gradients + both.weights + 1000
    freeze(model, ["layer4"])
    frozen = footprint(model, (3, 32, 32), batch_size=8)
    assert frozen.gradients < 0.5 * both.gradients
    assert frozen.total < both.total - both.average


def test_a_step_grows_with_its_images_and_shrinks_with_its_parts():
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    model(torch.zeros(1, 3, 16, 16))
    sizes = [footprint(model, (3, 16, 16), batch_size=n).step for n in (64, 128, 256)]
    assert sizes[2] - sizes[1] == pytest.approx(2 * (sizes[1] - sizes[0]), rel=0.01)
    parted = footprint(model, (3, 16, 16), batch_size=256, micro_batch=64)
    assert sizes[0] < parted.step < 0.5 * sizes[2]
