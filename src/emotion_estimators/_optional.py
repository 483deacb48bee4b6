"""The one way to import a package that an extra brings; imports only `exceptions`."""

from __future__ import annotations

import importlib
from types import ModuleType

from emotion_estimators.exceptions import MissingDependencyError

__all__ = ["import_optional"]


def import_optional(module: str, *, extra: str, needed_by: str) -> ModuleType:
    """Import `module`, or say which extra of this distribution brings it.

    Raises MissingDependencyError if the package is not installed. A package that is installed but
    fails to import raises its own error.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingDependencyError(
            f"{needed_by} needs {package}. "
            f'Install it with: pip install "emotion-estimators[{extra}]"',
            name=error.name,
        ) from error
