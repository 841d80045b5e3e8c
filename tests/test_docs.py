"""The examples in docstrings run, and say what they say."""

import doctest
import importlib
import pkgutil

import pytest

import orthowatt

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(orthowatt.__path__, "orthowatt.")
    if not module.name.endswith(("__main__", "kernels"))  # kernels: a C library, no module
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0
