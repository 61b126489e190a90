"""Every example in a docstring gives the result that it shows."""

import doctest
import importlib
import pkgutil

import pytest

import tfcompress

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(tfcompress.__path__, "tfcompress.")
    if not module.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0, f"{name}: {result.failed} of {result.attempted} examples fail"
