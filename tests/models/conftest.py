"""Weights unpacked from the development data."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def resnet50_file(dev_data, tmp_path_factory) -> Path:
    """The product-quantised ResNet-50 (72.18 % top-1), unpacked; never committed."""
    if not (dev_data / "unpack.py").is_file():
        pytest.skip(f"{dev_data} holds no unpack.py to unpack the weights with")
    folder = tmp_path_factory.mktemp("weights")
    command = [sys.executable, str(dev_data / "unpack.py"), str(folder), "resnet50"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "resnet50.safetensors"
