"""The compiled loops of HOG: finds the library, loads it once, declares its functions.

``hatch_build.py`` compiles it from ``loops.c`` and ``images.c`` when the package is
installed. Imports NumPy and `exceptions`; only ``kernel`` calls it.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy.typing as npt

from emotion_estimators.exceptions import MissingDependencyError

__all__ = ["HogLoops", "address_of", "load_hog_loops", "open_library"]

_SUFFIX = {"win32": ".dll", "darwin": ".dylib"}.get(sys.platform, ".so")
# With one dot only, pkgutil would list it as a module of Python.
_PATH = Path(__file__).with_name(f"lib_hog_loops.native{_SUFFIX}")

_INTERFACE = 1  # as hog_loops_interface in loops.c says
_INTEGER, _POINTER = ctypes.c_int64, ctypes.c_void_p
# The types of the parameters, as in the .h and .c files.
_PARAMETERS: dict[str, list[Any]] = {
    "histograms_of_uint8": [_POINTER, *[_INTEGER] * 7, _POINTER, _INTEGER, _POINTER],
    "histograms_of_float64": [
        *[_POINTER, *[_INTEGER] * 8],
        *[_POINTER, _INTEGER, _INTEGER, _INTEGER, _POINTER, _INTEGER, _POINTER, _POINTER, _POINTER],
    ],
    "normalise_blocks": [_POINTER, *[_INTEGER] * 8, _POINTER],
    "draw_cell_pictures": [
        *[_POINTER, *[_INTEGER] * 4],
        *[_POINTER, _POINTER, _INTEGER, _INTEGER, _INTEGER, _POINTER],
    ],
}


class HogLoops:
    """The functions of the library for one set of instructions."""

    def __init__(self, library: ctypes.CDLL, level: int) -> None:
        self.histograms_of_uint8 = _declare(library, "histograms_of_uint8", level)
        self.histograms_of_float64 = _declare(library, "histograms_of_float64", level)
        self.normalise_blocks = _declare(library, "normalise_blocks", min(level, 1))
        self.draw_cell_pictures = _declare(library, "draw_cell_pictures")


def _declare(library: ctypes.CDLL, name: str, level: int | None = None) -> Callable[..., int]:
    """Return a function of the library, for a level where it has levels, with its types."""
    function = library[name if level is None else f"{name}_{level}"]
    function.argtypes = _PARAMETERS[name]
    function.restype = _INTEGER
    function.errcheck = _raise_memory_error  # type: ignore[assignment]
    return function


def _raise_memory_error(result: int, *_: Any) -> int:
    """Return a function's result, unless it says that there was no memory."""
    if result < 0:
        raise MemoryError("HOG finds no memory for one row of cells.")
    return result


@lru_cache(maxsize=1)
def open_library() -> ctypes.CDLL:
    """Load the library.

    Raises MissingDependencyError if it is not there, cannot be loaded, or is of another version of
    the package.
    """
    how = (
        "It is compiled when the package is installed. In a source tree, install that first: "
        "python -m pip install --editable ."
    )
    if not _PATH.is_file():
        raise MissingDependencyError(
            f"HOGTransformer needs its compiled library, and there is no {_PATH}. {how}",
            path=str(_PATH),
        )
    try:
        library = ctypes.CDLL(str(_PATH))
    except OSError as error:
        raise MissingDependencyError(
            f"HOGTransformer needs its compiled library, and {_PATH} cannot be loaded: {error}. "
            f"It may be of another system or processor. {how}",
            path=str(_PATH),
        ) from error
    interface = library.hog_loops_interface() if hasattr(library, "hog_loops_interface") else 0
    if interface != _INTERFACE:
        raise MissingDependencyError(
            f"HOGTransformer needs its compiled library of interface {_INTERFACE}, and {_PATH} "
            f"has {interface}: it was compiled for another version. {how}",
            path=str(_PATH),
        )
    return library


@lru_cache(maxsize=1)
def load_hog_loops() -> HogLoops:
    """Return the loops for the most instructions that this processor has.

    Raises MissingDependencyError as from `open_library`.
    """
    library = open_library()
    return HogLoops(library, library.hog_loops_level())


def address_of(array: npt.NDArray[Any]) -> int:
    """Return where the memory of a C-contiguous array begins."""
    # What ``array.ctypes.data`` gives, in a third of the time: some of the microseconds that count
    # for one small image.
    memory: Any = array  # NumPy's types know buffers from Python 3.12 on
    if array.flags.writeable and array.size:
        return ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return int(array.ctypes.data)
