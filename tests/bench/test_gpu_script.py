"""`benchmarks/gpu.py` goes through all that it measures on a GPU, with small tensors on the CPU."""

import json
import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
SECTIONS = ["timed values", "values", "first", "step", "rest", "more values"]


def run(monkeypatch, folder, *words):
    """The script's exit code."""
    argv = ["gpu.py", "--rehearse", "--minutes", "3", "--out", str(folder), *words]
    monkeypatch.setattr("sys.argv", argv)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # of the processes: small tensors gain nothing
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(SCRIPT), run_name="__main__")
    finally:
        torch.set_num_threads(threads)
    return ended.value.code


def read(folder, what="kernels"):
    return json.loads((folder / f"rehearsal-{what}.json").read_text())


@pytest.mark.slow
def test_the_gpu_script_rehearses_every_section(tmp_path, monkeypatch):
    monkeypatch.setattr("orthowatt.bench.results.source", lambda: "as loaded")
    assert run(monkeypatch, tmp_path) == 0
    result = read(tmp_path)
    assert result["complete"] is True
    assert list(result["sections"]) == SECTIONS
    for facts in result["sections"].values():
        assert (facts["error"], facts["left"]) == (None, 0)
    assert all(check["passed"] for check in result["timed values"] + result["values"])
    assert len(result["values"]) > 100
    assert {row["dtype"] for row in result["first"]} == {"bfloat16", "float32"}
    assert [row["error"] for row in result["step"]] == [None] * 3
    again = result["first"]
    assert run(monkeypatch, tmp_path, "--only", "first") == 0
    joined = read(tmp_path)
    assert list(joined["sections"]) == SECTIONS
    assert joined["step"] == result["step"]
    assert [row["case"] for row in joined["first"]] == [row["case"] for row in again]
    assert joined["first"] != again  # timed anew


def test_a_sweep_has_a_file_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "rehearsal-kernels.json").write_text("kept")
    words = ("--sweep", "--only", "sweep", "--cases", "wht plane 14")
    assert run(monkeypatch, tmp_path, *words) == 0
    assert (tmp_path / "rehearsal-kernels.json").read_text() == "kept"
    rows = read(tmp_path, "sweep-wht-plane-14")["sweep"]
    assert {row["case"] for row in rows} == {"wht plane 14"}
    assert {row["dtype"] for row in rows} == {"bfloat16", "float32"}


def test_sections_of_other_code_are_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "rehearsal-kernels.json").write_text('{"source": "another"}')
    assert run(monkeypatch, tmp_path, "--only", "first") == 2
    assert "has source another" in capsys.readouterr().err
    assert read(tmp_path) == {"source": "another"}


def test_what_failed_makes_the_exit_code(tmp_path, monkeypatch, capsys):
    from orthowatt.bench import cases, kernels

    def fails(case):
        if case.kind == "dct2":
            raise RuntimeError("no kernel")
        return right(case)

    right = kernels.call_of
    monkeypatch.setattr(kernels, "call_of", fails)
    monkeypatch.setattr(cases, "MAPS", ((28, 4),))
    assert run(monkeypatch, tmp_path, "--only", "first") == 1
    out = capsys.readouterr().out
    assert "dct2 plane 28 contiguous bfloat16 orthowatt" in out
    rows = read(tmp_path)["first"]
    assert {row["error"] for row in rows if row["kind"] == "dct2"} == {"RuntimeError: no kernel"}
    assert all(row["error"] is None for row in rows if row["kind"] == "wht")


@pytest.mark.parametrize("words", [["--cases", "wht"], ["--only", "sweep"], ["--only", "frist"]])
def test_options_that_go_nowhere_are_refused(tmp_path, monkeypatch, words, capsys):
    assert run(monkeypatch, tmp_path, *words) == 2
    assert "error:" in capsys.readouterr().err


def test_every_case_is_in_the_file_before_the_next_begins(tmp_path, monkeypatch):
    from orthowatt.bench import cases, kernels

    def measured(name, bar, case, device, seconds):
        path = tmp_path / "rehearsal-kernels.json"
        rows.append(len(read(tmp_path)["first"]) if path.exists() else 0)
        return [kernels._failed(name, case, str(k), bar, "") for k in range(3)]

    rows = []
    monkeypatch.setattr(kernels, "_measured", measured)
    monkeypatch.setattr(cases, "MAPS", ((28, 4), (12, 4)))
    run(monkeypatch, tmp_path, "--only", "first")
    assert rows == list(range(0, 3 * len(rows), 3))
    assert len(rows) == 12
