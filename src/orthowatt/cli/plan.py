"""`orthowatt run --plan`: the settings of a run and the memory that it will need."""

from __future__ import annotations

import dataclasses

from ..config import RunConfig
from .common import print_json


def show(config: RunConfig, base: RunConfig, json: bool) -> int:
    """Print every setting, those that differ from the recipe's marked, and the memory."""
    from ..train.ahead import plan_ahead

    memory = plan_ahead(config)
    values = config.to_dict()
    if json:
        print_json({"hash": config.hash, "config": values, "memory": memory.to_dict()})
        return 0
    for field in dataclasses.fields(RunConfig):
        changed = getattr(config, field.name) != getattr(base, field.name)
        print(f"{field.name:<18} {values[field.name]}{'   (changed)' if changed else ''}")
    print(f"{'hash':<18} {config.hash}")
    if memory.micro_batch is not None:
        print(f"{'at once':<18} {memory.micro_batch} of {memory.batch_size} images")
    print(f"{'memory':<18} {memory.sentence()}")
    if memory.compiled:
        print(f"{'':<18} counted without torch.compile, which keeps less for the backward pass")
    return 0
