"""The command line: exit codes, one-sentence errors, JSON, closed pipes, help with an example."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from orthowatt.cli import VERBS, main


def run(*argv, **more):
    return subprocess.run(
        [sys.executable, "-m", "orthowatt", *argv],
        capture_output=True,
        text=True,
        timeout=120,
        **more,
    )


def test_help_names_every_verb(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)
    assert main([]) == 2


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("orthowatt ")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"Example: orthowatt {verb}" in text
    assert all(option in text for option in ("--json", "--debug", "--quiet"))


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["adit"], "no verb 'adit'; did you mean 'audit'"),
        (["audit"], "name a claims file|give a TOML file"),
        (["audit", "arxiv-2506"], "arxiv-2506.16418"),
        (["demo", "--seeds", "0"], "--seeds is 0, but must be at least 1"),
        (["run"], "name a recipe or file first"),
        (["run", "dmo", "--out", "x"], "no recipe is named 'dmo'; did you mean 'demo'?"),
        (["run", "demo"], "--out is missing"),
        (["study", "papr", "--out", "x"], "no study is named 'papr'; did you mean 'paper'"),
        (["measure"], "no command was given"),
    ],
)
def test_bad_usage_is_one_sentence_and_exit_code_2(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 2
    streams = capsys.readouterr()
    assert not streams.out
    assert "Traceback" not in streams.err
    assert any(word in streams.err for word in words.split("|"))
    assert len(streams.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["demo", "--sedes", "3"], "--seeds"),
        (["run", "demo", "--out", "x", "--epochs", "-1"], "epochs is -1, but must lie in"),
        (["run", "demo", "--out", "x", "--transform", "wth"], "invalid choice 'wth'"),
    ],
)
def test_options_that_do_not_parse_exit_with_2(argv, words, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["study", "missing.toml", "--out", "x"], "missing.toml: No such file"),
        (["status", "nowhere"], "holds no study.json"),
        (["report", "nowhere"], "holds no study.json"),
        (["audit", "missing.toml"], "missing.toml"),
        (["measure", "--", "no-such-program-anywhere"], "no-such-program-anywhere"),
    ],
)
def test_what_fails_is_one_sentence_and_not_exit_code_0(argv, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) in (1, 2, 127)
    text = capsys.readouterr().err
    assert words in text
    assert "Traceback" not in text


def test_debug_shows_where(tmp_path):
    from orthowatt.errors import DataError

    with pytest.raises(DataError):
        main(["status", str(tmp_path), "--debug"])


def test_a_source_tree_without_its_packages_says_which_is_missing(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tyro", None)  # importing it raises, as where it is absent
    monkeypatch.delitem(sys.modules, "orthowatt.cli.run", raising=False)
    assert main(["run", "paper"]) == 1
    assert "the Python module tyro is missing" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        main(["run", "paper", "--debug"])


def test_a_runs_recipe_is_a_study_of_one_row(capsys, tmp_path):
    argv = ["study", "fast", "--out", str(tmp_path / "s"), "--set", "device=cpu", "epochs=1"]
    assert main([*argv, "--seeds", "2", "--plan", "--json"]) == 0
    states = json.loads(capsys.readouterr().out)
    assert [(state["variant"], state["seed"]) for state in states] == [("fast", 0), ("fast", 1)]


@pytest.mark.parametrize(
    ("environment", "start"),
    [
        ({}, "orthowatt"),
        ({"LOCAL_WORLD_SIZE": "4"}, "torchrun --nproc-per-node=4 -m orthowatt"),
        (
            {"LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "2"},
            "torchrun --nnodes=2 --nproc-per-node=2 -m orthowatt",
        ),
    ],
)
def test_a_stopped_run_says_how_to_go_on(tmp_path, capsys, monkeypatch, environment, start):
    from orthowatt.train import loop

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "train_run", stopped)
    if environment:  # as torchrun tells the first of four processes
        told = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "localhost"}
        for name, value in (told | environment).items():
            monkeypatch.setenv(name, value)
    out = str(tmp_path / "my run")
    assert main(["run", "demo", "--out", out, "--seed", "3"]) == 130
    said = capsys.readouterr().err
    (line,) = said.strip().splitlines()
    assert f"to go on: {start} run demo --out '{out}' --seed 3" in line


def test_list_and_plan_as_json(capsys):
    assert main(["list", "--json"]) == 0
    names = json.loads(capsys.readouterr().out)
    assert {"demo", "paper", "scratch32"} <= set(names["recipes (orthowatt run)"])
    assert "arxiv-2506.16418" in names["claims (orthowatt audit)"]
    assert main(["run", "paper", "--transform", "wht", "--plan", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert plan["config"]["transform"] == "wht"
    assert plan["config"]["image_size"] == 224
    assert plan["memory"]["fits"] in (True, None)
    assert plan["memory"]["estimate_bytes"] > 2**30


def test_a_file_is_a_recipe(capsys, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('transform = "dct"\nepochs = 2\n')
    assert main(["run", str(path), "--epochs", "3", "--plan"]) == 0
    text = capsys.readouterr().out
    assert "epochs             3   (changed)" in text
    path.write_text('transfrom = "dct"\n')
    assert main(["run", str(path), "--plan"]) == 2
    assert "did you mean 'transform'" in capsys.readouterr().err


def test_doctor_is_strict_on_request(capsys):
    from orthowatt.energy.doctor import sensors

    readable = any(sensor.readable for sensor in sensors())
    assert main(["doctor"]) == 0
    assert main(["doctor", "--strict"]) == (0 if readable else 1)
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sensors"]
    assert "torch" in found["machine"]


def test_measure_passes_the_exit_code_on(tmp_path):
    done = run("measure", "--csv", str(tmp_path / "m.csv"), "--", sys.executable, "-c", "exit(7)")
    assert done.returncode == 7
    assert "energy" in done.stderr
    assert (tmp_path / "m.csv").read_text().count("\n") == 2


def test_measure_prints_its_json_after_the_commands_output():
    child = [sys.executable, "-c", "print('{of the child}')"]
    done = run("measure", "--json", "--quiet", "--", *child)
    first, rest = done.stdout.split("\n", 1)
    assert first == "{of the child}"
    assert json.loads(rest)["returncode"] == 0
    assert done.stderr == ""


def test_quiet_keeps_the_result_of_measure():
    done = run("measure", "--quiet", "--", sys.executable, "-c", "")
    assert done.stdout == ""
    assert done.stderr.startswith("energy ")


def test_measure_says_where_its_json_goes(capsys):
    with pytest.raises(SystemExit):
        main(["measure", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "the command's own output comes first and the JSON object is the last thing" in text


@pytest.mark.parametrize(
    "argv",
    [
        ["--out", "x", "--help"],
        ["demo", "--out", "x", "-h"],
        ["no-such", "--help"],
        ["--epochs", "--help"],
    ],
)
def test_help_of_run_is_shown_wherever_it_is_asked_for(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["run", *argv])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    positional = text.split("positional arguments")[1].split(" options ")[0]
    assert "RECIPE|FILE" in positional
    assert "comes first" in positional
    assert "(required)" in positional


def test_help_of_run_shows_the_named_recipes_values(capsys):
    with pytest.raises(SystemExit):
        main(["run", "paper", "--help"])
    assert "(default: 224)" in capsys.readouterr().out


def test_the_audit_tests_itself(capsys):
    assert main(["audit", "--self-test"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 12
    assert all(line.startswith("found") for line in lines)


def test_a_closed_pipe_ends_quietly():
    command = f"{sys.executable} -m orthowatt audit arxiv-2506.16418 | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stderr == ""


def test_one_run_from_the_command_line(tmp_path, capsys):
    argv = ["run", "demo", "--epochs", "1", "--transform", "dct", "--out", str(tmp_path / "r")]
    assert main([*argv, "--json", "--quiet"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["status"] == "finished"
    assert record["config"]["transform"] == "dct"
    energy = record["energy"]["run"]["energy"]
    assert (energy["joules"] is None) == (energy["status"] == "unknown")


def test_quiet_keeps_the_result_of_run(tmp_path, capsys):
    out = tmp_path / "r"
    assert main(["run", "demo", "--epochs", "0", "--out", str(out), "--quiet"]) == 0
    streams = capsys.readouterr()
    assert streams.out.startswith("test accuracy 0.")
    assert streams.out.endswith(f"record: {out / 'record.json'}\n")
    assert streams.err == ""


def test_the_demo_leaves_what_it_asks_for(tmp_path):
    from rich.console import Console

    from orthowatt.cli.demo import _act_audit
    from orthowatt.recipes.study import demo
    from orthowatt.report.repeat import command

    _act_audit(tmp_path, Console(quiet=True))
    assert command(demo(seeds=5), tmp_path) == f"orthowatt demo --out {tmp_path} --seeds 5"


STUDY = """
name = "small"
seeds = 1
[base]
epochs = 1
[[variants]]
name = "none"
[[variants]]
name = "wht"
transform = "wht"
"""


@pytest.mark.slow
def test_a_study_in_subprocesses_goes_on_and_is_reported(tmp_path, capsys):
    (tmp_path / "s.toml").write_text(STUDY)
    out = str(tmp_path / "out")
    assert main(["study", str(tmp_path / "s.toml"), "--out", out, "--plan"]) == 0
    assert "2 of 2 runs are missing" in capsys.readouterr().out
    assert main(["study", str(tmp_path / "s.toml"), "--out", out]) == 0
    assert "[2/2] wht, seed 0: test accuracy" in capsys.readouterr().err
    assert main(["study", str(tmp_path / "s.toml"), "--out", out]) == 0
    assert "2 of 2 runs are already done" in capsys.readouterr().err
    assert main(["status", out]) == 0
    assert "2 done" in capsys.readouterr().out
    for form in ("html", "md", "json", "csv"):
        assert main(["report", out, "--format", form]) == 0
        path = capsys.readouterr().out.strip()
        assert os.path.getsize(path) > 500


@pytest.mark.slow
def test_ctrl_c_keeps_finished_work(tmp_path):
    out = tmp_path / "demo"
    process = subprocess.Popen(
        [sys.executable, "-m", "orthowatt", "demo", "--seeds", "1", "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 100
    while not list(out.glob("runs/*/record.json")) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; finished work is kept" in text
    assert "Traceback" not in text
    again = run("demo", "--seeds", "1", "--out", str(out))
    assert again.returncode == 0
    assert "runs are already done" in again.stderr
    assert (out / "report.html").exists()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the null device stays open, as stdout does
def test_a_closed_stdout_is_no_error(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert main(["list"]) == 0
    assert main(["lst"]) == 2
