"""orthowatt: orthogonal transforms in convolutional networks, and the energy they really cost.

Every public name below is loaded when it is first used (PEP 562), so that `import orthowatt`
touches neither torch nor CUDA, a compiler or the network.
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the same names, for type checkers and editors
    from . import models as models
    from . import nn as nn
    from . import stats as stats
    from .audit import audit_claims as audit_claims
    from .config import RunConfig as RunConfig
    from .config import StudyConfig as StudyConfig
    from .config import Variant as Variant
    from .energy import Energy as Energy
    from .energy import EnergyMeter as EnergyMeter
    from .energy import measure as measure
    from .errors import OrthowattError as OrthowattError
    from .models.surgery import insert as insert
    from .nn.diagnose import Diagnosis as Diagnosis
    from .nn.diagnose import diagnose as diagnose
    from .record import RunRecord as RunRecord
    from .study.runner import run_study as run_study
    from .train.loop import train_run as train_run
    from .transforms.functional import backend_info as backend_info
    from .transforms.functional import dct as dct
    from .transforms.functional import dst as dst
    from .transforms.functional import fft_magnitude as fft_magnitude
    from .transforms.functional import hartley as hartley
    from .transforms.functional import idct as idct
    from .transforms.functional import idst as idst
    from .transforms.functional import iwht as iwht
    from .transforms.functional import wht as wht
    from .transforms.hadamard import hadamard as hadamard
    from .transforms.hadamard import hadamard_orders as hadamard_orders

#: public name -> the module that holds it ("" where the name is that module)
_HOMES = {
    "wht": "transforms.functional",
    "iwht": "transforms.functional",
    "dct": "transforms.functional",
    "idct": "transforms.functional",
    "dst": "transforms.functional",
    "idst": "transforms.functional",
    "hartley": "transforms.functional",
    "fft_magnitude": "transforms.functional",
    "backend_info": "transforms.functional",
    "hadamard": "transforms.hadamard",
    "hadamard_orders": "transforms.hadamard",
    "nn": "",
    "models": "",
    "stats": "",
    "diagnose": "nn.diagnose",
    "Diagnosis": "nn.diagnose",
    "insert": "models.surgery",
    "Energy": "energy",
    "EnergyMeter": "energy",
    "measure": "energy",
    "RunConfig": "config",
    "StudyConfig": "config",
    "Variant": "config",
    "RunRecord": "record",
    "train_run": "train.loop",
    "run_study": "study.runner",
    "audit_claims": "audit",
    "OrthowattError": "errors",
}

__all__ = ["__version__", *_HOMES]

try:
    __version__ = version("orthowatt")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'orthowatt' has no attribute {name!r}")
    home = _HOMES[name]
    if not home:
        return importlib.import_module(f".{name}", __name__)
    value = getattr(importlib.import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
