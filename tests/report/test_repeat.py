"""What the page says about doing a study again is true."""

import dataclasses
import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_folders import make_study

from orthowatt.config import RunConfig, StudyConfig, Variant
from orthowatt.report.repeat import as_toml, command, file_name


def test_the_toml_is_the_study():
    study = make_study(
        base=RunConfig(dims=(-1, -3), freeze=("stem", "layer1"), compile=True, l2=1e-4, seed=3),
        accuracy_margin=0.02,
        cost_margin=1.1,
    )
    again = StudyConfig.from_dict(tomllib.loads(as_toml(study)))
    for variant in study.variants:
        for seed in study.seeds:
            assert again.run(variant.name, seed).hash == study.run(variant.name, seed).hash
    assert (again.seeds, again.baseline, again.description) == (
        study.seeds,
        study.baseline,
        study.description,
    )
    assert (again.accuracy_margin, again.cost_margin) == (0.02, 1.1)


@given(
    name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1), other=st.text(max_size=9)
)
def test_any_name_survives_toml(name, other):
    other = other.encode("utf-8", "ignore").decode() + "x" + name
    study = StudyConfig(
        name, RunConfig(), (Variant("none"), Variant(other, {"dropout": 0.5})), description=other
    )
    again = StudyConfig.from_dict(tomllib.loads(as_toml(study)))
    assert (again.name, again.description) == (name, other)
    assert [variant.name for variant in again.variants] == ["none", other]


def test_none_is_a_word_in_toml():
    study = make_study(base=RunConfig(pad=None, norm=None))
    again = StudyConfig.from_dict(tomllib.loads(as_toml(study)))
    assert (again.base.pad, again.base.norm) == (None, None)
    assert again.base.hash == study.base.hash


def test_what_toml_cannot_say_is_said_in_a_comment():
    variants = (Variant("none"), Variant("new", {"weights": None}))
    text = as_toml(make_study(base=RunConfig(weights="w.pth"), variants=variants))
    assert "# weights is None here" in text
    assert tomllib.loads(text)["variants"] == [{"name": "none"}, {"name": "new"}]


def test_commands_survive_the_shell():
    study = make_study(name="my study; rm -rf /")
    assert file_name(study) == "my-study-rm--rf.toml"
    assert command(study, Path("a b")) == "orthowatt study my-study-rm--rf.toml --out 'a b'"


@pytest.mark.parametrize(
    "changes",
    [
        {"seeds": (1, 2, 3)},
        {"seeds": (0, 2)},
        {"base": RunConfig(epochs=9)},
        {"variants": (Variant("none"),)},
        {"accuracy_margin": 0.02},
    ],
)
def test_only_the_demos_own_study_is_repeated_by_the_demo(tmp_path, changes):
    study = make_study()
    assert command(study, tmp_path).startswith("orthowatt study demo.toml")
    asked = {"claims": "x", "study": study.to_dict()}
    (tmp_path / "claims.json").write_text(json.dumps(asked))
    more = dataclasses.replace(study, seeds=(0, 1, 2, 3))
    assert command(more, tmp_path) == f"orthowatt demo --out {tmp_path} --seeds 4"
    other = dataclasses.replace(study, **changes)
    assert command(other, tmp_path).startswith("orthowatt study demo.toml")
    (tmp_path / "claims.json").write_text('{"claims": "x"}')
    assert command(study, tmp_path).startswith("orthowatt study demo.toml")
