"""The slips that turn a true energy into a printed one, each with its arithmetic.

A slip says which figures it would print for an ordinary run (`span`, in J as printed), and what
a printed figure then really was (`read`). The ids are those of the hypotheses in `HYPOTHESES`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from .claims import Context
from .floor import OrdinaryRun, devices
from .workings import SlipReading, duration, figure

#: Everything that an audit tests a claim for. H1 to H12 are slips that print another figure than
#: the true one, H13 to H18 reasons to doubt a claim whatever was printed.
HYPOTHESES = {
    "H1": "J printed as kJ",
    "H2": "mW taken for W",
    "H3": "energy of one epoch against that of a whole run",
    "H4": "power samples added without their interval",
    "H5": "one reading an epoch or batch, counted as one second",
    "H6": "a cumulative counter without its start value",
    "H7": "several models or reruns summed",
    "H8": "other numbers of epochs, an early stop or a crash",
    "H9": "another input size",
    "H10": "another GPU or precision, or a stalled input pipeline",
    "H11": "inference against training",
    "H12": "idle or host power counted in one row only",
    "H13": "below the energy that the arithmetic alone needs",
    "H14": "a mean power outside idle to limit",
    "H15": "a mechanism that only adds work",
    "H16": "memory reserved by the allocator, not used",
    "H17": "one seed, a test set used for validation, or a weak baseline",
    "H18": "wrong axes, sizes or normalisation of the transform",
}

# What an unknown of a slip may be. Wide on purpose: a slip that can print anything explains little.
SAMPLING_SECONDS = (0.1, 60.0)
BATCH_SIZES = (8, 256)
COUNTER_SECONDS = (3600.0, 30 * 86400.0)
SUMMED_RUNS = (2, 20)
TRIED_EPOCHS = (1, 200)
HOST_WATTS = (50.0, 500.0)
#: A starved GPU idles for up to this share of the time (public reports: 70 to 92 %).
STALLED = 0.92
#: A newer GPU than the stated one may need this share of the energy.
NEWER_GPU = 0.5
#: Beyond its span a slip's fit falls by this many decades for each decade.
TAIL = 4.0

Span = tuple[float, float]


@dataclass(frozen=True)
class Slip:
    """One slip: `span` is None where the context does not allow it (no native size is stated)."""

    key: str
    span: Callable[[OrdinaryRun], Span | None]
    read: Callable[[float, OrdinaryRun], tuple[str, float, str, str]]
    against_fact: Callable[[Context], bool] = lambda context: False

    @property
    def id(self) -> str:
        """The hypothesis, such as "H5" of "H5-batch"."""
        return self.key.split("-")[0]

    @property
    def name(self) -> str:
        """What the slip is, in words."""
        return HYPOTHESES[self.id]


def fit(joules: float, span: Span) -> float:
    """1 within the span, falling by `TAIL` decades for each decade beyond."""
    return 10 ** (-TAIL * distance(joules, span))


def distance(joules: float, span: Span) -> float:
    """How many decades a figure lies outside a span."""
    return max(0.0, math.log10(span[0] / joules), math.log10(joules / span[1]))


def density(joules: float, span: Span) -> float:
    """Probability density of a figure, per decade: even over the span, with the tails of `fit`.

    A slip that can print anything spreads its weight thin, so the ranking prefers one that
    predicts the printed figure.
    """
    width = math.log10(span[1] / span[0]) + 2 / (TAIL * math.log(10))
    return fit(joules, span) / width


def read_slips(joules: float, run: OrdinaryRun) -> tuple[SlipReading, ...]:
    """A printed energy as each slip would have it, best fit first.

    >>> from .claims import Context
    >>> from .floor import ordinary_run
    >>> run = ordinary_run(Context(model="resnet50", image_size=224, train_images=50_000,
    ...                            epochs=(20, 30), device="a100-sxm4"))
    >>> {r.slip: r.text for r in read_slips(39e3, run)}["H3"]
    '0.78 J'
    """
    readings = []
    for slip in SLIPS:
        span = slip.span(run)
        if span is None:
            continue
        label, value, unit, text = slip.read(joules, run)
        readings.append(
            SlipReading(slip.id, slip.name, label, value, unit, text, fit(joules, span))
        )
    return tuple(sorted(readings, key=lambda reading: -reading.fit))


def _scaled(span: Span, low: float, high: float | None = None) -> Span:
    return span[0] * low, span[1] * (low if high is None else high)


# -- what each slip would print --------------------------------------------------------------------


def _samples(run: OrdinaryRun) -> Span:
    low, high = run.seconds
    return (
        low / SAMPLING_SECONDS[1] * run.watts[0],
        high / SAMPLING_SECONDS[0] * run.watts[1],
    )


def _batch_readings(run: OrdinaryRun) -> Span:
    return (
        run.images[0] / BATCH_SIZES[1] * run.watts[0],
        run.images[1] / BATCH_SIZES[0] * run.watts[1],
    )


def _counter(run: OrdinaryRun) -> Span:
    return run.idle_watts * COUNTER_SECONDS[0], run.watts[1] * COUNTER_SECONDS[1]


def _native(run: OrdinaryRun) -> Span | None:
    return None if run.native_share is None else _scaled(run.joules, run.native_share)


def _other_gpu(run: OrdinaryRun) -> Span:
    stalled = run.images[1] / (run.rates[0] * (1 - STALLED))
    watts = STALLED * run.idle_watts + (1 - STALLED) * run.device.power_limit_watts
    slowest = max(
        (
            other.power_limit_watts / rate.images_per_second * run.images[1]
            for other in devices().values()
            for rate in other.rates
        ),
        default=0.0,
    )
    return run.joules[0] * NEWER_GPU, max(stalled * watts, slowest)


def _test_pass(run: OrdinaryRun) -> Span | None:
    """One forward pass over the test images."""
    if run.test_images is None:
        return None
    low, high = run.joules_per_image
    return low / 3 * run.test_images, high / 3 * run.test_images


def _host(run: OrdinaryRun) -> Span:
    low, high = run.seconds
    return run.joules[0] + low * HOST_WATTS[0], run.joules[1] + high * HOST_WATTS[1]


# -- what a printed figure then really was ---------------------------------------------------------


def _an_image(joules: float, run: OrdinaryRun) -> str:
    return figure(joules / run.middle_images, "J") + " an image"


def _read_thousand(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    true = joules / 1000
    text = (
        f"{figure(joules, 'J')} / 1000 = {figure(true, 'J')}, {_an_image(true, run)} over "
        f"{run.middle_epochs:g} epochs"
    )
    return "energy of the run", true, "J", text


def _read_epoch(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    image = joules / run.images_per_epoch
    text = f"{joules:,.0f} J / {run.images_per_epoch:,} images = {figure(image, 'J')} an image"
    return "energy of an image", image, "J", text


def _read_samples(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    watts = run.watts[0]
    count = joules / watts
    interval = tuple(seconds / count for seconds in run.seconds)
    text = (
        f"{joules:,.0f} = {count:,.0f} samples of {watts:g} W, one every "
        f"{figure((interval[0], interval[1]), 's')} of the run"
    )
    return "samples", count, "", text


def _read_epoch_readings(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    count = joules / run.watts[0] / run.middle_epochs
    text = (
        f"{joules:,.0f} J / {run.watts[0]:g} W / {run.middle_epochs:g} epochs = {figure(count)} "
        "readings of one second an epoch"
    )
    return "readings an epoch", count, "", text


def _read_batch_readings(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    readings = joules / run.watts[0]
    batch = run.middle_images / readings
    text = (
        f"{readings:,.0f} readings of {run.watts[0]:g} W and one second; one a batch, over "
        f"{run.middle_images:,.0f} images, makes batches of {figure(batch)}"
    )
    return "batch size", batch, "", text


def _read_counter(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    idle, limit = (joules / watts for watts in (run.idle_watts, run.watts[1]))
    text = (
        f"{figure(joules, 'J')} since the driver was loaded is {duration(idle)} at "
        f"{run.idle_watts:g} W or {duration(limit)} at {run.watts[1]:g} W"
    )
    return "time since driver load at idle", idle, "s", text


def _between(joules: float, span: Span) -> tuple[float, float, float]:
    """How often an ordinary figure fits: in the geometric middle, at most and at least."""
    return joules / math.sqrt(span[0] * span[1]), joules / span[1], joules / span[0]


def _read_models(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    middle, low, high = _between(joules, run.joules)
    text = f"{figure(joules, 'J')} is {figure((low, high))} runs of {figure(run.joules, 'J')}"
    return "runs summed", middle, "", text


def _read_epochs(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    middle, low, high = _between(joules, run.joules_per_epoch)
    text = (
        f"{figure(joules, 'J')} is {figure((low, high))} epochs of "
        f"{figure(run.joules_per_epoch, 'J')}"
    )
    return "epochs", middle, "", text


def _read_native(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    share = run.native_share or 1.0
    ordinary = _scaled(run.joules_per_image, share)
    text = (
        f"{_an_image(joules, run)}; at {run.native_size} pixels, {figure(share, '%')} of the "
        f"work, {figure(ordinary, 'J')} would be ordinary"
    )
    return "energy of an image", joules / run.middle_images, "J", text


def _read_gpu(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    seconds = joules / run.device.power_limit_watts
    rate = run.middle_images / seconds
    text = (
        f"{duration(seconds)} at {run.device.power_limit_watts:g} W, {figure(rate, 'images/s')} "
        f"against {figure(run.rates, 'images/s')}"
    )
    return "rate", rate, "images/s", text


def _read_test_pass(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    images = run.test_images or run.images_per_epoch
    low, high = run.joules_per_image
    text = (
        f"one pass over {images:,} test images makes {figure(joules / images, 'J')} an inference, "
        f"where a third of training, {figure((low / 3, high / 3), 'J')}, would be ordinary"
    )
    return "energy of an inference", joules / images, "J", text


def _read_forward(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    low, high = run.joules_per_image
    text = (
        f"{_an_image(joules, run)}, where a forward pass, a third of training, takes "
        f"{figure((low / 3, high / 3), 'J')}"
    )
    return "energy of a forward pass", joules / run.middle_images, "J", text


def _read_host(joules: float, run: OrdinaryRun) -> tuple[str, float, str, str]:
    seconds = math.sqrt(run.seconds[0] * run.seconds[1])
    extra = (joules - math.sqrt(run.joules[0] * run.joules[1])) / seconds
    if extra < 0:
        text = f"{figure(joules, 'J')} is below the ordinary {figure(run.joules, 'J')} already"
    else:
        text = (
            f"over an ordinary {duration(seconds)} the excess is {figure(extra, 'W')}, where a "
            f"host draws {figure(HOST_WATTS, 'W')}"
        )
    return "host power", extra, "W", text


SLIPS = (
    Slip("H1", lambda run: _scaled(run.joules, 1000), _read_thousand),
    Slip("H2", lambda run: _scaled(run.joules, 1000), _read_thousand),
    Slip("H3", lambda run: run.joules_per_epoch, _read_epoch),
    Slip("H4", _samples, _read_samples),
    Slip(
        "H5-epoch",
        lambda run: (run.epochs[0] * run.watts[0], run.epochs[1] * run.watts[1]),
        _read_epoch_readings,
    ),
    Slip("H5-batch", _batch_readings, _read_batch_readings),
    Slip("H6", _counter, _read_counter, lambda context: context.method == "power sampling"),
    Slip(
        "H7", lambda run: _scaled(run.joules, *SUMMED_RUNS), _read_models,
        lambda context: context.per == "model",
    ),
    Slip(
        "H8", lambda run: _scaled(run.joules_per_epoch, *TRIED_EPOCHS), _read_epochs,
        lambda context: context.epochs is not None,
    ),
    Slip("H9", _native, _read_native, lambda context: context.image_size is not None),
    Slip("H10", _other_gpu, _read_gpu, lambda context: context.device is not None),
    Slip("H11-test", _test_pass, _read_test_pass, lambda context: context.phase == "training"),
    Slip(
        "H11-forward", lambda run: _scaled(run.joules, 1 / 3), _read_forward,
        lambda context: context.phase == "training",
    ),
    Slip("H12", _host, _read_host),
)  # fmt: skip
