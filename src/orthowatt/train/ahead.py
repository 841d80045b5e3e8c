"""The memory of a run that is not begun: on shapes alone, for this machine or a GPU by name."""

from __future__ import annotations

import torch

from ..config import RunConfig
from ..data.files import CACHE_SHARE, streams
from ..data.survey import Survey, survey
from . import prepare
from .cards import Card, card
from .planner import Plan, plan, room
from .runtime import resolve_device, resolve_precision


def plan_ahead(config: RunConfig) -> Plan:
    """What `config` will need of its device, which may be a GPU by name ("t4", "a100-40").

    No image is read and no weight fetched. Raises `InputError` for what cannot be built and
    `DataError` for files that are missing.

    >>> found = plan_ahead(RunConfig(model="resnet18", image_size=224, device="t4"))
    >>> found.fits, found.room.name, 0.5 < found.total / 2**30 < 1.5
    (True, 'NVIDIA T4 16 GB', True)
    """
    where = _device(config.device)
    facts = survey(config.data, config.image_size)
    precision = config.precision
    if isinstance(where, Card):
        precision = where.precision if precision == "auto" else precision
    else:
        precision = resolve_precision(precision, where)
    return plan(
        prepare.outline(config, facts.classes, facts.channels),
        config,
        room(where),
        channels=facts.channels,
        precision=precision,
        data_bytes=_held(config, facts, where),
        stored_bytes=facts.image_bytes,
        batch_size=min(config.batch_size, config.limit_images or facts.train, facts.train),
    )


def _device(name: str) -> torch.device | Card:
    if name in ("auto", "cpu") or name.partition(":")[0] == "cuda":
        return resolve_device(name)
    return card(name)


def _held(config: RunConfig, facts: Survey, where: torch.device | Card) -> int:
    """Bytes of images on the device: none where files are streamed."""
    if config.data.partition(":")[0] not in ("imagefolder", "table"):
        return facts.nbytes
    if isinstance(where, Card):
        large = facts.nbytes > CACHE_SHARE * where.memory_bytes
        streamed = config.cache == "stream" or (config.cache == "auto" and large)
    else:
        streamed = streams(config.cache, facts.nbytes, where)
    return 0 if streamed else facts.nbytes
