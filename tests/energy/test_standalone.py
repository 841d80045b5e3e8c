"""The meter alone: measuring loads no other part of orthowatt, no torch, no numpy."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys
from orthowatt.energy import EnergyMeter, measure, measure_command

with EnergyMeter() as meter, meter.window("work") as window:
    sum(range(1000))

@measure
def work():
    return 1

work()
code = measure_command(["true"]).returncode
from orthowatt.energy import derived, doctor, estimate, idle, provenance
doctor.sensors()
provenance.host("cpu")
provenance.software()
print(json.dumps({
    "code": code,
    "reason": window.energy.reason,
    "joules": window.energy.joules,
    "parts": sorted({name.split(".")[1] for name in sys.modules if name.startswith("orthowatt.")}),
    "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""


def test_the_energy_part_works_without_any_other():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found["code"] == 0
    assert found["joules"] is not None or found["reason"]
    assert set(found["parts"]) <= {"energy", "errors", "record", "config"}  # record needs config
    heavy = {"torch", "numpy", "scipy", "tyro", "rich", "plotly", "statsmodels", "jinja2"}
    assert not heavy & set(found["loaded"])
