"""The embedded data set: real scans, a fixed interpolation, a fixed split."""

import numpy as np
import torch
from sklearn.datasets import load_digits as scans

from orthowatt.data.digits import every_fifth, load_digits


def test_it_is_scikit_learns_scans_in_a_fixed_stratified_split():
    digits = load_digits()
    target = torch.as_tensor(scans().target)
    test = every_fifth(target)
    assert torch.equal(digits.test_labels, target[test])
    assert torch.equal(digits.train_labels, target[~test])
    counts, whole = torch.bincount(digits.test_labels), torch.bincount(target)
    assert ((counts - whole / 5).abs() < 1).all()


def test_upsampling_keeps_the_scan():
    """Averaging each 4×4 block, then inverting the interpolation's row weights, returns it."""
    digits = load_digits()
    test = every_fifth(torch.as_tensor(scans().target)).numpy()
    small = scans().images[test] * 255 / 16
    blocks = digits.test_images.double().reshape(-1, 8, 4, 8, 4).mean((2, 4)).numpy()
    # bilinear at scale 4: a block's mean holds ¾ of its own pixel and ⅛ of each neighbour
    mixing = np.eye(8) * 0.75 + (np.eye(8, k=1) + np.eye(8, k=-1)) * 0.125
    mixing[0, 0] = mixing[7, 7] = 0.875
    undo = np.linalg.inv(mixing)
    assert np.abs(undo @ blocks @ undo.T - small).max() < 2.0  # rounding to whole numbers, undone


def test_it_is_the_same_everywhere():
    digits = load_digits()
    assert digits.checksum == "1943ed3c42d01f4fe20174d4de04397bba3c115d075783e06b24a5c838a055f8"
    assert digits.channels == 1
    assert digits.train_images.dtype == torch.uint8
    assert digits.train_images.max() == 255
