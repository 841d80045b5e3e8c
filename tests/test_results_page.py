"""The page of results says what the records say, and "not run" where there are none."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from orthowatt.config import RunConfig, StudyConfig, Variant
from orthowatt.record import RunRecord

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(
        "results_page", ROOT / "benchmarks" / "results_page.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    sys.path.insert(0, str(ROOT / "benchmarks"))  # as where a script is started
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(ROOT / "benchmarks"))
    for name in (spec.name, "verdicts"):
        del sys.modules[name]


def write(folder, name, accuracies, joules, device="cuda:0", **changes):
    config = RunConfig(weights="w.pth", **changes)
    study = StudyConfig(name, config, (Variant(name),), tuple(range(len(accuracies))), name)
    (folder / name).mkdir(parents=True)
    (folder / name / "study.json").write_text(json.dumps(study.to_dict()))
    for seed, accuracy in enumerate(accuracies):
        energy = {"joules": joules, "bound_joules": 50.0 if joules else None, "reason": "no sensor"}
        RunRecord(
            config.replace(seed=seed), variant=name, data={"test": 10_000},
            metrics={"test_accuracy": accuracy, "epochs_done": 5},
            hardware={"cpu": "a CPU", "gpus": [{"name": "a GPU"}]}, settings={"device": device},
            energy={"run": {"energy": energy}},
        ).save(folder / name / "runs" / str(seed))  # fmt: skip


def line(page, start):
    (found,) = [row for row in page.splitlines() if row.startswith(f"| {start}")]
    return found


def test_without_records_nothing_was_run(script, tmp_path):
    page = script.page(tmp_path)
    for claim in script.CLAIMS:
        assert line(page, claim.text).count("not run") == 1
    # and the grids, the training loop, and the sentence that says so
    assert page.count("not run") == len(script.CLAIMS) + len(script.GRIDS) + 2
    assert "%," not in page


@pytest.mark.parametrize(
    ("accuracies", "joules", "verdict"),
    [
        ([0.80, 0.82], 38_000.0, "reached"),
        ([0.80, 0.78], 38_000.0, "not reached"),
        ([0.80, 0.82], 40_000.0, "not reached (energy)"),
        ([0.80, 0.82], 38_960.0, "not settled: the energy's bound passes the limit"),
        ([0.80, 0.82], None, "accuracy reached; energy not measured"),
    ],
)
def test_a_goal_is_judged_by_accuracy_and_energy(script, tmp_path, accuracies, joules, verdict):
    write(tmp_path, "fast", accuracies, joules)
    (tmp_path / "weights.txt").write_text("a product-quantised ResNet-50 (72.18 % top-1)\n")
    row = line(script.page(tmp_path), "pretrained ResNet-50 with WHT at both positions")
    assert [cell.strip() for cell in row.split("|")][3] == verdict
    assert "a product-quantised ResNet-50 (72.18 % top-1)" in row
    assert "a GPU" in row
    assert ("38.00 ± 0.05 kJ a run" in row) == (joules == 38_000.0)
    assert "spread over 2 seeds" in row


def test_collecting_leaves_weights_behind(script, tmp_path):
    write(tmp_path / "from", "fast", [0.5], 1.0)
    (tmp_path / "from" / "fast" / "runs" / "0" / "model.safetensors").write_bytes(b"0" * 100)
    script.collect(tmp_path / "from", tmp_path / "to")
    names = {path.name for path in (tmp_path / "to").rglob("*") if path.is_file()}
    assert names == {"study.json", "record.json", "epochs.jsonl"}
    assert script.page(tmp_path / "from") == script.page(tmp_path / "to")


def test_collecting_leaves_the_machines_folders_out(script, tmp_path):
    write(tmp_path / "from", "fast", [0.5], 1.0, data_root="/home/me/data")
    for path in (tmp_path / "from").rglob("*.json"):
        path.write_text(path.read_text().replace("w.pth", "/home/me/w.pth"))
    before = script.page(tmp_path / "from")
    script.collect(tmp_path / "from", tmp_path / "to")
    for path in (tmp_path / "to").rglob("*.json"):
        assert "/home/me" not in path.read_text()
    assert script.page(tmp_path / "to") == before  # the study still knows its runs
    assert "w.pth" in line(before, "pretrained ResNet-50")


def test_the_page_in_the_repository_is_the_one_that_the_records_make(script):
    assert script.PAGE.read_text(encoding="utf-8") == script.page(script.RESULTS)


def test_a_rehearsal_on_few_images_is_no_answer(script, tmp_path):
    write(tmp_path, "fast", [0.9], 1000.0, limit_images=64)
    write(tmp_path, "fast-ablation", [0.9], 1000.0, limit_images=64)
    page = script.page(tmp_path)
    assert "not run" in line(page, "pretrained ResNet-50 with WHT at both positions")
    assert "a rehearsal on 64 images" in line(page, "fast-ablation")


def test_energy_of_another_device_reaches_no_goal(script, tmp_path):
    write(tmp_path, "fast", [0.9], 1000.0, device="cpu")
    assert "the energy is not a GPU's" in line(
        script.page(tmp_path), "pretrained ResNet-50 with WHT at both"
    )


@pytest.mark.parametrize(
    ("accuracies", "text"),
    [
        ([0.80], "+1.0 points to the paper's; one seed"),
        ([0.80, 0.802, 0.798], "+1.0 points to the paper's, another value"),
        ([0.80, 0.77, 0.81], "+0.3 points to the paper's, no clear difference"),
    ],
)
def test_the_papers_rows_say_how_far_they_are(script, tmp_path, accuracies, text):
    write(tmp_path, "core-20", accuracies, None)
    for path in (tmp_path / "core-20").rglob("record.json"):
        path.write_text(path.read_text().replace('"core-20"', '"wht early+late"'))
    assert f"| {text} |" in line(script.page(tmp_path), "WHT early + late, 20 epochs")
