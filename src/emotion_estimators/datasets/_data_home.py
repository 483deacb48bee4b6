"""The folder that fetched data is kept in."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from emotion_estimators._downloads import cache_folder

__all__ = ["EMOJI_FOLDER", "IF_UNWRITABLE", "VOTES_FOLDER", "clear_data_home", "get_data_home"]

EMOJI_FOLDER = "emoji-data"
VOTES_FOLDER = "ferplus"
IF_UNWRITABLE = (
    "Pass a data_home that can be written, or set EMOTION_ESTIMATORS_CACHE to one, which is "
    "data_home=None."
)


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder in which the ``fetch_*`` functions keep their files.

    Parameters
    ----------
    data_home : str or path-like or None, default=None
        The folder; ``~`` is the user's home. None is ``$EMOTION_ESTIMATORS_CACHE``, or the user's
        cache folder where that is not set.

    Returns
    -------
    path : Path
        The folder, which need not be there yet.

    Examples
    --------
    >>> from emotion_estimators.datasets import get_data_home
    >>> get_data_home("here").name
    'here'
    """
    return cache_folder() if data_home is None else Path(data_home).expanduser()


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete what the ``fetch_*`` functions have downloaded.

    Other files in the folder, such as the weights in the cache, stay.

    Parameters
    ----------
    data_home : str or path-like or None, default=None
        The folder, as for `get_data_home`.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from emotion_estimators.datasets import clear_data_home
    >>> with TemporaryDirectory() as folder:
    ...     clear_data_home(folder)
    """
    for folder in (EMOJI_FOLDER, VOTES_FOLDER):
        with suppress(FileNotFoundError):
            shutil.rmtree(get_data_home(data_home) / folder)
