"""What a failing process leaves, and what the others make of it."""

from types import SimpleNamespace

import pytest

from orthowatt.errors import TrainingError
from orthowatt.train import last_words
from orthowatt.train.ranks import Ranks

CLOSED = "[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:1"


@pytest.fixture
def process(tmp_path):
    """Makes one of three processes of a run."""

    def make(rank, began=True):
        return SimpleNamespace(directory=tmp_path / "run", ranks=Ranks(rank, 3), began=began)

    return make


def test_the_first_to_fail_is_the_one_that_counts(process, monkeypatch):
    monkeypatch.setattr(last_words, "PATIENCE", 0.0)
    broken = RuntimeError(CLOSED)
    alone = last_words.of_another(process(0), broken)
    assert "left without a word ([gloo" in str(alone)
    last_words.write(process(2), "the disk is full\nand more", "interrupted")
    last_words.write(process(1), "the loss is nan", "failed")
    said = last_words.of_another(process(0), broken)
    assert (str(said), said.status) == (
        "process 2 of 3: the disk is full\nand more", "interrupted",
    )  # fmt: skip
    assert last_words.take_back(process(0).directory) == [
        "an earlier start was ended by process 1 of 3: the loss is nan",
        "an earlier start was ended by process 2 of 3: the disk is full\nand more",
    ]
    assert last_words.read(process(0)) is None


def test_an_error_of_its_own_is_not_anothers(process):
    last_words.write(process(1), "the loss is nan", "failed")
    for error in (ValueError(CLOSED), RuntimeError("no kernel image"), TrainingError(CLOSED)):
        assert last_words.of_another(process(0), error) is None


def test_words_may_come_late(process, monkeypatch):
    monkeypatch.setattr(
        last_words.time, "sleep", lambda _: last_words.write(process(1), "slow", "interrupted")
    )
    assert str(last_words.of_another(process(0), RuntimeError(CLOSED))) == "process 1 of 3: slow"


@pytest.mark.parametrize(("rank", "began"), [(0, True), (1, False)])
def test_the_first_process_and_one_that_has_not_begun_leave_nothing(process, rank, began):
    last_words.write(process(rank, began), "the loss is nan", "failed")
    assert not process(rank).directory.exists()
