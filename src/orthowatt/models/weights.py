"""Weights from a file or from timm's hub: read without running code, fitted, and said so."""

from __future__ import annotations

import logging
import pickle
import socket
import urllib.parse
import urllib.request
from pathlib import Path

import torch
from torch import nn

from ..errors import DataError

log = logging.getLogger("orthowatt.models")


def load_weights(model: nn.Module, file: str | Path) -> tuple[str, ...]:
    """Load a safetensors or pth state dict into `model`; what had to be fitted, as sentences.

    Keys are those of the model (timm's and torchvision's are the same for ResNets). A head of
    another size is left as the model made it, a first convolution for another number of input
    channels is converted; both are returned and logged. Nothing in the file is executed. Raises
    `DataError` where the file is missing, unreadable or made for another model; the model is then
    unchanged.
    """
    state = read_state(Path(file))
    notes = [*_fit_head(model, state), *_fit_channels(model, state)]
    own = model.state_dict()
    wrong = [
        f"{key} is {tuple(state[key].shape)}, not {tuple(own[key].shape)}"
        for key in state
        if key in own and state[key].shape != own[key].shape
    ]
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    missing = [key for key in missing if not any(note.startswith(f"{key} ") for note in notes)]
    surplus = [key for key in state if key not in own]
    problems = [*wrong]
    problems += [f"lacks {_few(missing)}"] if missing else []
    problems += [f"has {_few(surplus)} too many"] if surplus else []
    if problems:
        raise DataError(
            f"{file} is not for this {type(model).__name__}: {'; '.join(problems[:3])}; give the "
            "state dict of the same model"
        )
    model.load_state_dict(state, strict=False)
    for note in notes:
        log.warning("%s: %s", file, note)
    return tuple(notes)


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a .safetensors file, or of a torch file read with `weights_only=True`."""
    if not path.is_file():
        raise DataError(
            f"there is no weights file {path}; give a .safetensors or .pth state dict, such as "
            "torchvision's resnet50-0676ba61.pth from download.pytorch.org/models"
        )
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and safetensors each have errors of their own
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise DataError(
                f"{path} holds more than tensors, and loading it would run its code; save "
                "model.state_dict() instead, best with safetensors"
            ) from error
        reason = (str(error).splitlines() or [""])[-1][:200] or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason}); fetch it again") from error
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found:
        raise DataError(f"{path} holds no state dict; save model.state_dict()")
    if not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise DataError(f"{path} holds more than tensors; save model.state_dict()")
    for prefix in ("module.", "_orig_mod."):  # what DataParallel and torch.compile put in front
        if all(key.startswith(prefix) for key in found):
            found = {key[len(prefix) :]: value for key, value in found.items()}
    return found


def _fit_head(model: nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Drop a head of another size from the state; the model's own stays."""
    get = getattr(model, "get_classifier", None)
    head = get(name_only=True) if get else "fc"
    own, notes = model.state_dict(), []
    for key in (f"{head}.weight", f"{head}.bias"):
        if key in own and key in state and own[key].shape != state[key].shape:
            notes.append(
                f"{key} has {len(state[key])} classes in the file and {len(own[key])} in the "
                "model, so the model keeps its new one"
            )
            del state[key]
        elif key in state and key not in own:
            notes.append(f"{key} is left out, for the model has no such head")
            del state[key]
    return notes


def _fit_channels(model: nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Convert the first convolution's weight to the model's number of input channels."""
    name = next((n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)), None)
    key, own = f"{name}.weight", model.state_dict()
    if key not in own or key not in state or own[key].ndim != state[key].ndim:
        return []
    have, want = state[key].shape[1], own[key].shape[1]
    if have == want or have != 3:
        return []
    from timm.models import adapt_input_conv

    state[key] = adapt_input_conv(want, state[key])
    return [f"{key} was made for {have} input channels and is converted to {want}"]


def check_hub(what: str) -> None:
    """Raise `DataError` at once where timm's hub is out of reach, instead of after its retries."""
    from huggingface_hub import constants, try_to_load_from_cache

    cached = try_to_load_from_cache(f"timm/{what}", "model.safetensors")
    if isinstance(cached, str) or constants.HF_HUB_OFFLINE or urllib.request.getproxies():
        return
    address = urllib.parse.urlparse(constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), timeout=10).close()
    except OSError as error:
        raise no_weights(what, f"{address.hostname}: {error}") from error


def no_weights(what: str, reason: object) -> DataError:
    """The error for pretrained weights that cannot be fetched, with the ways to get them."""
    return DataError(
        f"the pretrained weights of {what} could not be fetched ({reason}); connect to the network "
        "once (timm keeps them in ~/.cache/huggingface, which can be copied to another machine; "
        "HF_HOME names another place), or give a state dict with weights=FILE, such as "
        "torchvision's resnet50-0676ba61.pth from download.pytorch.org/models, or start from "
        "random weights with pretrained=False"
    )


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
