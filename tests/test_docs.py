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


@pytest.mark.parametrize(
    "name",
    ["OrthowattError", "RunConfig", "RunRecord", "StudyConfig", "Variant", "run_study"],
)
def test_what_users_meet_first_has_an_example(name):
    assert ">>> " in getattr(orthowatt, name).__doc__
