"""Layers: transforms of feature maps, learned filters between them, and the controls of a study.

All take maps (N, C, H, W), or (C, H, W), in bf16, fp16, fp32 or fp64, and hold no state but
`TransformFilter2d`'s v, so that they change no key of a model's checkpoint.
"""

from __future__ import annotations

from .control import Identity2d, RandomOrthogonal2d
from .filter import TransformFilter2d
from .layer import MapLayer
from .transform import (
    DCT1d,
    DCT2d,
    DST2d,
    FFTMagnitude2d,
    FFTRealImag2d,
    Hartley2d,
    WHT1d,
    WHT2d,
)

__all__ = [
    "DCT1d",
    "DCT2d",
    "DST2d",
    "FFTMagnitude2d",
    "FFTRealImag2d",
    "Hartley2d",
    "Identity2d",
    "MapLayer",
    "RandomOrthogonal2d",
    "TransformFilter2d",
    "WHT1d",
    "WHT2d",
]
