"""The scripts of ``examples/``, as modules."""

import importlib.util
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def load():
    """Return a function from the name of a script to its module; figures are closed at the end."""

    def load(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    yield load
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def script(request, load):
    """Return the script that a file of tests is about, by its name."""
    return load(request.path.stem.removeprefix("test_"))
