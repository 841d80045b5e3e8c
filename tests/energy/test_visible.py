"""CUDA_VISIBLE_DEVICES as CUDA reads it."""

import pytest

from orthowatt.energy.visible import visible

UUIDS = ["GPU-aaaa-1", "GPU-aabb-2", "GPU-cccc-3"]
SAME = ["H100"] * 3


@pytest.mark.parametrize(
    ("value", "indices"),
    [
        (None, (0, 1, 2)),
        ("", ()),
        ("-1", ()),
        ("2,0", (2, 0)),
        (" 1 , 2", (1, 2)),
        ("0,-1,2", (0,)),
        ("0,7,2", (0,)),
        ("1,1", ()),
        ("NoDevFiles", ()),
        ("GPU-cccc-3,GPU-aaaa", (2, 0)),
        ("GPU-aa", ()),  # two boards begin so
        ("GPU-aabb,GPU-zzzz,GPU-cccc", (1,)),
    ],
)
def test_lists(value, indices):
    environment = {} if value is None else {"CUDA_VISIBLE_DEVICES": value}
    assert visible(UUIDS, SAME, environment).indices == indices


def test_mig_slices_are_named_apart():
    found = visible(UUIDS, SAME, {"CUDA_VISIBLE_DEVICES": "MIG-1111,MIG-2222"})
    assert (found.indices, found.mig) == ((), ("MIG-1111", "MIG-2222"))


def test_numbers_among_different_models_are_unsure_without_pci_order():
    names = ["H100", "T4", "H100"]
    numbers = {"CUDA_VISIBLE_DEVICES": "0"}
    assert not visible(UUIDS, names, numbers).sure
    assert visible(UUIDS, names, {**numbers, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}).sure
    assert visible(UUIDS, names, {"CUDA_VISIBLE_DEVICES": "GPU-cccc"}).sure
    assert visible(UUIDS, SAME, numbers).sure
