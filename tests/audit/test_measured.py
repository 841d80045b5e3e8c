"""Claims judged by runs: only under the claim's conditions, and always saying so."""

import dataclasses
from pathlib import Path

import pytest

from orthowatt.audit import audit_claims, load_claims
from orthowatt.audit.measured import judged
from orthowatt.config import RunConfig, StudyConfig, Variant
from orthowatt.errors import DataError
from orthowatt.record import RunRecord, Study

PAPER = load_claims("arxiv-2506.16418")
A100 = {"slug": "gpu-1a2b3c4d-host", "gpus": [{"name": "NVIDIA A100-SXM4-40GB"}]}
CONDITIONS = {
    "model": "resnet50",
    "pretrained": True,
    "data": "cifar100",
    "image_size": 224,
    "epochs": 25,
}


def study(results, energies=None, hardware=A100, validation=None, **changes):
    """Runs of named variants: accuracies (and joules) by seed."""
    base = RunConfig(**{**CONDITIONS, **changes})
    variants = tuple(
        Variant(name, {"transform": name.split("@")[0], "position": position})
        for name in results
        for position in [name.split("@")[1] if "@" in name else "early+late"]
    )
    seeds = tuple(range(len(next(iter(results.values())))))
    config = StudyConfig("check", base, variants, seeds, baseline=variants[0].name)
    found = Study(Path("check"), config)
    for name, accuracies in results.items():
        for seed, accuracy in enumerate(accuracies):
            record = RunRecord(config.run(name, seed), variant=name, hardware=hardware)
            record.metrics = {"test_accuracy": accuracy, "train_seconds": 100.0 + seed}
            record.epochs = [{"validation_accuracy": v} for v in validation or ()]
            joules = energies[name][seed] if energies else None
            status = "unknown" if joules is None else "measured"
            record.energy = {
                "run": {
                    "energy": {
                        "joules": joules, "status": status, "reason": "no sensor", "scope": "gpu:1",
                    }
                }
            }  # fmt: skip
            found.records.append(record)
    return found


NONE = [0.852, 0.855, 0.850, 0.853]


def finding(claim_id, *studies):
    found = audit_claims(PAPER, studies).get(claim_id)
    assert found is not None
    return found


def test_an_accuracy_is_reproduced_or_contradicted_under_its_conditions():
    assert finding("accuracy-none", study({"none": NONE})).verdict == "contradicted"
    low = study({"none": [0.661, 0.659, 0.663, 0.660]})
    found = finding("accuracy-none", low)
    assert found.verdict == "reproduced"
    assert "66.1 %" in found.reason


def test_one_run_decides_nothing():
    found = finding("accuracy-none", study({"none": [0.85]}))
    assert found.verdict == "inconclusive"
    assert "85.0 % in 1 run" in found.reason


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"data": "digits"}, "data digits, not cifar100"),
        ({"model": "orthowatt_resnet8"}, "model resnet8, not resnet50"),
        ({"epochs": 5}, "5 epochs, not 20 to 30"),
        ({"pretrained": False}, "pretrained False, not True"),
        ({"image_size": 32}, "image_size 32, not 224"),
    ],
)
def test_other_conditions_judge_nothing_and_are_named(changes, text):
    found = finding("accuracy-none", study({"none": NONE}, **changes))
    assert found.verdict == "not measurable here"
    assert len(found.evidence) == 1
    assert text in found.evidence[0]
    assert "does not judge" in found.evidence[0]


def test_model_names_of_timm_and_of_the_zoo_count_as_the_network():
    for name in ("orthowatt_resnet50", "resnet50.tv_in1k"):
        assert finding("accuracy-none", study({"none": NONE}, model=name)).verdict == "contradicted"


def test_a_gain_is_judged_by_paired_differences():
    wht = [x + 0.001 * (k % 2) for k, x in enumerate(NONE)]
    found = finding("gain-wht-early-late", study({"none": NONE, "wht": wht}))
    assert found.verdict == "contradicted"
    assert "wht against none, accuracy +0.05 points" in found.reason
    gain = [x - 0.19 for x in NONE], [x - 0.06 + 0.001 * (k % 2) for k, x in enumerate(NONE)]
    found = finding("gain-wht-early-late", study({"none": gain[0], "wht": gain[1]}))
    assert found.verdict == "reproduced"


