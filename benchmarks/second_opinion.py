"""orthowatt's meter and Zeus side by side on one stand-in driver, whose true energy is known.

Needs the packages zeus and nvidia-ml-py, a C compiler and nothing else; no GPU:
    PYTHONPATH=src python benchmarks/second_opinion.py --out FILE
Kept in benchmarks/results/stand-in-nvml-zeus.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from sensor_fakes import Gpu  # noqa: E402  # pyright: ignore[reportMissingImports]

#: name -> the board, the windows' lengths in seconds, when they begin, the library's options
CASES = {
    "constant 300 W, tick 100 ms": (Gpu(tick=0.1), (0.05, 0.25, 1.0, 4.0), 0.0, ()),
    "square 600/90 W of 100 ms, tick 100 ms": (
        Gpu(tick=0.1, trace=((0.05, 600.0), (0.05, 90.0))), (0.25, 1.0, 4.0), 0.0, (),
    ),
    "square 600/90 W of 1 s, tick 100 ms": (
        Gpu(tick=0.1, trace=((0.5, 600.0), (0.5, 90.0))), (0.25, 1.0, 4.0), 0.0, (),
    ),
    "no energy counter, constant 300 W": (Gpu(architecture=4), (3.0,), 0.0, ("-DNO_COUNTER",)),
    "counter reset within both windows": (
        Gpu(tick=0.1, events=("12 reset",)), (2.0,), 11.0, (),
    ),
    "no GPU": (None, (0.5,), 0.0, ()),
}  # fmt: skip
#: Windows begin at so many different phases of the tick.
PHASES = (0.013, 0.037, 0.071)


def child(seconds: list[float], begin: float, spec: dict, together: bool) -> None:
    """Measure windows with both meters, one after the other; print them as JSON."""
    from zeus.monitor import ZeusMonitor  # pyright: ignore[reportMissingImports]

    from orthowatt.energy import EnergyMeter

    gpu = Gpu(**spec) if spec else None
    start = float(os.environ["STAND_IN_START"])
    zeus = _patient(ZeusMonitor)
    meter = EnergyMeter(scope="gpu", powercap_root="/nonexistent")
    time.sleep(max(0.0, start + begin - time.monotonic()))
    found = []
    for length in seconds:
        for phase in PHASES if length < 1 else PHASES[:1]:
            if together:  # an event in time: one window around the other
                with meter.window("w") as window:
                    theirs = _theirs(zeus, gpu, start, length)
                ours = _ours(window, gpu, start)
            else:
                time.sleep(phase)
                theirs = _theirs(zeus, gpu, start, length)
                time.sleep(phase)
                with meter.window("w") as window:
                    time.sleep(length)
                ours = _ours(window, gpu, start)
            found.append({"window_seconds": length, "zeus": theirs, "orthowatt": ours})
    meter.close()
    print("\n" + json.dumps(found))


def _theirs(zeus, gpu: Gpu | None, start: float, length: float) -> dict:
    began = time.monotonic()
    zeus.begin_window("w", sync_execution=False)
    time.sleep(length)
    found = zeus.end_window("w", sync_execution=False)
    ended = time.monotonic()
    true = gpu.joules(began - start, ended - start) if gpu else None
    return {"joules": found.total_energy, "seconds": found.time, "true_joules": true}


def _ours(window, gpu: Gpu | None, start: float) -> dict:
    """The true energy is that between the very readings that were used."""
    energy, true = window.energy, None
    if gpu is not None and energy.seconds is not None:
        began = next(iter(window.readings().values())).seconds - start
        true = gpu.joules(began, began + energy.seconds)
    return {
        "joules": energy.joules,
        "bound_joules": energy.bound_joules,
        "seconds": energy.seconds,
        "true_joules": true,
        "status": energy.status,
        "reason": energy.reason,
        "coverage": energy.coverage,
        "flags": list(energy.flags),
    }


def _patient(kind):
    """Zeus gives its polling processes 10 s to start, which a busy machine may exceed."""
    for _ in range(2):
        try:
            return kind(cpu_indices=[])
        except RuntimeError as error:
            print(error, file=sys.stderr)
    return kind(cpu_indices=[])


def build(folder: Path, options: tuple[str, ...]) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise SystemExit("building the stand-in driver needs a C compiler (cc)")
    source = ROOT / "tests" / "fake_nvml.c"
    library = folder / "libnvidia-ml.so.1"
    words = [compiler, "-shared", "-fPIC", "-O1", *options, "-o", library, source, "-lm"]
    subprocess.run([str(word) for word in words], check=True)


def case(name: str) -> list[dict]:
    """One case in a process of its own, which loads the stand-in instead of a driver."""
    gpu, lengths, begin, options = CASES[name]
    with tempfile.TemporaryDirectory() as folder:
        if gpu is not None:
            build(Path(folder), options)
        start = time.monotonic()
        spec = Path(folder) / "gpus.txt"
        spec.write_text(f"start {start!r}\ninit 0\n{gpu.spec() if gpu else ''}")
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CUDA_")},
            "LD_LIBRARY_PATH": folder, "FAKE_NVML": str(spec), "STAND_IN_START": repr(start),
        }  # fmt: skip
        words = [
            sys.executable,
            __file__,
            "--child",
            json.dumps([lengths, begin, _fields(gpu), begin > 0]),
        ]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr.strip()}")
    return json.loads(done.stdout.splitlines()[-1])


def _fields(gpu: Gpu | None) -> dict:
    return {} if gpu is None else {"trace": gpu.trace, "tick": gpu.tick}


def describe() -> dict:
    """Device, versions, commit and command."""
    import importlib.metadata
    import platform

    commit = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "what": "second opinion: orthowatt's meter and Zeus on one stand-in driver",
        "device": "stand-in libnvidia-ml.so.1 (tests/fake_nvml.c), no GPU",
        "zeus": importlib.metadata.version("zeus"),
        "nvidia-ml-py": importlib.metadata.version("nvidia-ml-py"),
        "python": platform.python_version(),
        "commit": commit or None,
        "command": "PYTHONPATH=src python benchmarks/second_opinion.py",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="write the result here")
    parser.add_argument("--only", default="", help="only the cases whose name contains this")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(*json.loads(options.child))
        return
    result = describe() | {
        "cases": {name: case(name) for name in CASES if options.only in name},
    }
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
