"""Power limits of known boards, for the bound where a driver tells no limit."""

from __future__ import annotations

#: Highest power limit that each board may be set to, in W, from NVIDIA's data sheets and product
#: briefs; a board is known by the first entry whose words all stand in its NVML name.
BOARDS = (
    ("B300", 1400.0),
    ("GB200", 1200.0),
    ("B200", 1000.0),
    ("H200 NVL", 600.0),
    ("H200", 700.0),
    ("GH200", 1000.0),
    ("H100 NVL", 400.0),
    ("H100 PCIe", 350.0),
    ("H100", 700.0),
    ("A100 PCIe", 300.0),
    ("A100", 500.0),
    ("A30", 165.0),
    ("A40", 300.0),
    ("A10G", 300.0),
    ("A10", 150.0),
    ("L40S", 350.0),
    ("L40", 300.0),
    ("L4", 72.0),
    ("T4", 70.0),
    ("V100 SXM3", 450.0),
    ("V100", 300.0),
    ("P100", 300.0),
    ("P40", 250.0),
    ("K80", 300.0),
    ("M40", 250.0),
)
#: No board draws more (B300), for one that the table does not know.
HIGHEST_BOARD_WATTS = max(watts for _, watts in BOARDS)


def board_watts(name: str | None) -> float | None:
    """The highest power limit of a board by its NVML name in W; None where it is not in the table.

    >>> board_watts("NVIDIA H100 80GB HBM3"), board_watts("NVIDIA H100 PCIe"), board_watts("Xe")
    (700.0, 350.0, None)
    """
    words = (name or "").upper().replace("-", " ").split()
    for board, watts in BOARDS:
        if all(word in words for word in board.upper().split()):
            return watts
    return None
