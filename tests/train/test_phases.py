"""The energy windows of a run: phases are parts of it."""

from orthowatt.energy import EnergyMeter
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
    epoch = ["run/train", "run/eval"]
    assert paths == ["run", *epoch, *epoch, "run/eval", "run/beside", "run"]
    assert set(record.energy) == {"run", "train", "eval", "beside"}
    parts = sum(record.energy[name]["seconds"] for name in ("train", "eval", "beside"))
    assert parts < record.energy["run"]["seconds"]
