"""Write docs/results.md from the records under benchmarks/results: each claim, and what was found.

    python benchmarks/results_page.py --collect runs    # copy the small files of gpu_paper.sh
    python benchmarks/results_page.py                   # write docs/results.md

What has no record reads "not run". No number is typed in by hand: each one is in a record.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verdicts import about, accuracy, at_least, energy, goal, on_gpu, speed

from orthowatt.record import RunRecord, Study, dumps

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "paper"
PAGE = ROOT / "docs" / "results.md"
SMALL = ("record.json", "epochs.jsonl")


@dataclass(frozen=True)
class Claim:
    """A row of the page: what is claimed, the study that tests it, which rows, and the verdict."""

    text: str
    study: str
    variant: str | None = None
    judge: Callable[[list[RunRecord]], str] | None = None


#: In the order of their worth.
CLAIMS = (
    Claim(
        "pretrained ResNet-50 with WHT at both positions: ≥ 79 % for ≤ 39 kJ, pretraining not "
        "included",
        "fast",
        "fast",
        goal(0.79, 39),
    ),
    Claim("stretch: 84 % for 39 kJ, pretraining not included", "fast", "fast", goal(0.84, 39)),
    Claim("stretch: 79 % for 10 kJ, pretraining not included", "fast", "fast", goal(0.79, 10)),
    Claim("no transform, 20 epochs (paper: 66 %)", "core-20", "none", about(0.66)),
    Claim("WHT early, 20 epochs (paper: 74 %)", "core-20", "wht early", about(0.74)),
    Claim("WHT early + late, 20 epochs (paper: 79 %)", "core-20", "wht early+late", about(0.79)),
    Claim("no transform, 5 epochs", "core-5", "none"),
    Claim("WHT early, 5 epochs", "core-5", "wht early"),
    Claim("WHT early + late, 5 epochs", "core-5", "wht early+late"),
    Claim("fast WHT, 5 epochs", "fwht", "fast"),
    Claim("dense WHT, 5 epochs", "fwht", "dense"),
    Claim("stretch: from scratch at 32×32, 70 % for 5 kJ", "speed32", "speed32", goal(0.70, 5)),
    Claim("from scratch at 32×32, ResNet-18 ≥ 78 %", "scratch32", "scratch32", at_least(0.78)),
)
#: Studies whose every row is shown.
GRIDS = (
    ("grid", "The paper's grid"),
    ("fast-ablation", "Each choice of the energy recipe"),
    ("native", "Photos of native size"),
)


def main() -> None:
    """Collect where asked, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collect", type=Path, help="a folder that gpu_paper.sh wrote")
    given = parser.parse_args()
    if given.collect:
        collect(given.collect, RESULTS)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(RESULTS), encoding="utf-8")
    print(PAGE)


def collect(source: Path, target: Path) -> None:
    """Copy studies and records, or one run's, without weights, checkpoints and folders' names."""
    for path in [*source.glob("*/study.json"), *source.glob("weights.txt")]:
        _copy(path, target / path.relative_to(source))
    for record in [*source.glob("*/runs/*/record.json"), *source.glob("*/record.json")]:
        for name in SMALL:
            if (record.parent / name).exists():
                _copy(record.parent / name, target / record.parent.relative_to(source) / name)


def _copy(path: Path, target: Path) -> None:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        text = dumps(without_folders(json.loads(text)), indent=2) + "\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def without_folders(found: Any) -> Any:
    """A record or a study that names files without the folders in which its machine had them.

    >>> without_folders({"weights": "/home/me/w.pth", "data_root": "/d", "data": "table:/d/a.csv"})
    {'weights': 'w.pth', 'data_root': None, 'data': 'table:a.csv'}
    """
    if isinstance(found, list):
        return [without_folders(one) for one in found]
    if not isinstance(found, dict):
        return found
    result = {name: without_folders(value) for name, value in found.items()}
    if "data_root" in result:  # a configuration
        result["data_root"] = None
        if result.get("weights"):
            result["weights"] = Path(result["weights"]).name
        kind, colon, place = str(result.get("data")).partition(":")
        result["data"] = kind + colon + Path(place).name
    return result


def page(results: Path) -> str:
    """The whole page as Markdown."""
    note = results / "weights.txt"
    weights = note.read_text(encoding="utf-8").strip() if note.exists() else None
    lines = [
        "# Results",
        "",
        "What the claims of arXiv 2506.16418, and the goals beyond it, come to when they are run "
        "on CIFAR-100 at full size. This page is written by `python benchmarks/results_page.py` "
        "from the records under `benchmarks/results/paper`, which `benchmarks/gpu_paper.sh` makes; "
        "what has no record reads “not run”.",
        "",
        "Accuracy is plain: one forward pass an image, the test set scored once, by the last "
        "weights or, where the recipe averages them, by their average. Energy is that of the GPU "
        "over the whole run: loading, compilation, warm-up, training and the test. ImageNet "
        "pretraining is not part of any figure here.",
        "",
        "| claim | found | verdict | epochs | seeds | device | weights | how sure |",
        "|---|---|---|---|---|---|---|---|",
        *(_row(claim, results, weights) for claim in CLAIMS),
        "",
    ]
    for name, title in GRIDS:
        lines += [f"## {title}", "", *_grid(results / name), ""]
    lines += [
        "## The training loop against a bare one",
        "",
        "`orthowatt bench train`: the same network, compilation, optimiser and layout on one batch "
        "that lies on the device is the bare loop; the bar, on an H100 with ResNet-50 at 224 and "
        "batches of 256, is 97 % of its images a second, with less than 1 % of a step waiting for "
        "data. A row of another device or network shows that the benchmark runs, not that the bar "
        "is met.",
        "",
        *_loops(results.parent),
        "",
    ]
    lines += _rehearsals(results.parent / "rehearsal")
    return "\n".join(lines)


