"""How a layer is attached to a module without renaming anything: the module changes its class.

A wrapper would put itself into every key below it, and a forward hook is lost to `torch.export`,
pickling and tools that read the module tree. So the module that receives a layer gets a subclass
of its own class, made here, whose `forward` runs the layers before and after the original one; the
layers are ordinary children (`orthowatt_before`, `orthowatt_after`, `…_2`). All existing names
stay, `isinstance` stays true, hooks stay, and `copy.deepcopy`, `pickle`, `state_dict`,
`torch.compile(fullgraph=True)` and `torch.export` see a plain module. The root of an edited model
gets a subclass whose `repr` lists the layers that are not orthogonal, a frozen batch norm one whose
`train()` does nothing.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from ..errors import InputError, InputTypeError
from ..nn.layer import MapLayer

_PREFIX = "orthowatt_"
_MARKS = {"_orthowatt_edits", "_orthowatt_frozen"}
_classes: dict[tuple[type, bool], type] = {}


def attach(module: nn.Module, layer: nn.Module, where: str) -> str:
    """Add `layer` `where` ("before" or "after") of the module; the name of the new child."""
    number, name = 1, _PREFIX + where
    while name in module._modules:
        number += 1
        name = f"{_PREFIX}{where}_{number}"
    _change_class(module, runs=True)
    module.add_module(name, layer)
    return name


def detach(module: nn.Module, name: str) -> None:
    """Take away a child that `attach` added; without one left, the module gets its class back."""
    del module._modules[name]
    if not any(_slots(module)):
        _change_class(module, runs=False)


def mark(root: nn.Module, change: int) -> None:
    """Count the edits of a root up or down; while there are any, its `repr` lists its layers."""
    if isinstance(root, torch.fx.GraphModule):
        return  # it writes a class for itself, which pickling relies on
    count = root.__dict__.get("_orthowatt_edits", 0) + change
    if count:
        root.__dict__["_orthowatt_edits"] = count
    else:
        root.__dict__.pop("_orthowatt_edits", None)
    _change_class(root, runs=any(_slots(root)))


def freeze_statistics(norm: nn.Module) -> None:
    """Hold a batch norm in evaluation, whatever `train()` is called on the model above it."""
    norm.__dict__["_orthowatt_frozen"] = True
    _change_class(norm, runs=any(_slots(norm)))
    norm.eval()


def is_frozen(norm: nn.Module) -> bool:
    """Whether `freeze_statistics` holds the norm in evaluation."""
    return "_orthowatt_frozen" in norm.__dict__


def rebase(module: nn.Module, base: type) -> None:
    """Give the module `base` as its class in place of its own, and keep what was attached to it."""
    module.__class__ = base
    _change_class(module, runs=any(_slots(module)))


def original_class(module: nn.Module) -> type:
    """The class that the module had before any edit."""
    return getattr(type(module), "_orthowatt_base", type(module))


def attachable(module: nn.Module) -> str:
    """Why no layer can be put before or after the module, "" where one can."""
    if isinstance(module, torch.jit.ScriptModule):
        return "it is compiled by TorchScript; insert before scripting"
    if isinstance(module, torch._dynamo.OptimizedModule):
        return "it is wrapped by torch.compile; insert before compiling"
    if isinstance(module, torch.fx.GraphModule):
        return "it is a traced graph; insert before tracing, or at one of its children"
    if "forward" in vars(module):
        return "something has replaced its forward method; insert before that"
    if type(module).forward is nn.Module.forward:
        children = ", ".join(name for name, _ in module.named_children())
        return f"it is a container that never runs; name one of its children ({children})"
    return ""


def _slots(module: nn.Module) -> Iterator[str]:
    return (name for name in module._modules if name.startswith(_PREFIX))


def _change_class(module: nn.Module, runs: bool) -> None:
    """Give the module the class that fits its children and its count of edits."""
    base = original_class(module)
    edited = runs or not _MARKS.isdisjoint(module.__dict__)
    module.__class__ = _subclass(base, runs) if edited else base


def _subclass(base: type, runs: bool) -> type:
    """The subclass of `base` for an edited module, one for each base; `runs` adds the layers."""
    if (base, runs) not in _classes:
        parents: tuple[type, ...] = (_Edited, base)
        if runs and issubclass(base, (nn.Sequential, nn.ModuleDict, nn.ModuleList)):
            parents = (_Edited, _HiddenSlots, base)
        body: dict[str, Any] = {
            # Tracers judge by the module's home whether to look inside, and repr by its name.
            "__module__": base.__module__,
            "__qualname__": base.__qualname__,
            "__doc__": base.__doc__,
            "_orthowatt_base": base,
            "_orthowatt_runs": runs,
        }
        if runs:
            body["forward"] = _forward_of(base)
        metaclass: Any = type(base)
        _classes[base, runs] = metaclass(base.__name__, parents, body)
    return _classes[base, runs]


def _forward_of(base: Any) -> Callable[..., Any]:
    """The original forward between the layers; `wraps` keeps its signature for exporters."""

    @functools.wraps(base.forward)
    def forward(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        # The layer added last is the outermost on both sides.
        for name, layer in reversed(self._modules.items()):
            if name.startswith("orthowatt_before") and layer is not None:
                if not args:
                    raise InputError(
                        f"{base.__name__} was called without a positional input, so the layer "
                        "before it has nothing to work on; pass the map by position"
                    )
                args = (layer(args[0]), *args[1:])
        result = base.forward(self, *args, **kwargs)
        for name, layer in self._modules.items():
            if name.startswith("orthowatt_after") and layer is not None:
                if not isinstance(result, torch.Tensor):
                    raise InputTypeError(
                        f"{base.__name__} returns {type(result).__name__}, not one tensor, so no "
                        "layer can follow it; insert after one of its children"
                    )
                result = layer(result)
        return result

    return forward


class _Edited:
    """What every edited module has: its class is rebuilt when it is copied or unpickled."""

    _orthowatt_base: type
    _orthowatt_runs: bool

    def __reduce_ex__(self, protocol: Any) -> Any:
        _, arguments, *rest = super().__reduce_ex__(max(int(protocol), 2))  # type: ignore[misc]
        kind = type(self)
        return (_rebuild, (kind._orthowatt_base, kind._orthowatt_runs, *arguments[1:]), *rest)

    def train(self, mode: bool = True) -> Any:
        return super().train(mode and "_orthowatt_frozen" not in self.__dict__)  # type: ignore[misc]

    def extra_repr(self) -> str:
        own = super().extra_repr()  # type: ignore[misc]
        if "_orthowatt_edits" not in self.__dict__:
            return own
        return "\n".join(([own] if own else []) + list(not_orthogonal(self)))  # type: ignore[arg-type]


class _HiddenSlots:
    """Keeps the added layers out of a container's own iteration, which its forward may rely on."""

    def _own(self) -> OrderedDict[str, nn.Module]:
        items = self._modules.items()  # type: ignore[attr-defined]
        return OrderedDict((k, m) for k, m in items if not k.startswith(_PREFIX))

    def __len__(self) -> int:
        return len(self._own())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._own() if isinstance(self, nn.ModuleDict) else self._own().values())

    def keys(self) -> Any:
        return self._own().keys()

    def items(self) -> Any:
        return self._own().items()

    def values(self) -> Any:
        return self._own().values()


def _rebuild(base: type, runs: bool, *arguments: Any) -> nn.Module:
    kind: Any = _subclass(base, runs)
    return kind.__new__(kind, *arguments)


def not_orthogonal(model: nn.Module) -> Iterator[str]:
    """One line for each layer of the model that does not keep lengths, or may not."""
    for name, layer in map_layers(model):
        orthogonal, _ = layer.orthogonality(layer.map_shape)
        if not orthogonal:
            yield f"[{name}: {type(layer).__name__} {layer.verdict()}]"


def map_layers(model: nn.Module) -> Iterator[tuple[str, MapLayer]]:
    """The orthowatt layers of a model by name, those inside another one left out."""
    inner: set[nn.Module] = set()
    for name, module in model.named_modules():
        if isinstance(module, MapLayer):
            if module not in inner:
                yield name, module
            inner.update(module.modules())
