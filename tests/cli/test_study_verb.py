"""`orthowatt study`: its exit code and what it says of runs that are not done."""

import json
import shlex
from types import SimpleNamespace

import pytest

from orthowatt.cli import main
from orthowatt.record import RunRecord
from orthowatt.study import runner

STUDY = """
name = "small"
seeds = 1
[base]
epochs = 1
device = "cpu"
[[variants]]
name = "none"
[[variants]]
name = "wht"
transform = "wht"
"""


@pytest.fixture
def trained(monkeypatch):
    """Runs end at once, as `trouble[variant]` (status, reason) says; the variants tried are told."""

    told = SimpleNamespace(trouble={}, tried=[])

    def train(config, directory, variant):
        told.tried.append(variant)
        record = RunRecord(config, variant=variant, hardware={"slug": "cpu-here"})
        trouble = told.trouble.get(variant)
        if isinstance(trouble, BaseException):
            raise trouble
        if trouble:
            record.status, record.reason = trouble
        record.save(directory)
        return record

    monkeypatch.setattr(runner, "run_in_subprocess", train)
    monkeypatch.setattr(runner, "device_slug", lambda _: "cpu-here")
    return told


@pytest.fixture
def command(tmp_path):
    (tmp_path / "s.toml").write_text(STUDY)
    return ["study", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]


def test_a_run_that_is_not_done_is_told_and_counts(trained, command, capsys):
    trained.trouble = {"wht": ("interrupted", "cuda:0 has too little memory")}
    assert main(command) == 1
    text = capsys.readouterr().err
    assert "interrupted  wht, seed 0: cuda:0 has too little memory" in text
    assert "1 of 2 runs are not done; the same command tries them again" in text
    trained.trouble = {}
    assert main(command) == 0
    assert "not done" not in capsys.readouterr().err
    assert trained.tried == ["none", "wht", "wht"]


@pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_a_stopped_study_names_the_command_that_goes_on(trained, command, capsys, stop, code):
    trained.trouble = {"wht": stop}
    try:
        ended = main(command)
    except SystemExit as left:
        ended = left.code
    assert ended == code
    assert f"stopped; to go on: orthowatt {shlex.join(command)}\n" in capsys.readouterr().err
    trained.trouble = {}
    assert main(command) == 0
    assert trained.tried == ["none", "wht", "wht"]


def test_a_failed_run_is_tried_again_only_where_asked(trained, command, capsys):
    trained.trouble = {"wht": ("failed", "the loss is nan")}
    assert main(command) == 1
    assert main([*command, "--json"]) == 1
    streams = capsys.readouterr()
    assert "the same command with --retry-failed tries them again" in streams.err
    told = json.loads(streams.out[streams.out.index("{") :])
    assert [(s["variant"], s["state"]) for s in told["not_done"]] == [("wht", "failed")]
    assert trained.tried == ["none", "wht"]
    trained.trouble = {}
    assert main([*command, "--retry-failed"]) == 0
    assert trained.tried == ["none", "wht", "wht"]


def test_variants_that_a_setting_makes_equal_are_run_once(trained, command, capsys):
    assert main([*command, "--set", "transform=wht", "epochs=2"]) == 0
    assert trained.tried == ["none"]
    assert "'wht' is left out: with these settings it is 'none'" in capsys.readouterr().err
    elsewhere = [*command[:-1], f"{command[-1]}-2"]
    assert main([*elsewhere, "--set", "epochs=2"]) == 0
    assert trained.tried[1:] == ["none", "wht"]
    assert "left out" not in capsys.readouterr().err
