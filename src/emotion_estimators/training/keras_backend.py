"""Which backend Keras gets where nobody has chosen one, before Keras is imported.

Imports neither Keras nor a backend.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from emotion_estimators.exceptions import MissingDependencyError

__all__ = ["BACKENDS", "choose_backend", "installed_backend"]

BACKENDS = ("tensorflow", "torch", "jax")  # Keras's own choice first
_VARIABLE = "KERAS_BACKEND"


def choose_backend(
    environment: Mapping[str, str], is_installed: Callable[[str], bool]
) -> str | None:
    """Return the backend that Keras is to be given; None where it gets what it would take itself.

    What the user has set counts first: ``KERAS_BACKEND``, and in ``keras.json`` another backend
    than tensorflow, which Keras itself writes there when it is imported for the first time.
    """
    if environment.get(_VARIABLE) or _configured(environment) != BACKENDS[0]:
        return None
    found = next(filter(is_installed, BACKENDS), None)
    return None if found == BACKENDS[0] else found


def _configured(environment: Mapping[str, str]) -> str:
    """Return the backend that Keras takes without ``KERAS_BACKEND``."""
    base = Path.home()
    if not os.access(base, os.W_OK):
        base = Path("/tmp")  # noqa: S108 - as Keras does
    folder = environment.get("KERAS_HOME") or base / ".keras"
    try:
        settings = json.loads(Path(folder, "keras.json").expanduser().read_text())
        return str(settings.get("backend", BACKENDS[0]))
    except (OSError, ValueError, AttributeError):  # as where there is none
        return BACKENDS[0]


def _is_installed(backend: str) -> bool:
    found = find_spec(backend)
    return found is not None and found.origin is not None  # else a folder that was left over


@contextmanager
def installed_backend(owner: str) -> Iterator[None]:
    """Let Keras be imported inside, on a backend that is installed, and say which if it chose it.

    Raises MissingDependencyError if the one that the user has set, or every one, is missing.
    """
    if "keras" in sys.modules:
        yield
        return
    chosen = choose_backend(os.environ, _is_installed)
    before = os.environ.get(_VARIABLE)
    try:
        if chosen is not None:
            os.environ[_VARIABLE] = chosen
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in BACKENDS:
            raise
        others = [name for name in BACKENDS if name != missing and _is_installed(name)]
        advice = f", or choose {' or '.join(others)}, which is installed: set the environment "
        advice += f"variable {_VARIABLE} before Keras is imported"
        raise MissingDependencyError(
            f"{owner} needs the Keras backend {missing!r}, which is not installed. Install it "
            f"with: pip install {missing}{advice if others else ' (or torch, or jax)'}",
            name=error.name,
        ) from error
    finally:
        if chosen is not None:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before
    if chosen is not None:
        warnings.warn(
            f"{owner} uses Keras on {chosen}: {BACKENDS[0]}, which Keras takes by itself, is not "
            f"installed. Set the environment variable {_VARIABLE} to {chosen} to choose it without "
            "this message.",
            UserWarning,
            stacklevel=9,  # the caller of fit, which is decorated twice
        )
