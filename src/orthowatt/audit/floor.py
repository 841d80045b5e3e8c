"""What a run must cost: work by shape, device figures, the compute floor, the ordinary range."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ..errors import InputError, check_choice
from .claims import Context

#: A training step costs the forward pass three times (forward, gradient by input, by weight),
#: and a multiply-accumulate is two floating-point operations.
TRAINING_FLOPS_PER_MAC = 6.0
INFERENCE_FLOPS_PER_MAC = 2.0

_BLOCKS = {
    "resnet18": ("basic", (2, 2, 2, 2)),
    "resnet34": ("basic", (3, 4, 6, 3)),
    "resnet50": ("bottleneck", (3, 4, 6, 3)),
    "resnet101": ("bottleneck", (3, 4, 23, 3)),
    "resnet152": ("bottleneck", (3, 8, 36, 3)),
}


def resnet_macs(model: str, image_size: int, classes: int = 1000) -> float:
    """Multiply-accumulates of one forward pass of a ResNet (v1.5, RGB), from its shapes.

    Convolutions and the last linear layer count; normalisation and activations, under 1 %, do
    not. Raises `InputError` for another model. Source: He et al. 2016, table 1.

    >>> f"{resnet_macs('resnet50', 224) / 1e9:.3f} GMAC"
    '4.089 GMAC'
    """
    check_choice("model", model, _BLOCKS)
    kind, blocks = _BLOCKS[model]
    size = _halved(image_size)
    total = 3 * 64 * 7 * 7 * size * size
    size = _halved(size)
    channels = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        out = width * 4 if kind == "bottleneck" else width
        for block in range(count):
            stride = 2 if stage > 0 and block == 0 else 1
            after = _halved(size) if stride == 2 else size
            if kind == "bottleneck":
                total += channels * width * size * size
                total += (9 * width * width + width * out) * after * after
            else:
                total += (9 * channels * width + 9 * width * width) * after * after
            if stride == 2 or channels != out:
                total += channels * out * after * after
            channels, size = out, after
    return float(total + channels * classes)


def _halved(size: int) -> int:
    return (size + 1) // 2


@dataclass(frozen=True)
class Rate:
    """A measured, public training rate."""

    model: str
    image_size: int
    precision: str
    images_per_second: float
    source: str


@dataclass(frozen=True)
class Device:
    """What the audit knows about a device, in W, FLOP/s and GB; None where no source is kept."""

    key: str
    name: str
    match: tuple[str, ...]
    power_limit_watts: float
    memory_gigabytes: float
    peak_flops: dict[str, float]
    sources: tuple[str, ...]
    idle_watts: float | None = None
    training_watts: tuple[float, float] | None = None
    rates: tuple[Rate, ...] = ()

    @property
    def best_peak(self) -> tuple[str, float]:
        """The precision with the highest peak, and that peak in FLOP/s."""
        name = max(self.peak_flops, key=lambda key: (self.peak_flops[key], key == "bf16"))
        return name, self.peak_flops[name]


@functools.cache
def devices() -> dict[str, Device]:
    """The table of devices that claims may name.

    >>> devices()["a100-sxm4"].best_peak
    ('bf16', 312000000000000.0)
    """
    text = (resources.files("orthowatt.audit") / "hardware.toml").read_text("utf-8")
    found = {}
    for key, entry in tomllib.loads(text).items():
        rates = tuple(Rate(**rate) for rate in entry.pop("rates", ()))
        fixed: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in entry.items()
        }
        found[key] = Device(key=key, rates=rates, **fixed)
    return found


def device(key: str) -> Device:
    """The device of that key; `InputError` names the known ones."""
    check_choice("device", key, devices())
    return devices()[key]


def macs_of(context: Context) -> float | None:
    """MACs of a forward pass under the context: as stated there, else by shape; None if unknown."""
    if context.macs_per_image is not None:
        return context.macs_per_image
    if context.model not in _BLOCKS or context.image_size is None:
        return None
    return resnet_macs(context.model, context.image_size, context.classes or 1000)


@dataclass(frozen=True)
class OrdinaryRun:
    """The claimed run as public measurements of the same device have it; ranges as (low, high).

    `native_share` is the work of an image at the data set's native size over that at the stated
    size.
    """

    device: Device
    flops_per_image: float
    images_per_epoch: int
    epochs: tuple[float, float]
    rates: tuple[float, float]
    watts: tuple[float, float]
    idle_watts: float
    test_images: int | None = None
    native_size: int | None = None
    native_share: float | None = None

    @property
    def images(self) -> tuple[float, float]:
        """Images in the whole run."""
        return self.epochs[0] * self.images_per_epoch, self.epochs[1] * self.images_per_epoch

    @property
    def middle_epochs(self) -> float:
        """The middle of the stated epochs, for figures that need one number."""
        return sum(self.epochs) / 2

    @property
    def middle_images(self) -> float:
        """Images in a run of the middle number of epochs."""
        return self.middle_epochs * self.images_per_epoch

    @property
    def seconds(self) -> tuple[float, float]:
        """Time of the whole run: fewest images at the best rate, most at the slowest."""
        return self.images[0] / self.rates[1], self.images[1] / self.rates[0]

    @property
    def joules_per_image(self) -> tuple[float, float]:
        """Energy an image: least power at the best rate, the power limit at the slowest."""
        return self.watts[0] / self.rates[1], self.watts[1] / self.rates[0]

    @property
    def joules_per_epoch(self) -> tuple[float, float]:
        """Energy an epoch."""
        low, high = self.joules_per_image
        return low * self.images_per_epoch, high * self.images_per_epoch

    @property
    def joules(self) -> tuple[float, float]:
        """Energy of the whole run."""
        low, high = self.joules_per_epoch
        return low * self.epochs[0], high * self.epochs[1]

    def floor_joules(self, epochs: float | None = None) -> float:
        """Energy of the run's arithmetic at the highest peak and the power limit.

        E ≥ FLOP / (peak FLOP/s per W): nothing but the arithmetic, at a rate no real network
        reaches. `epochs` defaults to the middle of the stated ones.
        """
        epochs = self.middle_epochs if epochs is None else epochs
        flops = self.flops_per_image * self.images_per_epoch * epochs
        return flops / (self.device.best_peak[1] / self.device.power_limit_watts)


#: What an energy claim must state before arithmetic can judge it.
NEEDED = {
    "train_images": "how many images an epoch has",
    "epochs": "how many epochs were trained",
    "device": "the device",
}


def ordinary_run(context: Context) -> OrdinaryRun:
    """The ordinary run of a context; `InputError` says what is not stated or not known.

    >>> run = ordinary_run(Context(model="resnet50", image_size=224, train_images=50_000,
    ...                            classes=100, epochs=(20, 30), device="a100-sxm4"))
    >>> [round(joules / 1000) for joules in run.joules], round(run.floor_joules() / 1000, 1)
    ([101, 640], 39.3)
    """
    missing = [why for key, why in NEEDED.items() if getattr(context, key) is None]
    if missing:
        raise InputError(f"no source states {', '.join(missing)}")
    assert context.device is not None
    assert context.train_images is not None
    assert context.epochs is not None
    if context.phase not in (None, "training"):
        raise InputError(f"only training runs are judged, not {context.phase}")
    found = device(context.device)
    macs = macs_of(context)
    if macs is None:
        raise InputError(
            "the work of one image is not known; state model and image_size, or macs_per_image"
        )
    if not found.rates or found.training_watts is None or found.idle_watts is None:
        raise InputError(f"no public training rate and power of the {found.name} are kept")
    rates = [_rate_at(rate, context, macs) for rate in found.rates]
    native = dataclasses.replace(context, image_size=context.native_size, macs_per_image=None)
    native_macs = macs_of(native)
    return OrdinaryRun(
        device=found,
        flops_per_image=TRAINING_FLOPS_PER_MAC * macs,
        images_per_epoch=context.train_images,
        epochs=context.epochs,
        rates=(min(rates), max(rates)),
        watts=found.training_watts,
        idle_watts=found.idle_watts,
        test_images=context.test_images,
        native_size=context.native_size,
        native_share=native_macs / macs if native_macs else None,
    )


def _rate_at(rate: Rate, context: Context, macs: float) -> float:
    """The public rate, scaled by the work of an image where the network or its input differ."""
    if (rate.model, rate.image_size) == (context.model, context.image_size):
        return rate.images_per_second
    return rate.images_per_second * resnet_macs(rate.model, rate.image_size) / macs
