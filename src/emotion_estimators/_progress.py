"""The one door to tqdm, and what is known of standard streams that may not be there."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

__all__ = ["is_terminal", "progress_bar"]


def progress_bar(iterable: Any = None, *, is_shown: bool | int = True, **settings: Any) -> Any:
    """Return a bar of tqdm on standard error; nothing fails where that is absent or broken."""
    from tqdm import tqdm

    is_shown = bool(is_shown) and sys.stderr is not None
    return tqdm(iterable, disable=not is_shown, file=_Forgiving(sys.stderr), **settings)


def is_terminal(stream: Any) -> bool:
    """Return whether a standard stream, which may be None or closed, is a terminal."""
    try:
        return bool(stream.isatty())
    except (AttributeError, OSError, ValueError):
        return False


class _Forgiving:
    """A stream whose failures stop nothing; all else is the stream's."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> None:
        with suppress(AttributeError, OSError, ValueError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(AttributeError, OSError, ValueError):
            self._stream.flush()
