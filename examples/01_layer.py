"""Put a Walsh-Hadamard layer into any timm or torchvision model, look at it, take it out again."""

import timm
import torch

import orthowatt as ow

model = timm.create_model("resnet18", num_classes=10).eval()
images = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
with torch.no_grad():
    before = model(images)

    # A bare transform after the first block: the maps are 56 × 56, an exact Hadamard order.
    edits = ow.insert(model, {"layer1.0": ow.nn.WHT2d()}, where="after")
    shift = (model(images) - before).norm() / before.norm()
    print(f"bare WHT:   the logits move by {shift:.0%}")
    edits.undo()

    # T⁻¹(v ⊙ T x) with v = 1 at the start: a pretrained network keeps its function.
    ow.insert(model, {"layer1.0": ow.nn.TransformFilter2d("wht", channels=64, size=56)})
    shift = (model(images) - before).norm() / before.norm()
    print(f"WHT filter: the logits move by {shift:.1e}")
