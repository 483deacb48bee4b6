"""The columns of tables of faces; imports nothing, so that a table may begin before any network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["BOX", "MAX_GAP", "SMOOTHING", "table_columns", "video_columns"]

BOX = ("x", "y", "width", "height")

SMOOTHING, MAX_GAP = 0.5, 1.0  # seconds, of faces that are followed; the defaults


def table_columns(classes: Iterable[Any]) -> list[str]:
    r"""Return the columns of a table of faces.

    Parameters
    ----------
    classes : iterable of str
        ``classes_`` of the classifier.

    Returns
    -------
    columns : list of str
        ``row``, which photograph of X, from 0; ``image``, its path, or None if it is no file
        (bytes of a name that are not UTF-8 are written as ``\udcff`` is);
        ``status``, "face", "no face" or "unreadable"; ``problem``, why it is unreadable;
        ``face``, its number in the photograph, from 0, the most confident first; ``x``, ``y``,
        ``width``, ``height``, its box in pixels; ``score`` of the detector; ``emotion``, the
        most probable class; ``certainty``, its probability; and ``emotion_<class>``, the
        probability of each class.

    Examples
    --------
    >>> from emotion_estimators.analysis import table_columns
    >>> table_columns(["happy", "sad"])[-4:]
    ['emotion', 'certainty', 'emotion_happy', 'emotion_sad']
    """
    fixed = ["row", "image", "status", "problem", "face", *BOX, "score", "emotion", "certainty"]
    return fixed + [f"emotion_{name}" for name in classes]


def video_columns(classes: Iterable[Any]) -> list[str]:
    """Return the columns of a table of the faces of a video.

    Parameters
    ----------
    classes : iterable of str
        ``classes_`` of the classifier.

    Returns
    -------
    columns : list of str
        Those of `table_columns`, but for ``row``, which frame of those looked at, from 0. After
        ``image``: ``frame``, its number in the video, from 0; ``time``, in seconds. After
        ``face``: ``track``, the number of the face that is followed, from 0. At the end:
        ``smoothed``, the most probable class of the smoothed probabilities; and
        ``smoothed_<class>``, that of each class.

    Examples
    --------
    >>> from emotion_estimators.analysis import video_columns
    >>> video_columns(["sad"])[:8]
    ['row', 'image', 'frame', 'time', 'status', 'problem', 'face', 'track']
    >>> video_columns(["sad"])[-4:]
    ['certainty', 'emotion_sad', 'smoothed', 'smoothed_sad']
    """
    classes = list(classes)
    columns = table_columns(classes) + ["smoothed"] + [f"smoothed_{name}" for name in classes]
    for name, before in (("frame", "status"), ("time", "status"), ("track", "x")):
        columns.insert(columns.index(before), name)
    return columns
