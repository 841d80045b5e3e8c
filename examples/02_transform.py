"""Exact, differentiable transforms at the sizes of real feature maps."""

import torch

import orthowatt as ow

print("Hadamard orders up to 64:", ow.hadamard_orders(64))

x = torch.randn(8, 256, 56, 56, generator=torch.Generator().manual_seed(0))
y = ow.wht(x)  # 56 = 2 · 28: no padding, and the transform is its own inverse
print(f"56 × 56: |wht(wht(x)) - x| ≤ {(ow.wht(y) - x).abs().max():.1e}")

small = torch.randn(8, 64, 14, 14, generator=torch.Generator().manual_seed(0))
kept = ow.wht(small, pad="keep")  # 14 has no Hadamard matrix: the spectrum is 16 × 16
back = ow.iwht(kept, size=14)
print(f"14 × 14: spectrum {tuple(kept.shape[-2:])}, |back - x| ≤ {(back - small).abs().max():.1e}")

try:
    ow.wht(small)
except ValueError as error:
    print("without a pad:", error)

z = torch.randn(3, 28, dtype=torch.float64, requires_grad=True)
print("gradients checked:", torch.autograd.gradcheck(lambda t: ow.dct(t, dims=-1), (z,)))
