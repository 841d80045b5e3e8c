"""A result file has what there is whenever the run ends, and mixes no code and no devices."""

import json

import pytest

from orthowatt.bench import results
from orthowatt.bench.results import ResultFile
from orthowatt.errors import InputError

FACTS = {"device_name": "NVIDIA H100", "command": "now"}


def read(path):
    return json.loads(path.read_text())


def test_rows_are_written_as_they_come_but_not_more_often_than_once_a_second(monkeypatch, tmp_path):
    now = [100.0]
    monkeypatch.setattr(results.time, "monotonic", lambda: now[0])
    path = tmp_path / "a.json"
    add = ResultFile(path, FACTS).section("first")
    add({"case": 1})
    assert read(path)["first"] == [{"case": 1}]
    now[0] += 0.5
    add({"case": 2})
    assert len(read(path)["first"]) == 1
    now[0] += 0.5
    add({"case": 3})
    assert len(read(path)["first"]) == 3
    assert read(path)["complete"] is False
    assert read(path)["sections"]["first"]["seconds"] is None


def test_a_section_ends_with_its_facts(tmp_path):
    file = ResultFile(tmp_path / "a.json", FACTS)
    file.section("first")({"case": 1})
    file.end("first", left=2, seconds=3.5)
    assert read(file.path)["sections"]["first"] == {"error": None, "left": 2, "seconds": 3.5}


def test_sections_join_the_file_of_the_same_code_and_device(tmp_path):
    path = tmp_path / "a.json"
    assert ResultFile(path, FACTS).join() == []
    before = ResultFile(path, FACTS)
    before.section("first")({"case": 1})
    before.section("step")({"case": 2})
    before.end("step", left=0)
    after = ResultFile(path, FACTS)
    assert after.join() == ["first", "step"]
    after.section("step")({"case": 3})
    after.write()
    found = read(path)
    assert (found["first"], found["step"]) == ([{"case": 1}], [{"case": 3}])


@pytest.mark.parametrize("changed", ["source", "device_name"])
def test_other_code_or_another_device_is_refused(monkeypatch, tmp_path, changed):
    path = tmp_path / "a.json"
    file = ResultFile(path, FACTS)
    file.data[changed] = "another"
    file.write()
    with pytest.raises(InputError, match=f"has {changed} another, this run .*--out"):
        ResultFile(path, FACTS).join()
    path.write_text("{")
    with pytest.raises(InputError, match="cannot be read as JSON"):
        ResultFile(path, FACTS).join()


def test_the_code_is_told_apart_by_what_is_measured(monkeypatch, tmp_path):
    for part in ("transforms", "train"):
        (tmp_path / part).mkdir()
    monkeypatch.setattr(results, "_PACKAGE", tmp_path)
    (tmp_path / "transforms" / "a.py").write_text("1")
    found = results.source()
    (tmp_path / "train" / "b.py").write_text("1")
    assert results.source() == found
    (tmp_path / "transforms" / "a.py").write_text("2")
    assert results.source() != found
