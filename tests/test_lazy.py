"""attach_stub: names come from where the stub says, and only when they are used."""

import importlib
import sys

import pytest


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "some_package"
    (folder / "inner").mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "from emotion_estimators._lazy import attach_stub\n"
        "__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)\n"
    )
    (folder / "__init__.pyi").write_text(
        "from . import inner as inner\n"
        "from .first import one as one\n"
        "from .same import same as same\n"
        "version: str\n"
    )
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "first.py").write_text("one = 1\n")
    (folder / "same.py").write_text("def same():\n    return 2\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("some_package")
    for name in [name for name in sys.modules if name.startswith("some_package")]:
        del sys.modules[name]


def test_names(package):
    assert package.__all__ == dir(package) == ["inner", "one", "same"]
    assert "some_package.first" not in sys.modules
    assert package.one == 1
    assert package.inner is sys.modules["some_package.inner"]
    assert package.same() == package.same() == 2


def test_unknown_name(package):
    with pytest.raises(AttributeError, match="module 'some_package' has no attribute 'two'"):
        _ = package.two
