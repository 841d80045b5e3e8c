"""Configurations: validated, hashed, round-tripped."""

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from orthowatt.config import RunConfig, StudyConfig, Variant
from orthowatt.errors import InputError


def test_the_hash_is_frozen():
    """Folders are named by it: a change orphans every study that users have."""
    assert RunConfig().hash == "42664b6a2021"
    assert RunConfig().variant_hash == RunConfig(seed=7).variant_hash


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(RunConfig)])
def test_every_field_is_either_hashed_or_says_that_it_is_not(field):
    other = {
        "transform": "dct", "position": "early", "layer": "filter", "dims": (-1, -3), "order": "pow2",
        "pad": "keep", "norm": None, "freeze": ("conv1",), "optimizer": "sgd", "schedule": "constant",
        "precision": "bf16", "determinism": "exact", "weights": "w.pth", "data_root": "/d",
        "model": "resnet18", "data": "cifar10", "device": "cpu", "train_sizes": (16,),
        "train_on": "train+validation", "budget_joules": 5.0, "target_accuracy": 0.5, "wht_by": "dense",
        "micro_batch": 32, "cache": "stream", "limit_images": 9,
    }  # fmt: skip
    value = getattr(RunConfig(), field)
    if field not in other:
        if isinstance(value, bool):
            value = not value
        else:
            value += 1 if isinstance(value, int) else 0.05
    needed = {"nesterov": {"optimizer": "sgd"}, "wht_by": {"transform": "wht"}}
    base = RunConfig(**needed.get(field, {}))
    changed = base.replace(**{field: other.get(field, value)})
    excluded = field in (
        "data_root", "device", "checkpoint_steps", "checkpoint_seconds", "auto_batch", "cache",
    )  # fmt: skip
    assert (changed.hash == base.hash) is excluded


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"transform": "wth"}, "must be one of none, .*did you mean 'wht'"),
        ({"epochs": 1.5}, "whole number"),
        ({"epochs": True}, "must be a number"),
        ({"learning_rate": 0.0}, r"must lie in \(0.0, inf\)"),
        ({"learning_rate": float("nan")}, "must lie in"),
        ({"dims": (0, 1)}, "one or two of 1, 2, 3"),
        ({"dims": (-1, 3)}, "one dimension twice"),
        ({"dropout": 1.0}, r"\[0.0, 1.0\)"),
        ({"position": "erly"}, "must be one of input, .*did you mean 'early'"),
        ({"position": "layer1.0 layer2"}, "or names of modules parted by +"),
        ({"micro_batch": 0}, r"must lie in \[1, inf\)"),
        ({"micro_batch": 24}, "must divide batch_size, 64, as 8, 16, 32 do"),
        ({"micro_batch": 32, "auto_batch": True}, "leave one of them out"),
        ({"model": 3}, "model is 3, but must be a string$"),
        ({"data": None}, "data is None, but must be a string$"),
        ({"weights": 1}, "weights is 1, but must be a string or None$"),
        ({"flip": 1}, "flip is 1, but must be true or false"),
        ({"compile": "yes"}, "compile is 'yes', but must be true or false"),
        ({"freeze": "layer1"}, "freeze is 'layer1', but must be a list of names"),
        ({"freeze": ("layer1", 2)}, r"freeze is \('layer1', 2\), but must be a list of names"),
        ({"dims": -1}, "dims is -1, but must be a list of whole numbers"),
        ({"dims": (-1.0,)}, "must be a list of whole numbers"),
        ({"dims": (True, 2)}, "must be a list of whole numbers"),
        ({"train_sizes": (2, 32)}, r"each must lie in \[8, 4096\]"),
        ({"train_sizes": 16}, "must be a list of whole numbers"),
        ({"budget_joules": 0}, r"budget_joules is 0, but must lie in \(0.0, inf\)"),
        ({"target_accuracy": 0.5, "validation": 0.0}, "no validation images are held out"),
        ({"target_accuracy": 0.5, "train_on": "train+validation"}, "no validation images"),
        ({"wht_by": "dense"}, "belongs to transform=wht with layer=bare"),
        ({"nesterov": True}, "belongs to optimizer=sgd"),
        ({"flip": True, "alternate_flip": True}, "choose one of them"),
        ({"ema": 1.0}, r"ema is 1.0, but must lie in \[0.0, 1.0\)"),
    ],
)
def test_bad_settings_are_answered(changes, words):
    with pytest.raises(InputError, match=words):
        RunConfig(**changes)


def test_a_path_is_a_string():
    config = RunConfig(weights=Path("w.pth"), data_root=Path("/d"))  # type: ignore[arg-type]
    assert config == RunConfig(weights="w.pth", data_root="/d")


@pytest.mark.parametrize(
    ("dims", "same"), [((2, 3), (-2, -1)), ((3, 1), (-1, -3)), ((1,), (-3,)), ([2, -1], (-2, -1))]
)
def test_axes_have_one_spelling(dims, same):
    config = RunConfig(dims=dims)
    assert config.dims == same
    assert config == RunConfig(dims=same)
    assert config.hash == RunConfig(dims=same).hash


def test_round_trip_and_unknown_keys():
    config = RunConfig(dims=(-1, -3), pad=None, freeze=("conv1", "layer1"))
    assert RunConfig.from_dict(config.to_dict()) == config
    assert RunConfig.from_dict({"pad": "none"}).pad is None
    with pytest.raises(InputError, match=re.escape("no setting 'epoch'; did you mean 'epochs'")):
        RunConfig.from_dict({"epoch": 3})


STUDY = """
name = "two"
seeds = 2
[base]
epochs = 1
[[variants]]
name = "none"
[[variants]]
name = "wht early"
transform = "wht"
position = "early"
"""


def test_a_study_from_toml():
    study = StudyConfig.from_dict(tomllib.loads(STUDY))
    assert study.seeds == (0, 1)
    assert study.run("wht early", 1) == RunConfig(
        epochs=1, transform="wht", position="early", seed=1
    )
    assert StudyConfig.from_dict(study.to_dict()) == study


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"variants": []}, "at least one variant"),
        ({"variants": [{"transform": "wht"}]}, "needs a name"),
        ({"variants": [{"name": "none"}, {"name": "none"}]}, "none appears twice"),
        ({"variants": [{"name": "none"}, {"name": "b"}]}, "'none' and 'b' have the same settings"),
        ({"variants": [{"name": "wht"}]}, "baseline 'none' is no variant"),
        ({"seeds": [0, 0]}, "must be distinct"),
        ({"accuracy_margin": 1.0}, "fraction"),
        ({"cost_margin": 1.0}, "ratio above 1"),
        ({"seed": 3}, "did you mean 'seeds'"),
    ],
)
def test_bad_studies_are_answered(change, words):
    with pytest.raises(InputError, match=words):
        StudyConfig.from_dict({**tomllib.loads(STUDY), **change})


def test_a_variant_without_such_a_name():
    study = StudyConfig("s", RunConfig(), (Variant("none"),))
    with pytest.raises(InputError, match="no variant 'nine'; did you mean 'none'"):
        study.run("nine", 0)
