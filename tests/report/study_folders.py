"""Studies made by hand, as a study's folder holds them, for the report to read."""

from __future__ import annotations

import json
import math
import random

from orthowatt.config import RunConfig, StudyConfig, Variant
from orthowatt.record import RunRecord, write_atomic

# name, settings, accuracy's distance to the baseline, time's ratio, logit shift, added MMACs, adds
VARIANTS = (
    ("none", {"transform": "none"}, 0.0, 1.0, None, 0, 0),
    ("identity", {"transform": "identity"}, 0.0, 1.001, 0.0, 0, 0),
    ("random", {"transform": "random"}, -0.011, 1.12, 1.31, 0.59, 0.59),
    ("wht", {"transform": "wht"}, -0.013, 1.21, 1.28, 0.59, 0.11),
    ("dct", {"transform": "dct"}, -0.007, 1.23, 1.17, 0.59, 0.14),
    ("hartley", {"transform": "hartley"}, -0.010, 1.29, 1.22, 0.59, 0.17),
    ("fft", {"transform": "fft"}, -0.16, 1.30, 1.74, 0.59, 0.17),
    ("wht filter", {"transform": "wht", "layer": "filter"}, 0.001, 1.4, 3e-7, 1.18, 0.22),
)
NO_SENSOR = "no readable energy sensor: RAPL needs root (sudo chmod -R a+r /sys/class/powercap)"


def make_study(**changes) -> StudyConfig:
    """Eight variants and three seeds of the small network on digits."""
    settings = {
        "name": "demo",
        "base": RunConfig(epochs=6, learning_rate=0.002, batch_size=128),
        "variants": tuple(Variant(name, settings) for name, settings, *_ in VARIANTS),
        "description": "Transforms after the early and the late stage of a small ResNet.",
    }
    return StudyConfig(**{**settings, **changes})


def make_record(study, variant, seed, *, slug="cpu-tower", joules=None, **changes) -> RunRecord:
    """A finished run whose numbers follow from variant and seed alone."""
    known = {name: rest for name, *rest in VARIANTS}
    _, shift, ratio, logits, macs, adds = known.get(variant, ({}, 0.0, 1.0, None, 0, 0))
    noise = random.Random(f"{variant}/{seed}")
    accuracy = 0.977 + 0.002 * seed + shift + noise.gauss(0, 0.004)
    seconds = (11.0 + 0.2 * seed) * ratio * math.exp(noise.gauss(0, 0.012))
    energy = {"joules": joules, "status": "unknown", "reason": NO_SENSOR}
    if joules is not None:
        energy = {
            "joules": joules * ratio * math.exp(noise.gauss(0, 0.01)),
            "status": "measured",
            "reason": None,
            "scope": "gpu:GPU-1a2b3c4d",
        }
    values = {
        "variant": variant,
        "started": "2026-02-03T10:11:12+00:00",
        "hardware": {"slug": slug, "host": "tower", "cpu": "Example 9000", "cores": 8,
                     "memory_bytes": 32 * 2**30, "gpus": [], "container": False},
        "software": {"python": "3.11.9", "torch": "2.12.0", "timm": "1.0.22"},
        "data": {"name": "digits", "checksum": "sha256:0123abcd"},
        "code": {"commit": "0123abc"},
        "settings": {"precision": "fp32", "device": "cpu"},
        "metrics": {"test_accuracy": min(accuracy, 0.999), "train_seconds": seconds,
                    "step_seconds": seconds / 70, "macs": 12.5e6, "added_macs_dense": macs * 1e6,
                    "added_adds_fast": adds * 1e6, "logit_shift": logits},
        "energy": {"run": {"energy": energy, "parts": {}}},
        "memory": {"peak_rss_bytes": 612 * 2**20 + seed, "peak_allocated_bytes": None},
        "epochs": [
            {"epoch": e, "train_accuracy": accuracy - 0.5 * math.exp(-e) + 0.01,
             "validation_accuracy": accuracy - 0.6 * math.exp(-0.9 * e) + noise.gauss(0, 0.006)}
            for e in range(1, 7)
        ],
    }  # fmt: skip
    return RunRecord(config=study.run(variant, seed), **{**values, **changes})


def write_study(directory, study, records, transforms=None):
    """A study's folder: study.json, runs/*/record.json and, if given, transforms.json."""
    write_atomic(directory / "study.json", json.dumps(study.to_dict()))
    for index, record in enumerate(records):
        record.save(directory / "runs" / f"{record.config.hash}-{record.device}-{index}")
    if transforms is not None:
        write_atomic(directory / "transforms.json", json.dumps(transforms))
    return directory


def make_transforms() -> dict:
    """What the demo writes beside its study: checks of the transforms and pictures of one scan."""
    scan = [[math.exp(-((x - 16) ** 2 + (y - 12) ** 2) / 60) for x in range(32)] for y in range(32)]
    spectrum = [[math.exp(-(x + y) / 3) * (-1) ** x for x in range(32)] for y in range(32)]
    return {
        "checks": [
            {"name": name, "order": order, "max_error": 3.2e-15, "reference": "dense, fp64"}
            for name in ("WHT", "DCT-II")
            for order in (28, 56, 112)
        ],
        "spectra": {
            "title": "One scanned digit and its spectra",
            "images": [
                {"name": "scan", "values": scan},
                {"name": "WHT", "values": spectrum},
                {"name": "DCT", "values": spectrum},
                {"name": "FFT", "values": spectrum},
            ],
        },
    }


def all_records(study, **changes):
    """Every cell of the study's grid, finished."""
    return [
        make_record(study, variant.name, seed, **changes)
        for variant in study.variants
        for seed in study.seeds
    ]
