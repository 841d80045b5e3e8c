"""What did it cost? Joules where a sensor can be read, and a reason where none can."""

import torch

import orthowatt as ow

a = torch.randn(512, 512, generator=torch.Generator().manual_seed(0))
with ow.EnergyMeter() as meter, meter.window("products") as window:
    for _ in range(50):
        a = torch.nn.functional.normalize(a @ a.T)

energy = window.energy
if energy.joules is None:
    print(f"energy unknown: {energy.reason}")
else:
    print(f"{energy.joules:.1f} J ± {energy.bound_joules:.1f} J ({energy.scope}, {energy.method})")
print(f"over {window.seconds:.2f} s")
