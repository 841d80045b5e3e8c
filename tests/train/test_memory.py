"""Peaks of a stretch, not of the process's life."""

import sys

import pytest
import torch

from orthowatt.train.memory import PeakMemory, larger, side_by_side

BLOCK = 256 * 2**20


def touch() -> None:
    """Hold a block for a moment: written, so that it is resident."""
    torch.ones(BLOCK, dtype=torch.uint8)


@pytest.mark.skipif(sys.platform != "linux", reason="the mark can be reset on Linux only")
def test_the_peak_is_that_of_the_stretch():
    touch()  # a peak before the stretch
    quiet = PeakMemory(torch.device("cpu")).read()["peak_rss_bytes"]
    loud = PeakMemory(torch.device("cpu"))
    touch()
    peak = loud.read()["peak_rss_bytes"]
    if quiet is None:  # a sandbox without clear_refs: only a new lifetime peak can be told
        pytest.skip("this kernel does not let the peak be reset")
    assert peak is not None
    assert 0.9 * BLOCK < peak - quiet < 1.5 * BLOCK


def test_device_memory_is_unknown_on_the_cpu():
    found = PeakMemory(torch.device("cpu")).read()
    assert found["peak_allocated_bytes"] is None
    assert found["peak_reserved_bytes"] is None
    assert found["peak_driver_bytes"] is None


def test_the_drivers_highest_word_is_kept(monkeypatch):
    said = iter([(60, 100), (30, 100), (80, 100)])
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: next(said))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 7)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 9)
    memory = PeakMemory(torch.device("cuda", 0))
    assert [memory.read()["peak_driver_bytes"] for _ in range(3)] == [40, 70, 70]


def test_pieces_together_have_the_larger_peak():
    assert larger({"a": 1.0, "b": None}, {"a": 2.0, "b": 3.0}) == {"a": 2.0, "b": None}
    assert larger({"a": 3.0}, {"a": 2.0}) == {"a": 3.0}
    assert larger({}, {"a": 2.0}) == {"a": None}


def test_a_process_that_cannot_be_asked_leaves_the_highest_unknown():
    assert larger({"a": 1.0}, None) == larger(None, {"a": 1.0}) == {"a": None}
    assert side_by_side([{"a": 1.0}], [{"a": 2.0}, {"a": 3.0}]) == [None, None]
