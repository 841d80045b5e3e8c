"""What ran a run of several processes, as its record and its pairs see it."""

from orthowatt.energy.provenance import slug
from orthowatt.train.machines import together


def machine(host, used, count=2):
    """What the process says that uses GPU `used` of a host with `count`; None: the CPU."""
    uuids = [f"{host[-1]}{index}00000000" for index in range(count)]
    gpus = [
        {"index": index, "uuid": f"GPU-{uuid}", "name": "A", "used": index == used}
        for index, uuid in enumerate(uuids)
    ]
    names = [] if used is None else [uuids[used]]
    return {"host": host, "slug": slug(names, host), "gpus": gpus, "cpu": "c"}


def test_one_process_is_its_machine():
    alone = machine("node-a", 0)
    assert together([alone]) is alone


def test_two_gpus_of_one_host_are_another_device_than_either():
    first, second = machine("node-a", 0, 3), machine("node-a", 1, 3)
    found = together([first, second])
    assert found["slug"] == "gpu-a0000000-a1000000-node-a"
    assert [gpu["used"] for gpu in found["gpus"]] == [True, True, False]
    assert found["processes"] == [
        {"host": "node-a", "slug": "gpu-a0000000-node-a"},
        {"host": "node-a", "slug": "gpu-a1000000-node-a"},
    ]
    assert [gpu["used"] for gpu in first["gpus"]] == [True, False, False]  # left as it was


def test_gpus_of_two_hosts_say_where_they_are():
    found = together([machine("node-a", 0), machine("node-b", 0)])
    assert found["slug"] == "gpu-a0000000-node-a-gpu-b0000000-node-b"
    assert [gpu.get("host") for gpu in found["gpus"]] == [None, None, "node-b", "node-b"]
    assert [gpu["used"] for gpu in found["gpus"]] == [True, False, True, False]


def test_processes_that_share_a_cpu_are_on_one_device():
    assert together([machine("node-a", None)] * 3)["slug"] == "cpu-node-a"
