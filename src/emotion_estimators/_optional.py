"""The one way to import a package that need not be there; imports only `exceptions`."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

from emotion_estimators.exceptions import MissingDependencyError

__all__ = ["import_optional"]

_AHEAD = 15  # torchvision 0.15 was built for torch 2.0, 0.28 for 2.13


def import_optional(
    module: str, *, extra: str = "", packages: Sequence[str] = (), needed_by: str
) -> ModuleType:
    """Import `module`, or say which extra of this distribution, or else which packages, bring it.

    Raises MissingDependencyError if the package is not installed, or if it needs torchvision and
    there is none for the torch that is there. A package that is installed but fails to import
    raises its own error.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == "torchvision":
            raise MissingDependencyError(
                f"{needed_by} needs {package}, which needs torchvision. {_fitting_torchvision()}",
                name=missing,
            ) from error
        if missing != package:
            raise
        wanted = " ".join(packages) or f'"emotion-estimators[{extra}]"'
        first = f", but first torchvision. {_fitting_torchvision()}" if package == "timm" else ""
        raise MissingDependencyError(
            f"{needed_by} needs {' and '.join(packages) or package}. "
            f"Install {'them' if len(packages) > 1 else 'it'} with: pip install {wanted}{first}",
            name=error.name,
        ) from error
    except Exception as error:
        frames = traceback.walk_tb(error.__traceback__)
        modules = [str(frame.f_globals.get("__name__")) for frame, _ in frames]
        if not any(name.partition(".")[0] == "torchvision" for name in modules):
            raise
        remove = "" if package == "timm" else "; to do without it: pip uninstall torchvision"
        raise MissingDependencyError(
            f"{needed_by} needs {package}, which imports the torchvision that is installed, and "
            f"that does not fit torch ({error}). {_fitting_torchvision()}{remove}",
            name="torchvision",
        ) from error


def _fitting_torchvision() -> str:
    """Return how to install the torchvision that fits torch, as one sentence.

    A version of torchvision is built for one version of torch, once for each kind of torch; what
    pip takes unless told otherwise is the one for CUDA.
    """
    try:
        torch, _, kind = version("torch").partition("+")
    except PackageNotFoundError:
        return "It must be the one that was built for the torch that is to be installed."
    major, minor = torch.split(".")[:2]
    wanted = f"torchvision==0.{int(minor) + _AHEAD}.*" if major == "2" else "torchvision"
    index = f" --index-url https://download.pytorch.org/whl/{kind}" if kind else ""
    return (
        f"For torch {version('torch')} it is installed with: pip install --force-reinstall "
        f'--no-deps "{wanted}"{index}'
    )
