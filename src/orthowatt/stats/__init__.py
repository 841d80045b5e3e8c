"""What may be claimed: paired comparisons, intervals and power, from records or plain numbers."""

from .compare import Comparison, compare, compare_all
from .interval import Interval, mean_interval
from .power import Power, power

__all__ = [
    "Comparison",
    "Interval",
    "Power",
    "compare",
    "compare_all",
    "mean_interval",
    "power",
]
