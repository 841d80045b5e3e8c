"""Recipes return configurations that can be changed, and say what they say."""

import pytest

from orthowatt.config import RunConfig
from orthowatt.errors import InputError
from orthowatt.recipes.run import RECIPES, paper, scratch32


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
