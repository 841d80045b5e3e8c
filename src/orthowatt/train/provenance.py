"""Which code ran: the version, and the commit where the package lies in its own repository."""

from __future__ import annotations

import functools
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]


@functools.cache
def code(package: Path = PACKAGE) -> dict[str, Any]:
    """`version`, `commit` and `modified` (uncommitted changes); None where it cannot be told.

    An installed package may lie inside somebody else's repository, whose commit says nothing: only
    a repository that tracks the package counts.

    >>> sorted(code())
    ['commit', 'modified', 'version']
    """
    try:
        number = version("orthowatt")
    except PackageNotFoundError:  # a source tree that was never installed
        number = None
    tracked = _git(package, "ls-files", "--error-unmatch", "__init__.py")
    commit = _git(package, "rev-parse", "HEAD") if tracked else None
    changes = _git(package, "status", "--porcelain", "--", ".") if commit else None
    return {
        "version": number,
        "commit": commit,
        "modified": None if changes is None else bool(changes),
    }


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *words], cwd=folder, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
