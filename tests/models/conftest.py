"""Development data: looked for beside the repository, or where ORTHOWATT_DEV_DATA points."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def dev_data() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("ORTHOWATT_DEV_DATA", default))
    if not (folder / "unpack.py").is_file():
        pytest.skip("no development data: set ORTHOWATT_DEV_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def resnet50_file(dev_data, tmp_path_factory) -> Path:
    """The product-quantised ResNet-50 (72.18 % top-1), unpacked; never committed."""
    folder = tmp_path_factory.mktemp("weights")
    command = [sys.executable, str(dev_data / "unpack.py"), str(folder), "resnet50"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "resnet50.safetensors"
