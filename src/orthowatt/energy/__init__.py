"""Joules of GPUs and CPUs with their uncertainty; unknown, with a reason, where no sensor is.

Stands alone: needs no other part of orthowatt, no torch, and starts no CUDA.
"""

from .derived import (
    Derived,
    co2_grams,
    energy_delay_product,
    joules_per_image,
    joules_per_thousand_inferences,
    joules_to_accuracy,
)
from .idle import Idle, net
from .inference import Inference, measure_inference

# from here on the name `measure` is the function; its module stays importable by name
from .measure import measure, measure_command
from .measured import Measured
from .meter import EnergyMeter
from .quantity import Energy
from .ratio import Ratio, ratio
from .segment_file import Segment, read_segments
from .window import Window

__all__ = [
    "Derived", "Energy", "EnergyMeter", "Idle", "Inference", "Measured", "Ratio", "Segment",
    "Window", "co2_grams", "energy_delay_product", "joules_per_image",
    "joules_per_thousand_inferences", "joules_to_accuracy", "measure", "measure_command",
    "measure_inference", "net", "ratio", "read_segments",
]  # fmt: skip
