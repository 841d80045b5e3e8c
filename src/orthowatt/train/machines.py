"""The machines that the processes of one run ran on, as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..energy.provenance import slug

Machine = dict[str, Any]


def together(machines: Sequence[Machine]) -> Machine:
    """What ran the run, from what each process says of itself (`energy.provenance.host`).

    The first one's machine, with every GPU that any process uses marked as used, those of other
    hosts (`host` names theirs) beside its own, and a slug that names all devices. With several
    processes `processes` lists the host and the slug of each, in the order of their numbers.

    >>> one, two = ({"host": "a", "slug": f"gpu-{n}-a", "gpus": []} for n in (1, 2))
    >>> together([one, two])["slug"]
    'gpu-1-2-a'
    """
    first = machines[0]
    if len(machines) == 1:
        return first
    gpus: dict[tuple[Any, ...], dict[str, Any]] = {}
    for machine in machines:
        elsewhere = {} if machine["host"] == first["host"] else {"host": machine["host"]}
        for gpu in machine["gpus"]:
            key = (machine["host"], gpu["index"], gpu["uuid"])
            known = gpus.setdefault(key, {**gpu, **elsewhere})
            known["used"] = known["used"] or gpu["used"]
    return {
        **first,
        "slug": _slug(machines),
        "gpus": list(gpus.values()),
        "processes": [{"host": one["host"], "slug": one["slug"]} for one in machines],
    }


def _slug(machines: Sequence[Machine]) -> str:
    """The slugs of all processes as one: each host once, with all devices that they name."""
    hosts: dict[str, set[str]] = {}
    for machine in machines:
        name = machine["host"]
        place = slug((), name).removeprefix("cpu")  # what every slug of this host ends in
        _, *devices = machine["slug"].removesuffix(place).split("-")
        hosts.setdefault(name, set()).update(devices)
    return "-".join(slug(sorted(devices), name) for name, devices in sorted(hosts.items()))
