"""The energy windows of a run: phases are parts of it."""

import pytest

from orthowatt.energy import Energy, EnergyMeter, Measured
from orthowatt.train import segments
from orthowatt.train.loop import train_run


def test_training_and_evaluation_are_parts_of_the_run(small, tmp_path, monkeypatch):
    paths, ended = [], EnergyMeter.ended
    monkeypatch.setattr(
        EnergyMeter,
        "ended",
        lambda meter, window: (paths.append(window.path), ended(meter, window)),
    )
    record = train_run(small(epochs=2, mirror_test=True), tmp_path)
    # loading and building first, then the run itself, which closes after its parts
    before, first = ["run/data", "run"], ["run/epoch/train/warm-up"]
    epoch = ["run/epoch/train", "run/epoch/eval", "run/epoch/checkpoint", "run/epoch"]
    assert paths == [*before, *first, *epoch, *epoch, "run/eval", "run/beside", "run"]
    phases = {"data", "epoch", "warm-up", "train", "eval", "checkpoint", "beside"}
    assert set(record.energy) == {"run", *phases}
    seconds = {name: window["seconds"] for name, window in record.energy.items()}
    assert seconds["train"] + seconds["checkpoint"] < seconds["epoch"] < seconds["run"]
    assert seconds["warm-up"] < seconds["train"]


def test_the_floor_of_a_killed_run_counts_nothing_twice():
    def window(joules):
        energy = Energy(joules, "measured", None, "gpu:A", "nvml-counter", 1.0, 0.1)
        return Measured(1.0, {"gpu:A": energy}, energy, energy, 1, {}).to_dict()

    now = {"run": window(1), "data": window(0.5), "epoch": window(9), "warm-up": window(2)}
    now |= {"train": window(6), "eval": window(2), "checkpoint": window(0.5)}
    lost = segments.after_a_kill({}, now)
    assert lost["run"]["energy"]["joules"] is None
    # 1 + 6 + 2 + 0.5, each less its own bound
    assert lost["run"]["energy"]["at_least_joules"] == pytest.approx(9.1)
