"""The training benchmark at a size for tests: rows, ratios, and the command."""

import json

import pytest

from orthowatt.bench import train
from orthowatt.cli import main
from orthowatt.config import RunConfig


@pytest.fixture(scope="module")
def measured():
    config = RunConfig(batch_size=8, image_size=16, device="cpu", precision="fp32")
    return train.run(config, steps=2, rounds=3)


def test_every_loop_has_a_row(measured):
    rows, settings = measured
    assert [row.name for row in rows] == ["bare loop", "orthowatt", "timm's parts"]
    assert settings["note"] == ""
    assert (settings["batch_size"], settings["image_size"]) == (8, 16)
    bare = rows[0]
    for row in rows:
        assert 0 < row.low <= row.images_per_second <= row.high
        assert row.ratio == pytest.approx(row.images_per_second / bare.images_per_second)
    assert (bare.ratio, bare.bar, rows[1].bar) == (1.0, None, train.BAR)


def test_the_loop_tells_how_long_it_waits_for_data(measured):
    ours = measured[0][1]
    assert 0 < ours.data_wait_share < 0.9
    assert ours.host_share is None  # host and device are one on the CPU


def test_the_command_writes_what_it_measured(tmp_path, capsys):
    out = tmp_path / "train.json"
    argv = ["bench", "train", "--model", "orthowatt_resnet8", "--image-size", "16"]
    argv += ["--batch-size", "4", "--steps", "1", "--rounds", "2", "--device", "cpu"]
    assert main([*argv, "--out", str(out)]) == 0
    assert "bare loop" in capsys.readouterr().out
    found = json.loads(out.read_text())
    assert [row["name"] for row in found["rows"]] == ["bare loop", "orthowatt"]
    assert found["settings"]["steps"] == 1
    assert main([*argv, "--rounds", "1"]) == 2
