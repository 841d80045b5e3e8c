"""How much memory this machine can give without swapping."""

from __future__ import annotations

from pathlib import Path

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def free_bytes(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int | None:
    """Bytes that can be had, within a container's limit too; None where the system does not say.

    Linux alone says so: MemAvailable of proc(5), and the limit of version 2 control groups less
    what is used, page cache that can be dropped aside.

    >>> found = free_bytes()
    >>> found is None or found > 0
    True
    """
    found = [size for size in (_available(meminfo), _group(cgroup)) if size is not None]
    return min(found, default=None)


def _available(path: Path) -> int | None:
    return _field(path, "MemAvailable:", 1024)


def _group(folder: Path) -> int | None:
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        if limit == "max":
            return None
        cache = _field(folder / "memory.stat", "inactive_file", 1) or 0
        return max(0, int(limit) - used + cache)
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str, unit: int) -> int | None:
    try:
        for line in path.read_text().splitlines():
            if line.startswith(f"{name} "):
                return int(line.split()[1]) * unit
    except (OSError, ValueError, IndexError):
        pass
    return None
