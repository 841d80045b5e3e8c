"""Recipes of a run: functions that return a `RunConfig`; keyword arguments change any setting."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config import RunConfig


def demo(**changes: Any) -> RunConfig:
    """A small ResNet on scanned digits: seconds on one CPU core, no network.

    Chosen so that the plain network reaches about 98 % in five epochs: Adam at 4e-3 falling along
    a cosine, batches of 64, no augmentation, a tenth of the train set for validation. Determinism
    is exact, which costs nothing here.

    >>> demo(transform="wht", seed=3).transform
    'wht'
    """
    return RunConfig(
        model="orthowatt_resnet8",
        data="digits",
        image_size=32,
        epochs=5,
        batch_size=64,
        optimizer="adam",
        learning_rate=4e-3,
        schedule="cosine",
        determinism="exact",
    ).replace(**changes)


def paper(**changes: Any) -> RunConfig:
    """The paper's training: CIFAR-100 at 224, pretrained ResNet-50, Adam, L2, dropout, 20 epochs.

    arXiv 2506.16418 states: CIFAR-100 resized to 224×224; ImageNet weights, all layers trainable;
    global pooling, dropout 0.5, one dense layer; Adam; sparse categorical cross-entropy; L2;
    20 to 30 epochs (here 20); a Walsh-Hadamard transform that needs powers of two (here
    `order="pow2", pad="crop"`: 56 → 64 → 56).

    It does not state, and here is chosen:
    - batch size 64 and learning rate 1e-4, constant, without warm-up: Keras's usual fine-tuning;
    - L2 strength 1e-4 on the weights of convolutions and the dense layer, in Keras's sense (λ‖w‖²
      is part of the loss);
    - Adam's β = 0.9 and 0.999 and ε = 1e-8 (torch's; Keras has 1e-7);
    - no augmentation, no label smoothing;
    - a tenth of the train set for validation, fixed; the test set is scored once, at the end, by
      the last weights (the paper may have validated on the test set);
    - resizing: bilinear; normalisation: ImageNet's mean and deviation;
    - precision: what the device computes best (bf16 on an A100), channels_last; choose
      `precision="fp32"` for Keras's default;
    - the axes of a transform: height and width (`dims`); `tf.signal.fft2d` on Keras's NHWC maps
      would take `dims=(-1, -3)`, (W, C), and `tf.signal.dct` `dims=(-3,)`, the channels;
    - orthonormal transforms (`norm`; None is the unscaled reading); the FFT's plain magnitude
      (`fft_log` for its logarithm, `transform="fft-realimag"` for both parts);
    - the layer sits after the whole block, its shortcut included.

    >>> paper().epochs, paper().dropout, paper(order="exact").order
    (20, 0.5, 'exact')
    """
    return RunConfig(
        model="orthowatt_resnet50",
        pretrained=True,
        order="pow2",
        pad="crop",
        dropout=0.5,
        data="cifar100",
        image_size=224,
        epochs=20,
        batch_size=64,
        optimizer="adam",
        learning_rate=1e-4,
        l2=1e-4,
        schedule="constant",
    ).replace(**changes)


def scratch32(**changes: Any) -> RunConfig:
    """ResNet-18 from scratch on CIFAR-100's 32×32 photos, with what is usual for it.

    SGD with momentum 0.9, rising to 0.1 and falling again (one-cycle), 60 epochs in batches of
    128; crops out of four reflected pixels, flips, label smoothing 0.1. `l2` is 2.5e-4: λ‖w‖² in
    the loss, which is what torch calls a weight decay of 5e-4, on weights alone. The network is
    `orthowatt_resnet18`, whose stem keeps the size: the stages work on 32, 16, 8 and 4 pixels.

    >>> scratch32().pretrained, scratch32(epochs=30).epochs
    (False, 30)
    """
    return RunConfig(
        model="orthowatt_resnet18",
        data="cifar100",
        image_size=32,
        crop_padding=0.125,
        flip=True,
        epochs=60,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        l2=2.5e-4,
        schedule="one-cycle",
        label_smoothing=0.1,
    ).replace(**changes)


RECIPES: dict[str, Callable[..., RunConfig]] = {
    "demo": demo,
    "paper": paper,
    "scratch32": scratch32,
}
