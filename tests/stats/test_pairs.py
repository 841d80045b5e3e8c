"""Records pair by seed on one device; what does not pair is named."""

import pytest

from orthowatt.config import RunConfig
from orthowatt.errors import InputError, InputTypeError
from orthowatt.record import RunRecord
from orthowatt.stats import compare


def run(seed, accuracy=0.7, joules=100.0, device="gpu-1a2b3c4d-host", **changes):
    energy = {"joules": joules, "status": "measured", "scope": "gpu:1a2b3c4d"}
    energy.update(changes.pop("energy", {}))
    return RunRecord(
        config=RunConfig(seed=seed),
        hardware={"slug": device} if device else {},
        metrics={"test_accuracy": accuracy, "train_seconds": joules / 10 if joules else None},
        energy={"run": {"energy": energy}},
        **changes,
    )


BASE = [run(0, 0.70, 100.0), run(1, 0.72, 110.0), run(2, 0.71, 105.0)]


def test_records_pair_by_seed_in_any_order():
    variant = [run(2, 0.77), run(0, 0.75), run(1, 0.75)]
    found = compare(BASE, variant)
    assert found.n == 3
    assert found.effect == pytest.approx((0.05 + 0.03 + 0.06) / 3)
    assert found.notes == ()


def test_time_and_energy_read_their_own_figures():
    variant = [run(s, joules=j) for s, j in ((0, 200.0), (1, 221.0), (2, 209.0))]
    assert compare(BASE, variant, metric="energy").ratio == pytest.approx(2, rel=0.01)
    assert compare(BASE, variant, metric="time").ratio == pytest.approx(2, rel=0.01)


def test_a_seed_on_one_side_only_is_named():
    found = compare(BASE, [run(0, 0.75), run(2, 0.77), run(7, 0.9)])
    assert found.n == 2
    assert any("seed 1 on gpu" in note and "only the baseline" in note for note in found.notes)
    assert any("seed 7 on gpu" in note and "only the variant" in note for note in found.notes)


def test_devices_are_never_pooled():
    other = "gpu-ffffffff-host"
    base = [*BASE, run(0, 0.5, device=other), run(1, 0.5, device=other)]
    variant = [run(s, 0.75) for s in (0, 1, 2)] + [run(s, 0.9, device=other) for s in (0, 1)]
    found = compare(base, variant)
    assert found.n == 3
    assert sum(other in note for note in found.notes) == 2


def test_same_seed_on_two_devices_does_not_pair():
    found = compare([run(0)], [run(0, device="gpu-ffffffff-host")])
    assert found.n == 0
    assert len(found.notes) == 2


def test_resumed_runs_count_for_accuracy_only():
    variant = [run(0, 0.75), run(1, 0.76, resumed=True), run(2, 0.77)]
    assert compare(BASE, variant).n == 3
    for metric in ("energy", "time"):
        found = compare(BASE, variant, metric=metric)
        assert found.n == 2
        assert "seed 1" in found.notes[0]
        assert "resumed" in found.notes[0]


def test_failed_runs_are_named():
    variant = [run(0), run(1, status="failed", reason="loss is not finite"), run(2)]
    found = compare(BASE, variant)
    assert found.n == 2
    assert "failed (loss is not finite)" in found.notes[0]


def test_unknown_energy_carries_its_reason():
    unknown = {"joules": None, "status": "unknown", "reason": "no sensor"}
    variant = [run(0, energy=unknown), run(1), run(2)]
    found = compare(BASE, variant, metric="energy")
    assert found.n == 2
    assert "no sensor" in found.notes[0]


def test_estimates_are_no_measurements():
    variant = [run(0, energy={"status": "estimated"}), run(1), run(2)]
    found = compare(BASE, variant, metric="energy")
    assert found.n == 2
    assert "estimated, not measured" in found.notes[0]


def test_an_unnamed_device_counts_for_accuracy_only():
    base, variant = [run(s, device=None) for s in (0, 1)], [run(s, device=None) for s in (0, 1)]
    assert compare(base, variant).n == 2
    assert compare(base, variant, metric="energy").n == 0


def test_unlike_scopes_are_refused():
    variant = [run(0), run(1), run(2, energy={"scope": "cpu-package:0"})]
    with pytest.raises(InputError, match=r"unlike scopes.*cpu-package:0, gpu:1a2b3c4d"):
        compare(BASE, variant, metric="energy")


def test_flags_of_the_energy_are_passed_on():
    variant = [run(0, energy={"flags": ["counter and power differ by 3 %"]}), run(1), run(2)]
    found = compare(BASE, variant, metric="energy")
    assert found.n == 3
    assert "counter and power differ" in found.notes[0]


def test_numerics_versions_do_not_mix():
    found = compare(BASE, [run(0, numerics_version=0), run(1), run(2)])
    assert found.n == 2
    assert "numerics versions" in found.notes[0]


def test_two_runs_of_one_seed_raise():
    with pytest.raises(InputError, match="two runs of seed 1"):
        compare([*BASE, run(1)], BASE)


def test_records_and_numbers_do_not_mix():
    with pytest.raises(InputTypeError, match="mixed"):
        compare(BASE, [0.7, 0.7, 0.7])
    with pytest.raises(InputTypeError, match="RunRecord"):
        compare(BASE[0], BASE[1])


def parted(seed, accuracy, micro_batch, images):
    settings = {"micro_batch": micro_batch, "batch_norm_images": images}
    return run(seed, accuracy, settings=settings)


def test_runs_whose_batch_norms_saw_other_parts_do_not_pair():
    whole = [parted(seed, 0.7, None, 128) for seed in (0, 1)]
    found = compare(whole, [parted(0, 0.75, 32, 32), parted(1, 0.75, None, 128)])
    assert found.n == 1
    assert "seed 0" in found.notes[0]
    assert (
        "batch norm saw 128 images at once in the baseline and 32 in the variant"
        in (found.notes[0])
    )


def shared(seed, ranks, images, **changes):
    return run(seed, settings={"ranks": ranks, "batch_norm_images": images}, **changes)


@pytest.mark.parametrize("metric", ["time", "energy"])
def test_costs_of_unlike_numbers_of_processes_do_not_pair(metric):
    found = compare([shared(0, 1, None), shared(1, 2, None)],
                    [shared(0, 2, None), shared(1, 2, None)], metric=metric)  # fmt: skip
    assert found.n == 1
    assert "seed 0" in found.notes[0]
    assert "the baseline ran in 1 process and the variant in 2 processes" in found.notes[0]
    # records that do not say are of one process
    assert compare([run(0)], [shared(0, 1, None)], metric=metric).n == 1


def test_accuracies_of_unlike_processes_pair_where_batch_norm_saw_as_many_images():
    assert compare([shared(0, 1, None)], [shared(0, 2, None)]).n == 1  # no batch norm
    assert compare([shared(0, 1, 128)], [shared(0, 2, 128)]).n == 1  # synchronised
    found = compare([shared(0, 1, 128)], [shared(0, 2, 64)])
    assert found.n == 0
    assert "batch norm saw 128 images at once in the baseline and 64" in found.notes[0]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((32, 32), (32, 32)),  # the same parts
        ((32, None), (64, None)),  # no batch norm, so parts change nothing
        ((None, 64), (None, 128)),  # another batch_size, as a variant may have
        ((32, 32), (None, 32)),  # another batch of which it saw as many
    ],
)
def test_other_runs_pair(first, second):
    found = compare([parted(0, 0.7, *first)], [parted(0, 0.75, *second)])
    assert found.n == 1
