"""Stand-ins at the driver's boundary: an NVML library in C and a tree of powercap files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from sensor_fakes import Gpu, Powercap

SOURCE = Path(__file__).with_name("fake_nvml.c")


@pytest.fixture(scope="session")
def nvml_libraries(tmp_path_factory) -> dict[str, Path]:
    """Folders holding a whole libnvidia-ml.so.1, one with the fewest calls, one without counter."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("building the NVML stand-in needs a C compiler (cc)")
    folders = {}
    for name, options in (
        ("full", []),
        ("minimal", ["-DMINIMAL"]),
        ("no-counter", ["-DNO_COUNTER"]),
    ):
        folder = tmp_path_factory.mktemp(f"nvml-{name}")
        library = folder / "libnvidia-ml.so.1"
        command = [compiler, "-shared", "-fPIC", "-O1", *options, "-o", library, SOURCE, "-lm"]
        subprocess.run([str(word) for word in command], check=True)
        folders[name] = folder
    return folders


@pytest.fixture
def on_gpus(nvml_libraries, tmp_path):
    """Run Python code in a process that sees the given GPUs; what it assigns to `out` comes back.

    The code finds EnergyMeter, Sensors, energy_between, time and json imported; time 0 of the
    traces is when this process starts it.
    """

    def run(code: str, *gpus: Gpu, library: str = "full", init: int = 0, env=None):
        start = time.monotonic()
        spec = tmp_path / "gpus.txt"
        spec.write_text(f"start {start!r}\ninit {init}\n" + "".join(gpu.spec() for gpu in gpus))
        program = (
            "import json, os, sys, time\n"
            "from orthowatt.energy import EnergyMeter\n"
            "from orthowatt.energy.counter import energy_between\n"
            "from orthowatt.energy.sensors import Sensors\n"
            f"{textwrap.dedent(code)}\nprint('\\n' + json.dumps(out))\n"
        )
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("CUDA_")}
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program],
            env={
                **inherited,
                "LD_LIBRARY_PATH": str(nvml_libraries[library]),
                "FAKE_NVML": str(spec),
                "NO_POWERCAP": str(tmp_path / "none"),
                **(env or {}),
            },
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), start

    return run


@pytest.fixture
def powercap(tmp_path) -> Powercap:
    """An empty powercap tree."""
    return Powercap(tmp_path / "powercap")
