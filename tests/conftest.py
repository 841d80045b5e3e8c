"""Development data (real photos, CIFAR-100, weights): only where ORTHOWATT_DEV_DATA points."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

pytest_plugins = ("sensor_fixtures",)  # stand-ins for energy sensors, for the meter and its bench


@pytest.fixture(scope="session")
def find_dev_data() -> Callable[[], Path]:
    """Finds the folder that ORTHOWATT_DEV_DATA names, or skips the test and says why."""

    def find() -> Path:
        named = os.environ.get("ORTHOWATT_DEV_DATA")
        if not named:
            pytest.skip("no development data: set ORTHOWATT_DEV_DATA to its folder")
        if not Path(named).is_dir():
            pytest.skip(f"no development data: ORTHOWATT_DEV_DATA is {named}, which is no folder")
        return Path(named)

    return find


@pytest.fixture(scope="session")
def dev_data(find_dev_data) -> Path:
    """The folder of the development data; the test is skipped where there is none."""
    return find_dev_data()
