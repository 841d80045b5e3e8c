"""Study folders that several tests of the report read."""

import shutil

import pytest
from study_folders import all_records, make_study, make_transforms, write_study

from orthowatt.audit import VERDICTS, Audit, Explanation, Finding, Working
from orthowatt.audit.workings import SlipReading


@pytest.fixture(scope="session")
def _demo(tmp_path_factory):
    study = make_study()
    folder = tmp_path_factory.mktemp("studies") / "demo"
    return write_study(folder, study, all_records(study), make_transforms())


@pytest.fixture
def demo_dir(_demo, tmp_path):
    """A whole study without any energy sensor, with the transforms' checks; yours to change."""
    return shutil.copytree(_demo, tmp_path / "demo")


@pytest.fixture(scope="session")
def powered_dir(tmp_path_factory):
    """The same study with eight seeds and measured energy; only to be read."""
    study = make_study(name="powered", seeds=tuple(range(8)))
    folder = tmp_path_factory.mktemp("studies") / "powered"
    return write_study(folder, study, all_records(study, joules=900.0))


@pytest.fixture(scope="session")
def audit():
    """An audit with each of the five verdicts, and workings and explanations in each."""
    results = tuple(_finding(number, verdict) for number, verdict in enumerate(VERDICTS))
    return Audit("a", "arXiv 2506.16418", "Yilmaz and others (2025)", results, summary="In sum.")


def _finding(number, verdict):
    return Finding(
        f"claim-{number}",
        "energy",
        f"Statement {number} <is> so.",
        verdict,
        f"Reason {number} & more, see `orthowatt list`.",
        workings=(Working(f"Work {number}", 17.78, "h", "a / b"),),
        explanations=(Explanation(("H1",), "J printed as kJ", "1 / 2", 0.9, ("H4",)),),
        slips=(SlipReading("H1", "J printed as kJ", "energy", 25.6, "J", "25.6 kJ / 1000", 0.5),),
    )
