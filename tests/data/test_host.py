"""Free memory by the system's own files, as a container sees them."""

from orthowatt.data.host import free_bytes


def write(folder, meminfo="MemTotal: 9 kB\nMemAvailable:   1000 kB\n", **group):
    (folder / "meminfo").write_text(meminfo)
    for name, text in group.items():
        (folder / f"memory.{name}").write_text(text)
    return free_bytes(folder / "meminfo", folder)


def test_what_is_available_counts(tmp_path):
    assert write(tmp_path) == 1000 * 1024
    assert write(tmp_path, max="max\n", current="5\n") == 1000 * 1024


def test_a_containers_limit_counts_where_it_is_lower(tmp_path):
    stat = "anon 1\ninactive_file 30\n"
    assert write(tmp_path, max="900\n", current="500\n", stat=stat) == 430
    assert write(tmp_path, max="900\n", current="1500\n", stat="anon 1\n") == 0


def test_an_unreadable_system_is_unknown(tmp_path):
    assert free_bytes(tmp_path / "none", tmp_path) is None
    assert write(tmp_path, meminfo="MemAvailable: many kB\n") is None
