"""The direction of imports, the lightness of `import orthowatt`, and the frozen public names."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import orthowatt as ow

SOURCE = Path(ow.__file__).parent

#: part -> the parts that it may import (itself is always allowed)
ALLOWED = {
    "errors": set(),
    "config_checks": {"errors"},
    "config": {"errors", "config_checks"},
    "record": {"errors", "config"},
    "transforms": {"errors"},
    "nn": {"errors", "transforms"},
    "models": {"errors", "transforms", "nn"},
    "energy": {"errors", "record"},
    "data": {"errors"},
    "train": {"errors", "config", "record", "models", "data", "energy"},
    "recipes": {"errors", "config"},
    "stats": {"errors", "record"},
    "study": {"errors", "config", "record", "stats"},
    "audit": {"errors", "config", "record", "stats"},
    "report": {"errors", "config", "record", "stats", "audit"},
}
FREE = {"bench", "cli", "__init__", "__main__"}  # may import anything


def part_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """Parts of orthowatt that a file imports, also inside functions; not under TYPE_CHECKING."""
    package = ["orthowatt", *path.relative_to(SOURCE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            full = base + (node.module.split(".") if node.module else [])
            names = [full] if node.module else [[*full, alias.name] for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        else:
            continue
        found.update(name[1] for name in names if name[0] == "orthowatt" and len(name) > 1)
    return found


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_imports_go_one_way(path):
    part = part_of(path)
    if part in FREE:
        return
    assert imported_parts(path) <= ALLOWED[part] | {part}


def test_every_part_has_a_rule():
    parts = {part_of(path) for path in SOURCE.rglob("*.py")}
    assert parts == set(ALLOWED) | FREE


@pytest.mark.parametrize(
    ("what", "heavy"),
    [
        ("import orthowatt", {"torch", "numpy", "scipy", "tyro", "rich", "plotly", "pynvml"}),
        ("import orthowatt.config, orthowatt.record", {"torch", "numpy"}),
        ("import orthowatt.cli; orthowatt.cli.main(['--help'])", {"torch", "numpy", "tyro"}),
    ],
)
def test_importing_is_light(what, heavy):
    code = f"{what}\nimport sys\nprint('LOADED', *sorted(m for m in sys.modules if '.' not in m))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(out.stdout.split("LOADED", 1)[1].split())
    assert not loaded & heavy


PUBLIC = [
    "Diagnosis", "Energy", "EnergyMeter", "OrthowattError", "RunConfig", "RunRecord",
    "StudyConfig", "Variant", "__version__", "audit_claims", "backend_info", "dct", "diagnose",
    "dst", "fft_magnitude", "hadamard", "hadamard_orders", "hartley", "idct", "idst", "insert",
    "iwht", "measure", "models", "nn", "run_study", "stats", "train_run", "wht",
]  # fmt: skip


def test_public_names_are_frozen():
    """Users' code depends on these: a removal or a new name is a decision, not an accident."""
    assert sorted(ow.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves(name):
    assert getattr(ow, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'fwht'"):
        ow.fwht  # noqa: B018


def test_no_source_file_is_too_long():
    long = {
        str(path.relative_to(SOURCE)): count
        for path in SOURCE.rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > 350
    }
    assert not long
