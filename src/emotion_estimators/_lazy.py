"""Names of a package that are imported when they are first used; imports nothing of it.

In place of the package ``lazy_loader``, of which it is the part needed here: this library is to
run with nothing installed beside what its estimators compute with.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["attach_stub"]


def attach_stub(
    package: str, file: str
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return ``__getattr__``, ``__dir__`` and ``__all__`` of a package, from its stub.

    Parameters
    ----------
    package : str
        Its ``__name__``.
    file : str
        Its ``__file__``; the stub is the ``.pyi`` file beside it. Of that the lines
        ``from .module import name as name`` and ``from . import module as module`` count.
    """
    origins: dict[str, tuple[str, bool]] = {}  # module of each name, and whether it is the name
    for node in ast.parse(Path(file).with_suffix(".pyi").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            for alias in node.names:
                origins[alias.name] = (node.module or alias.name, node.module is None)
    names = sorted(origins)

    def get(name: str) -> Any:
        if name not in origins:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        origin, is_module = origins[name]
        module = importlib.import_module(f"{package}.{origin}")
        value = module if is_module else getattr(module, name)
        # kept, so that the next use does not come here
        importlib.import_module(package).__dict__[name] = value
        return value

    return get, lambda: list(names), list(names)
