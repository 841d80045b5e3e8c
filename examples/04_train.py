"""Train two small networks, one with a WHT filter, and compare them pair by pair."""

import tempfile
from pathlib import Path

import orthowatt as ow

base = ow.RunConfig(model="orthowatt_resnet8", data="digits", epochs=2, batch_size=128)
study = ow.StudyConfig(
    name="filter",
    base=base,
    variants=(
        ow.Variant("none"),
        ow.Variant("wht filter", {"transform": "wht", "layer": "filter"}),
    ),
    seeds=(0, 1),
)
with tempfile.TemporaryDirectory() as folder:
    records = []
    for variant in study.variants:
        for seed in study.seeds:
            run = study.run(variant.name, seed)
            directory = Path(folder) / f"{variant.name}-{seed}"
            records.append(ow.train_run(run, directory, variant=variant.name))

plain = [record for record in records if record.variant == "none"]
filtered = [record for record in records if record.variant == "wht filter"]
print(ow.stats.compare(plain, filtered, metric="accuracy").describe())
