"""`orthowatt doctor`: what this machine can measure and run, and how to mend the rest."""

from __future__ import annotations

import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from .common import Common, parse, print_json


@dataclass(kw_only=True)
class Options(Common):
    """Options of `doctor`."""

    strict: Annotated[bool, tyro.conf.arg(help="exit 1 when no energy can be measured")] = False


def run(argv: Sequence[str]) -> int:
    """Print each sensor and each part of the machine with its state and its mend."""
    options = parse(
        Options, argv, "doctor",
        "What this machine can measure and run, and how to mend the rest.",
        "orthowatt doctor",
    )  # fmt: skip
    from ..energy.doctor import sensors, verdict

    reports = sensors()
    machine = _machine()
    if options.json:
        print_json(
            {
                "machine": machine,
                "sensors": [report.to_dict() for report in reports],
                "verdict": verdict(reports),
            }
        )
    else:
        for name, text in machine.items():
            print(f"{name:<14} {text}")
        print()
        for report in reports:
            state = "measured" if report.readable else "unavailable"
            print(f"{report.name:<14} {state}{': ' + report.detail if report.detail else ''}")
            if report.reason:
                print(f"{'':<14} why: {report.reason}")
            if report.mend:
                print(f"{'':<14} mend: {report.mend}")
        print(f"\n{verdict(reports)}")
    readable = any(report.readable for report in reports)
    return 1 if options.strict and not readable else 0


def _machine() -> dict[str, Any]:
    import torch

    from ..energy.provenance import host
    from ..transforms.functional import backend_info

    devices = "cpu"
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        devices = "cpu, cuda (" + ", ".join(names) + ")"
    machine = host("cpu")
    around = [f"in a container ({machine['container']})"] if machine["container"] else []
    around += ["in a virtual machine"] if machine["virtual_machine"] else []
    info = backend_info(torch.zeros(56, 56))
    return {
        "python": f"{platform.python_version()} ({sys.platform}, {platform.machine()})",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "devices": devices,
        "host": ", ".join([f"{machine['cpu']}, {machine['cores']} logical cores", *around]),
        "transforms": f"{info.path}: {info.reason}",
    }
