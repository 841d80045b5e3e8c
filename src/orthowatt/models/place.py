"""From the name that a user gives to the module that receives the layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..errors import InputError, closest
from . import blocks, keras, site


@dataclass(frozen=True)
class Place:
    """A layer asked for `where` of `name` goes `how` ("before", "after", "replace") at `path`."""

    name: str
    where: str
    path: str
    how: str
    module: nn.Module


def find(model: nn.Module, name: str, where: str) -> Place:
    """The place for a layer, or `InputError` with the closest names or with what would do."""
    if isinstance(model, (torch._dynamo.OptimizedModule, torch.jit.ScriptModule)):
        raise InputError(f"the model is a {type(model).__name__}; insert first, then compile it")
    path = resolve(model, name)
    if where == "replace":
        if not path:
            raise InputError("the model itself cannot be replaced; name a module inside it")
        how = where
    elif where == "branch":
        path, how = _branch(model, path), "after"
    else:
        how = where
    if how != "replace":
        path = _in_sequence(model, path, how)
    module = model.get_submodule(path)
    why = site.attachable(module) if how != "replace" else ""
    if why:
        raise InputError(f"no layer can be put {how} {path or 'the model'}: {why}")
    _check_single(model, module)
    return Place(name, where, path, how, module)


def resolve(model: nn.Module, name: str) -> str:
    """The name of a module, given by itself or as Keras calls it; "" is the model."""
    known = dict(model.named_modules(remove_duplicate=False))
    if name in known:
        return name
    found = keras.module_name(name, model) if isinstance(name, str) else None
    if found is not None:
        return found
    names = [*(n for n in known if n), *keras.names(model)]
    raise InputError(f"the model has no module {name!r}; {closest(str(name), names)}")


def _branch(model: nn.Module, path: str) -> str:
    """The module that ends the branch of the residual block at `path`."""
    block = model.get_submodule(path)
    end = blocks.branch_end(block)
    if end is not None:
        return f"{path}.{end}" if path else end
    kind = site.original_class(block).__name__
    name = path or "the model"
    if blocks.branch_of(block) is not None:
        raise InputError(
            f"{name} ({kind}) has no shortcut, so there is no branch; where='after' at {path!r} "
            "would do"
        )
    inside = next((n for n, m in block.named_modules() if n and blocks.branch_of(m)), None)
    if inside is not None:
        mend = f"name a block inside it, such as {f'{path}.{inside}' if path else inside!r}"
    else:
        last = [n for n, m in block.named_modules() if not list(m.children())][-1]
        spot = ".".join(part for part in (path, last) if part)
        mend = f"where='after' at {spot!r} would do, if that is where its branch ends"
    raise InputError(
        f"'branch' knows the residual blocks of timm and torchvision, but {name} is {kind}; {mend}"
    )


def _in_sequence(model: nn.Module, path: str, how: str) -> str:
    """The last ("after") or first child where the module is a plain sequence.

    Tools run the children of an `nn.Sequential` one by one (checkpointing, feature extraction),
    so the layer belongs to the child, which is the same function.
    """
    module = model.get_submodule(path)
    children = [key for key, _ in module.named_children() if not key.startswith("orthowatt_")]
    if site.original_class(module).forward is not nn.Sequential.forward or not children:
        return path
    child = children[-1] if how == "after" else children[0]
    return _in_sequence(model, f"{path}.{child}" if path else child, how)


def _check_single(model: nn.Module, module: nn.Module) -> None:
    names = [n for n, m in model.named_modules(remove_duplicate=False) if m is module]
    if len(names) > 1:
        raise InputError(
            f"{' and '.join(names)} are one and the same module, so a layer would run at each; "
            "name the blocks around them"
        )