def test_the_position_must_be_the_claims():
    early = study({"none": NONE, "wht@early": NONE})
    assert finding("gain-wht-early-late", early).evidence == ()
    assert finding("gain-wht-early", early).verdict == "contradicted"


def test_a_measured_ratio_contradicts_the_saving():
    energies = {
        "none": [300e3, 302e3, 299e3, 301e3],
        "wht": [306e3, 307e3, 305e3, 306e3],
    }
    runs = study({"none": NONE, "wht": NONE}, energies, epochs=5)
    found = finding("saving-wht-early-late", runs)
    assert found.verdict == "contradicted"
    assert "+1.8 %" in found.reason
    assert found.explanations  # the arithmetic stays with the finding


def test_unknown_energy_leaves_the_arithmetic_standing():
    found = finding("saving-wht-early-late", study({"none": NONE, "wht": NONE}))
    assert found.verdict == "implausible"
    assert "no sensor" in found.evidence[0]


def test_joules_count_on_the_stated_device_only():
    energies = {"none": [300e3, 302e3, 299e3, 301e3]}
    assert finding("energy-none", study({"none": NONE}, energies)).verdict == "contradicted"
    h100 = {"slug": "gpu-2-host", "gpus": [{"name": "NVIDIA H100"}]}
    found = finding("energy-none", study({"none": NONE}, energies, hardware=h100))
    assert found.verdict == "implausible"
    assert "device NVIDIA H100, not NVIDIA A100 SXM4" in found.evidence[0]


def test_a_saving_without_a_figure_is_judged_by_its_sign():
    energies = {"none": [300e3, 302e3, 299e3], "dct": [303e3, 304e3, 303e3]}
    runs = study({"none": NONE[:3], "dct": NONE[:3]}, energies)
    assert finding("saving-dct", runs).verdict == "contradicted"
    energies["dct"] = [200e3, 201e3, 202e3]
    runs = study({"none": NONE[:3], "dct": NONE[:3]}, energies)
    assert finding("saving-dct", runs).verdict == "reproduced"


def test_swinging_is_the_movement_within_the_last_half():
    swinging, steady = [0.4, 0.5, 0.03, 0.52], [0.03, 0.2, 0.5, 0.52]
    runs = study({"none": NONE, "fft": NONE}, validation=swinging)
    assert finding("swing-validation", runs).verdict == "reproduced"
    runs = study({"none": NONE, "fft": NONE}, validation=steady)
    assert finding("swing-validation", runs).verdict == "contradicted"


def test_features_must_beat_a_random_layer():
    wht = [x + 0.001 * (k % 2) for k, x in enumerate(NONE)]
    runs = study({"none": NONE, "random": NONE, "wht": wht})
    found = finding("mechanism-multi-scale", runs)
    assert found.verdict == "contradicted"
    assert "wht against random" in found.reason


def test_the_cost_of_a_layer_is_shown_beside_the_mechanism():
    found = finding("mechanism-additions", study({"none": NONE, "wht": NONE}))
    assert found.verdict == "contradicted"
    assert "wht against none, time" in found.evidence[0]


def test_failed_and_stale_runs_are_no_evidence():
    runs = study({"none": NONE})
    runs.records = [dataclasses.replace(r, status="failed") for r in runs.records[:2]] + [
        dataclasses.replace(r, numerics_version=0) for r in runs.records[2:]
    ]
    assert finding("accuracy-none", runs).evidence == ()


def test_several_studies_must_agree():
    low = study({"none": [0.661, 0.659, 0.663, 0.660]})
    found = finding("accuracy-none", low, study({"none": NONE}))
    assert found.verdict == "contradicted"
    assert len(found.evidence) == 2


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.785, 0.80, "reproduced"),
        (0.77, 0.80, "inconclusive"),
        (0.70, 0.77, "contradicted"),
        (0.82, 0.9, "contradicted"),
        (None, None, "inconclusive"),
    ],
)
def test_judged_against_a_claim(low, high, verdict):
    assert judged(low, high, (0.79, 0.793), 0.015) == verdict


def test_folders_are_read(tmp_path):
    with pytest.raises(DataError, match=r"study\.json"):
        audit_claims(PAPER, [tmp_path])
