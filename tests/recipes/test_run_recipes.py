"""Recipes return configurations that can be changed, and say what they say."""

import pytest

from orthowatt.config import RunConfig
from orthowatt.errors import InputError
from orthowatt.recipes.run import RECIPES, fast, paper, scratch32
from orthowatt.recipes.study import STUDIES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_takes_changes(name):
    recipe = RECIPES[name]
    assert isinstance(recipe(), RunConfig)
    assert recipe().hash == recipe().hash
    assert recipe(seed=5, transform="dct") == recipe().replace(seed=5, transform="dct")
    with pytest.raises(InputError, match="did you mean 'epochs'"):
        recipe(epoch=3)


def test_the_paper_is_as_the_paper_says():
    config = paper()
    assert (config.data, config.image_size, config.epochs) == ("cifar100", 224, 20)
    assert (config.optimizer, config.dropout, config.pretrained) == ("adam", 0.5, True)
    assert config.l2 > 0
    assert config.weight_decay == 0
    assert (config.order, config.pad) == ("pow2", "crop")
    assert config.freeze == ()


def test_scratch32_works_on_the_photos_at_their_own_size():
    config = scratch32()
    assert (config.model, config.image_size) == ("orthowatt_resnet18", 32)


def test_scratch32_starts_from_nothing():
    assert not scratch32().pretrained
    assert scratch32().weights is None


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_can_be_made_with_its_variants(name):
    study = STUDIES[name](seeds=2)
    assert study.name == name
    hashes = {study.run(variant.name, 0).hash for variant in study.variants}
    assert len(hashes) == len(study.variants)


def test_the_ablation_leaves_out_every_choice_of_the_fast_recipe():
    """Each setting in which the recipe differs from plain fine-tuning has its variant."""
    study = STUDIES["fast-ablation"]()
    assert study.base == fast()
    touched = {key for variant in study.variants for key in variant.changes}
    chosen = {
        "train_sizes", "schedule", "optimizer", "nesterov", "batch_size", "learning_rate", "layer",
        "label_smoothing", "ema", "crop_padding", "flip", "compile", "l2", "transform", "epochs",
        "precision", "channels_last", "determinism",
    }  # fmt: skip
    assert chosen <= touched


def test_the_core_of_the_paper_is_part_of_its_grid():
    core, whole = STUDIES["paper-core"](), STUDIES["paper"]()
    for variant in core.variants:
        assert core.run(variant.name, 0) == whole.run(variant.name, 0)
