"""The one way to import a package that need not be there; imports only `exceptions`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType

from emotion_estimators.exceptions import MissingDependencyError

__all__ = ["import_optional"]


def import_optional(
    module: str, *, extra: str = "", packages: Sequence[str] = (), needed_by: str
) -> ModuleType:
    """Import `module`, or say which extra of this distribution, or else which packages, bring it.

    Raises MissingDependencyError if the package is not installed. A package that is installed but
    fails to import raises its own error.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        wanted = " ".join(packages) or f'"emotion-estimators[{extra}]"'
        raise MissingDependencyError(
            f"{needed_by} needs {' and '.join(packages) or package}. "
            f"Install {'them' if len(packages) > 1 else 'it'} with: pip install {wanted}",
            name=error.name,
        ) from error
