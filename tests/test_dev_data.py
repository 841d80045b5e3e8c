"""Tests on development data look in one place, and nowhere else."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


def test_unset_or_wrong_it_skips_and_says_why(find_dev_data, monkeypatch, tmp_path):
    monkeypatch.delenv("ORTHOWATT_DEV_DATA", raising=False)
    with pytest.raises(pytest.skip.Exception, match="set ORTHOWATT_DEV_DATA to its folder"):
        find_dev_data()
    monkeypatch.setenv("ORTHOWATT_DEV_DATA", str(tmp_path / "absent"))
    with pytest.raises(pytest.skip.Exception, match="absent, which is no folder"):
        find_dev_data()
    monkeypatch.setenv("ORTHOWATT_DEV_DATA", str(tmp_path))
    assert find_dev_data() == tmp_path


def test_only_the_common_fixture_reads_the_variable():
    readers = {
        path.relative_to(TESTS).as_posix()
        for path in TESTS.rglob("*.py")
        if "ORTHOWATT_DEV_DATA" in path.read_text(encoding="utf-8")
    }
    assert readers == {"conftest.py", "test_dev_data.py"}