def _rehearsals(folder: Path) -> list[str]:
    if not folder.exists():
        return []
    lines = [
        "## A rehearsal on a CPU",
        "",
        "The same path with smaller arguments. It shows that the path runs and that the recipes "
        "learn; it answers none of the claims above. Other programs ran beside it, so that its "
        "speeds say nothing.",
        "",
    ]
    for one in sorted(folder.iterdir()):
        lines += [f"`{one.name}`{_setting(one, _weights_of(one))}", "", *_grid(one), ""]
    return lines


def _row(claim: Claim, results: Path, weights: str | None) -> str:
    found = _records(results / claim.study)
    # a rehearsal on a few images is no answer
    records = [r for r in found if r.variant == claim.variant and r.config.limit_images is None]
    if not records:
        return f"| {claim.text} | not run | | | | | | |"
    verdict = claim.judge(records) if claim.judge else ""
    cells = (
        claim.text, f"{accuracy(records)}, {energy(records)}, {speed(records)}", verdict,
        _all(record.metrics.get("epochs_done") for record in records), str(len(records)),
        _all(_device(record) for record in records), _weights(records[0], weights),
        _sure(records),
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


def _weights_of(folder: Path) -> str | None:
    """The note on the weights that a study, or the folder of several, began with."""
    notes = (folder / "weights.txt", folder.parent / "weights.txt")
    return next((note.read_text(encoding="utf-8").strip() for note in notes if note.exists()), None)


def _setting(folder: Path, weights: str | None) -> str:
    """What the runs of a folder have in common, from their records."""
    records = _records(folder)
    if not records:
        return ""
    config = records[0].config
    sizes = " → ".join(f"{size}²" for size in (*config.train_sizes, config.image_size))
    begun = _weights(records[0], weights)
    return (
        f": {config.model} on {config.data.partition(':')[0]} at {sizes}, "
        f"{_all(r.metrics.get('epochs_done') for r in records)} epochs, "
        f"{_all(record.data.get('train') for record in records)} training images, "
        f"{_all(record.data.get('test') for record in records)} for the test, weights: {begun}; "
        f"{_all(_device(record) for record in records)}"
    )


def _grid(folder: Path) -> list[str]:
    records = _records(folder)
    if not records:
        return ["not run"]
    lines = ["| variant | test accuracy | energy | speed | seeds |", "|---|---|---|---|---|"]
    for name in _variants(folder):
        found = [record for record in records if record.variant == name]
        told = "not run | | | "
        few = [r.config.limit_images for r in found if r.config.limit_images is not None]
        if few:
            told = f"a rehearsal on {max(few)} images | | | {len(found)}"
        elif found:
            told = f"{accuracy(found)} | {energy(found)} | {speed(found)} | {len(found)}"
        config = found[0].config if found else None
        what = f"{config.transform} {config.layer} at {config.position}" if config else ""
        lines.append(f"| {name or what} | {told} |")
    return lines


def _variants(folder: Path) -> list[str]:
    if not (folder / "study.json").exists():
        return [record.variant for record in _records(folder)]
    return [variant.name for variant in Study.load(folder).config.variants]


def _loops(results: Path) -> list[str]:
    lines = [
        "| device | network | loop | images/s | × bare | waits for data | host |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(results.glob("*-train.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        kept, hardware = found["settings"], found["hardware"]
        on_gpu = str(kept["device"]).startswith("cuda") and hardware["gpus"]
        device = hardware["gpus"][0]["name"] if on_gpu else hardware["cpu"]
        network = f"{kept['model']}, {kept['image_size']}², batch {kept['batch_size']}"
        compiled = ", compiled" if kept["compile"] else ""
        for row in found["rows"]:
            shares = [row["data_wait_share"], row["host_share"]]
            told = ["" if share is None else f"{100 * share:.2f} %" for share in shares]
            lines.append(
                f"| {device} | {network}, {kept['precision']}{compiled} | {row['name']} | "
                f"{row['images_per_second']:,.1f} | {row['ratio']:.3f} | {told[0]} | {told[1]} |"
            )
    return lines if len(lines) > 2 else ["not run"]


def _records(folder: Path) -> list[RunRecord]:
    """The finished runs of a study, or of a folder that holds one run."""
    found: list[RunRecord] = []
    if (folder / "study.json").exists():
        found = Study.load(folder).records
    elif (folder / "record.json").exists():
        found = [RunRecord.load(folder)]
    return [record for record in found if record.status == "finished"]


def _all(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(str(value) for value in values))


def _device(record: RunRecord) -> str:
    gpus = [gpu.get("name", "GPU") for gpu in record.hardware.get("gpus", [])]
    return _all(gpus) if on_gpu(record) and gpus else str(record.hardware.get("cpu", "unknown"))


def _weights(record: RunRecord, note: str | None) -> str:
    config = record.config
    if config.weights:
        return note or Path(config.weights).name
    return "timm's" if config.pretrained else "none (from scratch)"


def _sure(records: list[RunRecord]) -> str:
    count = len(records)
    size = records[0].data.get("test")
    found = records[0].metric("test_accuracy")
    error = ""
    if size and found is not None:
        points = 100 * (found * (1 - found) / size) ** 0.5
        error = f", ± {points:.2f} points (binomial, {size:,} test images)"
    many = "one seed: no spread is known" if count == 1 else f"spread over {count} seeds"
    resumed = sum(record.resumed for record in records)
    return many + error + (f"; {resumed} resumed" if resumed else "")


if __name__ == "__main__":
    main()
