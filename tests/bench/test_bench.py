"""The benchmarks: small runs give whole rows; the self-check finds a planted error."""

import json

import numpy as np
import pytest
import torch

from orthowatt.bench import kernels, mechanisms, selfcheck, step, values
from orthowatt.bench.cases import Case, cpu_cases, gpu_cases
from orthowatt.bench.timing import Timing, interleaved
from orthowatt.cli import main
from orthowatt.errors import OrthowattError
from orthowatt.transforms import functional, hadamard


def test_the_self_check_passes_and_names_its_references():
    checks = selfcheck.transform_checks((28,))
    assert {check["name"] for check in checks} == {"WHT", "DCT", "DST", "Hartley"}
    assert all(0 < check["max_error"] < 1e-5 for check in checks)


@pytest.mark.parametrize("name", ["WHT", "DCT", "DST", "Hartley"])
def test_the_self_check_finds_a_wrong_transform(monkeypatch, name):
    right = getattr(functional, name.lower())
    monkeypatch.setattr(functional, name.lower(), lambda x: right(x) * 1.001)
    errors = {check["name"]: check["max_error"] for check in selfcheck.transform_checks((28,))}
    assert errors.pop(name) > 5e-4
    assert all(error < 1e-5 for error in errors.values())


def test_the_self_check_finds_a_wrong_matrix(monkeypatch):
    monkeypatch.setattr(hadamard, "matrix", lambda n: np.ones((n, n), dtype=np.int8))
    with pytest.raises(OrthowattError, match="no symmetric Hadamard matrix"):
        selfcheck.transform_checks((28,))


def test_spectra_are_lists_of_the_scans_size():
    spectra = selfcheck.scan_spectra(torch.rand(32, 32), "a scan")
    assert [image["name"] for image in spectra["images"]] == ["scan", "WHT", "DCT", "FFT magnitude"]
    assert all(np.shape(image["values"]) == (32, 32) for image in spectra["images"])


def test_interleaving_tells_slow_from_fast():
    small, large = torch.rand(64, 64), torch.rand(512, 512)
    found = interleaved(
        {"small": lambda: small @ small, "large": lambda: large @ large},
        device=torch.device("cpu"),
        seconds=0.1,
    )
    assert found["large"].seconds > 5 * found["small"].seconds
    assert found["small"].low <= found["small"].seconds <= found["small"].high


def test_kernel_rows_are_whole(tmp_path, capsys):
    path = tmp_path / "rows.json"
    argv = ["bench", "kernels", "--only", "wht plane 28", "--mebibytes", "1", "--seconds", "0.05"]
    assert main([*argv, "--quiet", "--json", str(path)]) == 0
    assert "orthowatt" in capsys.readouterr().out
    result = json.loads(path.read_text())
    assert result["command"].startswith("orthowatt")
    assert {"device", "code", "hardware", "software", "threads"} <= set(result)
    rows = {row["name"]: row for row in result["rows"]}
    assert {"copy_", "orthowatt", "dense matmul"} <= set(rows)
    assert rows["copy_"]["ratio"] == 1
    assert rows["orthowatt"]["bar"] == 2.4
    assert rows["orthowatt"]["max_error"] < 1e-6
    ours, dense = rows["orthowatt"], rows["dense matmul"]
    assert dense["times_ours"] == pytest.approx(dense["milliseconds"] / ours["milliseconds"])
    assert ours["times_ours"] is rows["copy_"]["times_ours"] is None


def test_rows_say_whether_they_hold_their_bars():
    case = Case("wht", (64, 256, 56, 56), (-2, -1), True, torch.bfloat16)
    times = {"copy_": 2.0, "orthowatt": 2.2, "fast-hadamard-transform": 5.0, "dense matmul": 9.0}
    found = {name: Timing(t, t, t, 9) for name, t in times.items()}
    rows = {
        name: kernels._row("wht", case, name, found[name], found, 1.15, 1e-3, "") for name in found
    }
    assert rows["orthowatt"].verdict() == "≤ 1.15"
    assert rows["fast-hadamard-transform"].verdict() == "2.27 × ours under 3"
    assert rows["copy_"].verdict() == rows["dense matmul"].verdict() == ""
    assert rows["dense matmul"].times_ours == pytest.approx(9 / 2.2)


def test_every_case_is_covered_by_a_kernel_or_falls_back_correctly():
    for name, _, case in cpu_cases(0.01, (torch.float32,)):
        x = case.tensor(torch.device("cpu"))
        assert kernels.relative_error(case, kernels.call_of(case)(x), x) < 1e-6, name


def test_mechanisms_and_their_slopes():
    rows, slopes = mechanisms.run(sizes=(16, 32, 64), elements=2**16, seconds=0.05)
    assert {row.n for row in rows} == {16, 32, 64}
    names = {slope.name for slope in slopes}
    assert {"dense WHT (H x H)", "fast WHT", "fast WHT, in place", "DCT"} <= names
    assert all(row.joules is not None or row.joules_reason for row in rows)
    assert all(row.extra_bytes is None or row.extra_bytes >= 0 for row in rows)
    dense = [row for row in rows if row.name.startswith("dense")]
    assert all(row.extra_bytes >= 4 * 2**16 for row in dense)  # the product between the two


def test_a_slope_has_its_interval():
    rng = np.random.default_rng(0)
    rows = [
        mechanisms.Row(n, "x", 1.0, n**1.0 * np.exp(rng.normal(0, 0.01)), 0, None, "no sensor")
        for n in mechanisms.SIZES
    ]
    found = mechanisms.slope(rows)
    assert found.low < 1 < found.high
    assert found.fits == ["O(N n), dense"]


def test_the_cases_of_a_gpu_come_most_valuable_first():
    found = list(gpu_cases((torch.bfloat16, torch.float32)))
    first = [(name, case.dtype) for name, _, case in found[:2]]
    assert first == [("wht plane 56", torch.bfloat16), ("wht channels_last 56", torch.bfloat16)]
    keep = next(case for name, _, case in found if name == "wht plane 14")
    assert keep.result_shape == (64, 1024, 16, 16)
    assert keep.bytes_moved == 2 * 64 * 1024 * (14 * 14 + 16 * 16)
    assert {case.dtype for *_, case in gpu_cases((torch.float16,))} == {torch.float16}


def test_the_checks_of_a_device_find_a_wrong_value():
    exact = torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    right = values.compare("x", exact.float(), exact)
    assert right.passed
    assert 0 < right.figure < right.limit
    assert not values.compare("x", (exact * 1.00001).float(), exact).passed
    assert values.compare("x", exact.bfloat16(), exact).passed
    wrong = exact.bfloat16()
    wrong[0, 0, 0] *= 1.03
    assert not values.compare("x", wrong, exact).passed


def test_what_a_transform_adds_to_a_training_step(monkeypatch):
    monkeypatch.setattr(step, "VARIANTS", {"none": None, "wht early+late, keep": "keep"})
    plain, kept = step.run(torch.device("cpu"), batch=2, image_size=64, seconds=0.0, rounds=2)
    assert plain.more == 0
    assert plain.added_macs == 0
    assert plain.macs == kept.macs > 1e8  # 16 and 4 have matrices: nothing is padded
    assert plain.milliseconds > 0
    model = step._model("keep", torch.device("cpu"))
    # 14 x 14 becomes 16 x 16 behind the late transform
    assert step._macs(model, torch.device("cpu"), 224) > 4.1e9
