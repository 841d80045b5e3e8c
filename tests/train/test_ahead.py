"""Plans of runs that are not begun agree with what the runs themselves plan."""

import pytest
from PIL import Image

from orthowatt.config import RunConfig
from orthowatt.data import sources
from orthowatt.data.survey import survey
from orthowatt.errors import DataError, InputError
from orthowatt.train.ahead import plan_ahead
from orthowatt.train.loop import train_run


@pytest.mark.parametrize(
    "changes",
    [
        {"transform": "wht", "layer": "filter"},
        {"transform": "wht", "wht_by": "dense"},
        {"micro_batch": 16, "freeze": ("layer1",)},
    ],
)
def test_a_run_needs_what_was_planned(small, tmp_path, changes):
    config = small(epochs=0, **changes)
    ahead = plan_ahead(config)
    record = train_run(config, tmp_path)
    assert record.settings["memory_plan"]["parts"] == ahead.need.to_dict()


def test_a_gpu_by_name_and_its_own_precision():
    config = RunConfig(model="resnet18", image_size=64, batch_size=128, device="t4")
    t4 = plan_ahead(config)
    l4 = plan_ahead(config.replace(device="l4"))
    full = plan_ahead(config.replace(precision="fp32"))
    assert t4.need == l4.need  # fp16 and bf16 are of one size
    assert full.need.step > 1.4 * t4.need.step
    with pytest.raises(InputError, match="no GPU is known as 'a9000'"):
        plan_ahead(config.replace(device="a9000"))


@pytest.fixture
def photos(tmp_path):
    for part, count in (("train", 4), ("test", 2)):
        for name in ("a", "b"):
            (tmp_path / part / name).mkdir(parents=True)
            for index in range(count):
                Image.new("RGB", (8, 8)).save(tmp_path / part / name / f"{index}.png")
    return f"imagefolder:{tmp_path}"


def test_a_survey_says_what_loading_gives(photos):
    for name in ("digits", photos):
        found, whole = survey(name, 16), sources.load(name, image_size=16)
        assert (found.classes, found.channels) == (len(whole.classes), whole.channels)
        assert (found.train, found.test) == (len(whole.train_labels), len(whole.test_labels))
        assert found.nbytes == whole.held_bytes
    with pytest.raises(DataError, match="is no folder"):
        survey("imagefolder:nowhere", 16)
    with pytest.raises(InputError, match="did you mean 'cifar100'"):
        survey("cifar1000", 16)


def test_streamed_files_take_no_memory_on_the_device(photos):
    config = RunConfig(data=photos, image_size=32, batch_size=4, device="h100")
    assert plan_ahead(config).need.data == 12 * 3 * 32 * 32
    assert plan_ahead(config.replace(cache="stream")).need.data == 0
