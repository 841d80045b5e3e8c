"""The benchmarks: small runs give whole rows; the self-check finds a planted error."""

import json

import numpy as np
import pytest
import torch

from orthowatt.bench import kernels, mechanisms, selfcheck
from orthowatt.bench.cases import cpu_cases
from orthowatt.bench.timing import interleaved
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
