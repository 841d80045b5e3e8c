"""`orthowatt demo`: the whole program in three acts, on real scans, without network or GPU."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from rich.console import Console

from ..config import RunConfig
from ..errors import InputError
from ..record import RunRecord, dumps, write_atomic
from .common import Common, parse, print_json, progress_console, result_console
from .progress import StudyProgress

if TYPE_CHECKING:
    from ..audit import Audit

CLAIMS = "arxiv-2506.16418"


@dataclass(kw_only=True)
class Options(Common):
    """Options of `demo`."""

    out: Annotated[Path, tyro.conf.arg(help="the folder; the same folder goes on")] = Path(
        "orthowatt-demo"
    )
    seeds: Annotated[int, tyro.conf.arg(help="seeds a variant: more seeds, smaller effects")] = 3


def run(argv: Sequence[str]) -> int:
    """Audit, transforms, study; then a table, and the report's path."""
    options = parse(
        Options, argv, "demo",
        "The whole program in three acts: the paper's numbers audited, the transforms checked, "
        "and a small study on scanned digits. About two minutes on two CPU cores, no network.",
        "orthowatt demo --seeds 5",
    )  # fmt: skip
    if options.seeds < 1:
        raise InputError(f"--seeds is {options.seeds}, but must be at least 1")
    started = time.monotonic()
    console = progress_console(options)
    audit = _act_audit(options.out, console)
    checks = _act_transforms(options.out, console)
    _act_study(options, console)
    from ..report.page import write_report

    report = write_report([options.out], audit=audit)
    if options.json:
        print_json(_summary(options.out, audit, checks, report))
        return 0
    from .table import study_tables

    result_console().print(study_tables([options.out]))
    console.print(f"\ndone in {time.monotonic() - started:.0f} s")
    print(f"report: {report}")
    return 0


def _act_audit(out: Path, console: Console) -> Audit:
    from ..audit import audit_claims
    from ..recipes.study import demo

    console.rule("[bold]1 of 3  The paper's printed numbers", align="left")
    audit = audit_claims(CLAIMS)
    # for later reports: what to audit, and which study `orthowatt demo` repeats
    asked = {"claims": CLAIMS, "study": demo().to_dict()}
    write_atomic(out / "claims.json", dumps(asked) + "\n")
    for finding in audit.results:
        if finding.verdict in ("implausible", "contradicted"):
            console.print(f"[bold]{finding.verdict}[/]  {finding.statement}")
    console.print(f"{audit.summary}  (all of it: orthowatt audit {CLAIMS})", style="dim")
    return audit


def _act_transforms(out: Path, console: Console) -> list[dict[str, Any]]:
    from ..bench.selfcheck import scan_spectra, transform_checks
    from ..data.files import Files
    from ..data.sources import load

    console.rule("[bold]2 of 3  The transforms on this machine", align="left")
    checks = transform_checks()
    worst = {}
    for check in checks:
        worst[check["name"]] = max(worst.get(check["name"], 0.0), check["max_error"])
    orders = ", ".join(str(n) for n in sorted({check["order"] for check in checks}))
    for name, error in worst.items():
        console.print(f"{name:<8} orders {orders}: largest error {error:.1e} of the largest value")
    scans = load("digits").test_images
    assert not isinstance(scans, Files)  # the digits are held in memory
    scan = scans[0].float().mean(0)
    spectra = scan_spectra(scan, "One scanned digit and its spectra")
    write_atomic(out / "transforms.json", dumps({"checks": checks, "spectra": spectra}) + "\n")
    return checks


def _act_study(options: Options, console: Console) -> None:
    from ..energy.provenance import host
    from ..recipes.study import demo
    from ..study.runner import run_study
    from ..train.loop import train_run

    console.rule("[bold]3 of 3  A study on scanned digits", align="left")

    def train(config: RunConfig, directory: Path, variant: str) -> RunRecord:
        return train_run(config, directory, variant=variant)

    with StudyProgress(console) as progress:
        slug = host()["slug"]
        run_study(demo(seeds=options.seeds), options.out, run=train, slug=slug, progress=progress)


def _summary(out: Path, audit: Audit, checks: list[dict[str, Any]], report: Path) -> dict[str, Any]:
    from ..report.sections import read_sections

    sections = [section.to_dict() for section in read_sections([out])]
    return {
        "report": str(report),
        "audit": audit.to_dict(),
        "checks": checks,
        "sections": sections,
    }
