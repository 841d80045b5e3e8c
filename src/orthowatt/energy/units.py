"""Driver units to J and W: the only place where mJ, mW, µJ and µW are converted."""

from __future__ import annotations


def joules_from_millijoules(millijoules: float) -> float:
    """Millijoules (NVML's energy counter) in joules.

    >>> joules_from_millijoules(2500)
    2.5
    """
    return millijoules / 1e3


def joules_from_microjoules(microjoules: float) -> float:
    """Microjoules (powercap's `energy_uj`) in joules.

    >>> joules_from_microjoules(2_500_000)
    2.5
    """
    return microjoules / 1e6


def watts_from_milliwatts(milliwatts: float) -> float:
    """Milliwatts (NVML's power and limits) in watts.

    >>> watts_from_milliwatts(700_000)
    700.0
    """
    return milliwatts / 1e3


def watts_from_microwatts(microwatts: float) -> float:
    """Microwatts (powercap's `constraint_*_power_limit_uw`) in watts.

    >>> watts_from_microwatts(125_000_000)
    125.0
    """
    return microwatts / 1e6


def joules_text(joules: float) -> str:
    """Joules with a unit of fitting size and three to four digits.

    >>> joules_text(0.0421), joules_text(987.64), joules_text(25606), joules_text(3.2e6)
    ('42.1 mJ', '987.6 J', '25.61 kJ', '3.2 MJ')
    """
    for factor, unit in ((1e6, "MJ"), (1e3, "kJ"), (1.0, "J")):
        if abs(joules) >= factor:
            return f"{joules / factor:.4g} {unit}"
    return f"{joules * 1e3:.4g} mJ"
