"""Everything that can be checked of the transforms on a CUDA device; needs one."""

import pytest
import torch

from orthowatt.bench import checks
from orthowatt.transforms import functional

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is visible"),
]


def test_every_check_of_the_benchmark_passes():
    found, left = checks.run(torch.device("cuda"), workers=4)
    assert not left
    assert not [check for check in found if not check.passed]


def test_kernels_run_here_and_say_so():
    x = torch.randn(2, 64, 56, 56, device="cuda")
    for kind in ("wht", "dct2", "dst3", "hartley"):
        assert functional.backend_info(x, kind).path == "gpu"
