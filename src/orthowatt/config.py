"""What a run and a study are: frozen, validated, hashed dataclasses that need no torch."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .config_checks import (
    check_choices,
    check_numbers,
    check_position,
    check_together,
    check_types,
)
from .errors import InputError, closest

TRANSFORMS = (
    "none", "identity", "random", "wht", "dct", "dst", "hartley", "fft", "fft-realimag",
)  # fmt: skip
POSITIONS = ("input", "early", "late", "early+late", "final")
LAYERS = ("bare", "filter")

Transform = Literal[
    "none", "identity", "random", "wht", "dct", "dst", "hartley", "fft", "fft-realimag"
]


def _unhashed(default: Any) -> Any:
    """A field that says where or how a run is done, not what its result is."""
    return field(default=default, metadata={"hashed": False})


def _later(default: Any) -> Any:
    """A field that came after runs had been made: at its default it leaves their hash as it was."""
    return field(default=default, metadata={"later": True})


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the result of one training run.

    Two runs with equal configuration on one device repeat each other. A value that is not allowed
    raises `InputError`, which names the setting, what was given and what is allowed.

    >>> config = RunConfig(transform="wht", position="early", epochs=3)
    >>> config.replace(seed=1).variant_hash == config.variant_hash
    True
    >>> RunConfig(epochs=-1)
    Traceback (most recent call last):
    orthowatt.errors.InputError: epochs is -1, but must lie in [0, inf)
    """

    model: str = "orthowatt_resnet8"  # orthowatt_resnet8, -18, -50 or any timm name
    transform: Transform = "none"  # what is inserted
    position: str = "early+late"  # where: see `orthowatt list`, or after modules, as in layer2.1
    layer: Literal["bare", "filter"] = "bare"  # the transform alone, or T⁻¹(v ⊙ T x), v learned
    dims: tuple[int, ...] = (-2, -1)  # axes of an NCHW map: -2 -1 is (H, W), -1 -3 is (W, C)
    order: Literal["exact", "pow2"] = "exact"  # Hadamard orders: all, or powers of two only
    pad: Literal["keep", "crop"] | None = "crop"  # for sizes that have no Hadamard matrix
    norm: Literal["ortho"] | None = "ortho"  # orthonormal, or unscaled
    fft_log: bool = False  # log(1 + |F|) instead of |F|
    wht_by: Literal["fast", "dense"] = _later("fast")  # dense: a product with the whole matrix
    dropout: float = 0.0  # before the last layer
    freeze: tuple[str, ...] = ()  # stages or modules that are not trained
    pretrained: bool = False  # begin with published weights
    weights: str | None = None  # begin with these weights: a .safetensors or .pth file
    data: str = "digits"  # digits, cifar10, cifar100, imagefolder:PATH or table:FILE.csv
    data_root: str | None = _unhashed(None)  # where the files lie
    cache: Literal["auto", "device", "stream"] = _unhashed("auto")  # of imagefolder: and table:
    image_size: int = 32  # pixels a side that the network sees
    train_sizes: tuple[int, ...] = _later(())  # training goes through these, then image_size
    validation: float = 0.1  # part of train that is held out
    limit_images: int | None = _later(None)  # of train, validation and test each: a rehearsal
    train_on: Literal["train", "train+validation"] = _later("train")  # both: a final run
    crop_padding: float = 0.0  # random crops from an image padded by this part of its side
    flip: bool = False  # random horizontal flips
    alternate_flip: bool = _later(False)  # mirror each image in every second epoch instead
    split_seed: int = 0  # which images are held out
    epochs: int = 5  # passes over the training images
    batch_size: int = 64  # images a step
    micro_batch: int | None = _later(None)  # of which so many at once, their gradients summed
    auto_batch: bool = _unhashed(False)  # the largest micro_batch that the device has memory for
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = 1e-3  # the highest of the schedule
    momentum: float = 0.9  # of sgd; the others have their own
    nesterov: bool = _later(False)  # of sgd
    l2: float = 0.0  # λ of λ‖w‖² in the loss (Keras's sense)
    weight_decay: float = 0.0  # decoupled decay, times the learning rate
    schedule: Literal["cosine", "one-cycle", "constant"] = "cosine"  # of the learning rate
    warmup: float = 0.0  # part of the steps in which the rate rises
    label_smoothing: float = 0.0  # part of each label spread over all classes
    ema: float = _later(0.0)  # score the moving average of the weights: its decay a step
    mirror_test: bool = _later(False)  # beside the plain test score, that with mirror images
    budget_joules: float | None = _later(None)  # stop training before the run costs more
    target_accuracy: float | None = _later(None)  # stop once validation reaches it
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"  # of the forward pass
    channels_last: bool = True  # memory layout of the maps
    compile: bool = False  # torch.compile
    sync_bn: bool = _later(False)  # several GPUs: batch statistics over all of them
    determinism: Literal["exact", "fast"] = "fast"  # exact: bit-identical when repeated
    seed: int = 0  # of initialisation, order and augmentation
    device: str = _unhashed("auto")  # auto, cpu, cuda or cuda:N
    checkpoint_steps: int = _unhashed(0)  # also write a checkpoint every N steps; 0: by time
    checkpoint_seconds: float = _unhashed(120.0)  # the time between two inside an epoch

    def __post_init__(self) -> None:
        for name in ("dims", "freeze", "train_sizes"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        for name in ("weights", "data_root"):
            value = getattr(self, name)
            if isinstance(value, os.PathLike):
                object.__setattr__(self, name, os.fspath(value))
        check_types(self)
        check_choices(self)
        check_position(self.position, POSITIONS)
        # one spelling of the same axes, so that they make one run
        dims = tuple(dim - 4 if dim > 0 else dim for dim in self.dims)
        object.__setattr__(self, "dims", dims)
        check_numbers(self)
        check_together(self)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that name the run's folder; where it runs plays no part.

        >>> RunConfig(transform="wht").hash == RunConfig(transform="wht", data_root="/else").hash
        True
        """
        return _digest(_hashed_fields(self))

    @staticmethod
    def unhashed() -> tuple[str, ...]:
        """The settings that say where or how a run is done, and play no part in `hash`."""
        fields = dataclasses.fields(RunConfig)
        return tuple(f.name for f in fields if not f.metadata.get("hashed", True))

    @property
    def variant_hash(self) -> str:
        """Like `hash`, blind to the seed: equal for the runs of one variant."""
        fields = _hashed_fields(self)
        del fields["seed"]
        return _digest(fields)

    def to_dict(self) -> dict[str, Any]:
        """The configuration as JSON-ready values."""
        return _jsonable(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Build from JSON or TOML values; an unknown key raises `InputError` with the nearest."""
        known = {f.name for f in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                raise InputError(f"RunConfig has no setting {key!r}; {closest(key, sorted(known))}")
        given = dict(values)
        for key in ("pad", "norm"):  # TOML has no null
            if given.get(key) == "none":
                given[key] = None
        return cls(**given)

    def replace(self, **changes: Any) -> RunConfig:
        """A copy with some fields changed, validated again."""
        return RunConfig.from_dict({**dataclasses.asdict(self), **changes})


@dataclass(frozen=True)
class Variant:
    """One row of a study: a name and the settings in which it differs from the base run.

    >>> Variant("wht early", {"transform": "wht", "position": "early"}).changes["position"]
    'early'
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyConfig:
    """Variants × seeds over one base configuration.

    `baseline` names the variant that the others are compared with. `accuracy_margin` is a
    fraction and `cost_margin` a ratio: both are the equivalence margins, declared beforehand.
    Raises `InputError` for variants or seeds that are not distinct, and margins out of range.

    >>> variants = (Variant("none"), Variant("wht", {"transform": "wht"}))
    >>> study = StudyConfig("two", RunConfig(epochs=3), variants, seeds=(0, 1))
    >>> study.run("wht", 1) == RunConfig(epochs=3, transform="wht", seed=1)
    True
    """

    name: str
    base: RunConfig
    variants: tuple[Variant, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    baseline: str = "none"
    accuracy_margin: float = 0.01
    cost_margin: float = 1.05
    description: str = ""

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        if not names:
            raise InputError("a study needs at least one variant; add [[variants]] to its file")
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise InputError(f"variant names must differ, but {', '.join(twice)} appears twice")
        if self.baseline not in names:
            raise InputError(
                f"baseline {self.baseline!r} is no variant; {closest(self.baseline, names)}"
            )
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise InputError(f"seeds are {list(self.seeds)}, but must be distinct and at least one")
        if not 0 < self.accuracy_margin < 1:
            raise InputError(
                f"accuracy_margin is {self.accuracy_margin}, but must be a fraction in (0, 1)"
            )
        if not self.cost_margin > 1:
            raise InputError(f"cost_margin is {self.cost_margin}, but must be a ratio above 1")
        settings: dict[str, str] = {}
        for name in names:
            other = settings.setdefault(self.run(name, self.seeds[0]).hash, name)
            if other != name:
                raise InputError(
                    f"variants {other!r} and {name!r} have the same settings; remove one of them"
                )

    def run(self, variant: str, seed: int) -> RunConfig:
        """The configuration of one cell of the grid."""
        for candidate in self.variants:
            if candidate.name == variant:
                return self.base.replace(**candidate.changes, seed=seed)
        names = [candidate.name for candidate in self.variants]
        raise InputError(f"the study has no variant {variant!r}; {closest(variant, names)}")

    def to_dict(self) -> dict[str, Any]:
        """The study as JSON-ready values."""
        return _jsonable(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StudyConfig:
        """Build from JSON or TOML values: `[base]`, `[[variants]]`, seeds as a list or a count."""
        known = {f.name for f in dataclasses.fields(cls)}
        for key in values:
            if key not in known:
                raise InputError(f"StudyConfig has no setting {key!r}; {closest(key, known)}")
        given = dict(values)
        for key in ("name", "base", "variants"):
            if key not in given:
                raise InputError(f"a study needs {key!r}; the keys are {', '.join(sorted(known))}")
        given["base"] = RunConfig.from_dict(given["base"])
        given["variants"] = tuple(_variant(entry) for entry in given["variants"])
        seeds = given.get("seeds", (0, 1, 2))
        given["seeds"] = tuple(range(seeds)) if isinstance(seeds, int) else tuple(seeds)
        return cls(**given)


def _variant(entry: Mapping[str, Any]) -> Variant:
    if "name" not in entry:
        raise InputError(f"every variant needs a name, but one reads {dict(entry)!r}")
    changes = dict(entry.get("changes", {}))
    changes.update({k: v for k, v in entry.items() if k not in ("name", "changes")})
    return Variant(str(entry["name"]), changes)


def _hashed_fields(config: RunConfig) -> dict[str, Any]:
    values = config.to_dict()
    for f in dataclasses.fields(config):
        unchanged = f.metadata.get("later", False) and getattr(config, f.name) == f.default
        if unchanged or not f.metadata.get("hashed", True):
            del values[f.name]
    return values


def _digest(values: Mapping[str, Any]) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_jsonable(item) for item in value]
    return value
