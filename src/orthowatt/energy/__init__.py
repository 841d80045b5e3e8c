"""Joules of GPUs and CPUs with their uncertainty; unknown, with a reason, where no sensor is.

Stands alone: needs no other part of orthowatt, no torch, and starts no CUDA.
"""

# from here on the name `measure` is the function; its module stays importable by name
from .measure import measure, measure_command
from .measured import Measured
from .meter import EnergyMeter
from .quantity import Energy
from .ratio import Ratio, ratio
from .window import Window

__all__ = [
    "Energy", "EnergyMeter", "Measured", "Ratio", "Window", "measure", "measure_command", "ratio",
]  # fmt: skip
