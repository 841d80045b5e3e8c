"""Which code ran, and when that cannot be told."""

import shutil
import subprocess

import pytest

from orthowatt.train.provenance import code

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words):
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@needs_git
def test_a_tracked_package_has_its_commit(tmp_path):
    package = tmp_path / "src" / "orthowatt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=tmp_path, capture_output=True, text=True
    )
    found = code.__wrapped__(package)
    assert (found["commit"], found["modified"]) == (head.stdout.strip(), False)
    (package / "__init__.py").write_text("changed = True\n")
    assert code.__wrapped__(package)["modified"] is True


@needs_git
def test_a_package_inside_somebody_elses_repository_has_none(tmp_path):
    package = tmp_path / "venv" / "orthowatt"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    git(tmp_path, "init")
    found = code.__wrapped__(package)
    assert (found["commit"], found["modified"]) == (None, None)


def test_outside_any_repository_there_is_none(tmp_path):
    assert code.__wrapped__(tmp_path)["commit"] is None
