"""Generated images of drawn faces: a number of samples in, images and emotions out.

Needs nothing but Pillow and NumPy; stands on `_drawing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_estimators._sklearn import Interval, constraints, validate_params
from emotion_estimators.datasets._drawing.canvas import (
    Pose,
    draw_traits,
    enlargement,
    generators,
    take,
)
from emotion_estimators.datasets._drawing.face import (
    TRAITS,
    draw_action_units,
    draw_face,
    draw_palette,
)
from emotion_estimators.images.color import LUMA
from emotion_estimators.images.sizes import parse_size
from emotion_estimators.labels import EMOTIONS, canonical_emotion

__all__ = ["make_faces"]

_SMALLEST = 24

# Pose, light and camera, uniform within (low, high); angles in radians, places in parts of the
# shorter side, grey levels of 255.
_VIEW: Mapping[str, tuple[float, float]] = {
    "x": (-0.03, 0.03),
    "y": (-0.03, 0.03),
    "scale": (0.47, 0.55),
    "roll": (-0.12, 0.12),
    "yaw": (-0.28, 0.28),
    "pitch": (-0.08, 0.08),
    "light_angle": (0.0, 2.0 * np.pi),
    "light": (0.0, 0.45),
    "vignette": (0.0, 0.2),
    "contrast": (0.65, 1.1),
    "brightness": (-30.0, 30.0),
    "blur": (0.0, 0.7),
    "noise": (0.0, 8.0),
}


@validate_params(
    {
        **constraints("n_samples"),
        "emotions": ["array-like", None],
        "image_size": [Interval(Integral, _SMALLEST, None, closed="left"), tuple, list],
        **constraints("color", "random_state"),
    },
    prefer_skip_nested_validation=True,
)
def make_faces(
    n_samples: int = 140,
    *,
    emotions: Sequence[str] | None = None,
    image_size: int | tuple[int, int] = 48,
    color: Literal["grey", "rgb"] = "grey",
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Draw faces that show emotions: a small image data set that needs no download.

    These are drawings, not people. They are good for trying out code, for teaching and for
    tests; an accuracy reached on them says nothing about photographs of faces.

    Every image shows another person: shape of head, eyes, brows, nose and mouth, skin and hair
    vary, and so do the turn of the head, its place and size, light, background,
    contrast, blur and noise. The emotion moves brows, lids, nose, cheeks and mouth only.

    Parameters
    ----------
    n_samples : int, default=140
        Number of images.
    emotions : sequence of str or None, default=None
        The emotions to draw, by any name that `~emotion_estimators.labels.canonical_emotion`
        knows. None draws all seven of `~emotion_estimators.labels.EMOTIONS`.
    image_size : int or (int, int), default=48
        Height and width of the images in pixels, or one int for both. At least 24.
    color : {"grey", "rgb"}, default="grey"
        Colour of the images. The grey image is the luma of the colour image.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. None neither
        reads nor changes NumPy's global random state.

    Returns
    -------
    X : ndarray of uint8, shape (n_samples, height, width) or (n_samples, height, width, 3)
        The images, 0..255; RGB where ``color="rgb"``.
    y : ndarray of str, shape (n_samples,)
        The emotion of each image, by its canonical name.

    Raises
    ------
    ValueError
        If a parameter is out of its range, or `emotions` is empty, has an unknown name, or names
        one emotion twice.

    Notes
    -----
    Classes are balanced: their counts differ by one at most, the first of `emotions` having more.

    Pixels are the same on every run with one version of NumPy and Pillow; other versions may round
    a few of them differently.

    The movements follow the Facial Action Coding System [1]_: each emotion is one of a few
    combinations of action units [2]_, of varying strength and a little uneven between left and
    right: angry 4+5+7 with 23+24 (pressed lips) or 22+23+25 (bared teeth), disgust 9+10,
    fear 1+2+4+5+20, happy 6+12, sad 1+4+15, surprise 1+2+5+25+26. Neutral faces have none. On
    real people the link between such prototypes and what somebody feels is disputed [3]_.

    How hard it is: trained on 1,400 grey images of 48 pixels and scored on others, a linear SVM
    names 0.95 to 0.96 of them right on HOG features and 0.71 to 0.75 on standardised raw pixels,
    by `random_state`; chance is 0.14.

    References
    ----------
    .. [1] P. Ekman and W. V. Friesen, "Facial Action Coding System: A Technique for the
       Measurement of Facial Movement", Consulting Psychologists Press, 1978.
    .. [2] P. Ekman, W. V. Friesen and J. C. Hager, "Facial Action Coding System: Investigator's
       Guide", A Human Face, 2002.
    .. [3] L. F. Barrett, R. Adolphs, S. Marsella, A. M. Martinez and S. D. Pollak, "Emotional
       Expressions Reconsidered", Psychological Science in the Public Interest 20(1), 2019.

    Examples
    --------
    >>> from emotion_estimators.datasets import make_faces
    >>> X, y = make_faces(10, emotions=["happy", "sad"], random_state=0)
    >>> X.shape, X.dtype
    ((10, 48, 48), dtype('uint8'))
    >>> sorted(y.tolist())[4:6]
    ['happy', 'sad']
    """
    names = _check_emotions(emotions)
    height, width = parse_size(image_size, name="make_faces", smallest=_SMALLEST)
    shape = (n_samples, height, width) if color == "grey" else (n_samples, height, width, 3)
    X = np.empty(shape, dtype=np.uint8)
    rngs = generators(random_state)
    y = np.resize(np.asarray(names), n_samples)[next(rngs).permutation(n_samples)]
    for row, rng in zip(range(n_samples), rngs, strict=False):
        X[row] = _photograph(y[row], height, width, color, rng)
    return X, y


def _check_emotions(emotions: Sequence[str] | None) -> tuple[str, ...]:
    """Return distinct emotions by their canonical names, all of them for None."""
    given = list(EMOTIONS if emotions is None else emotions)
    if not given or not all(isinstance(name, str) for name in given):
        raise ValueError(
            f"make_faces expected emotions to be names, at least one, got {given!r}. Leave "
            f"emotions=None for all of {', '.join(EMOTIONS)}."
        )
    names = tuple(canonical_emotion(name) for name in given)
    twice = ", ".join(sorted({name for name in names if names.count(name) > 1}))
    if twice:
        raise ValueError(
            f"make_faces expected each emotion once in emotions, got {twice} more than once"
        )
    return names


def _photograph(
    emotion: str, height: int, width: int, color: str, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Draw one face, light it and take its image: (height, width) or (height, width, 3)."""
    person = draw_traits(TRAITS, rng)
    palette = draw_palette(rng)
    view = draw_traits(_VIEW, rng)
    units = draw_action_units(emotion, rng)
    backdrop = rng.integers(0, 256, size=(2, 2, 3), dtype=np.uint8)

    side = min(height, width)
    times = enlargement(side)
    big = (width * times, height * times)
    pose = Pose(
        centre=((width / 2 + view["x"] * side) * times, (height / 2 + view["y"] * side) * times),
        scale=view["scale"] * side * times,
        roll=view["roll"],
        yaw=view["yaw"],
        pitch=view["pitch"],
    )
    image = Image.fromarray(backdrop).resize(big, Image.Resampling.BILINEAR)
    draw_face(person, palette, units).paint(image, pose)
    # where each pixel lies from the middle of the face, in head units
    across = ((np.arange(width) + 0.5) * times - pose.centre[0]) / pose.scale  # (width,)
    down = ((np.arange(height) + 0.5) * times - pose.centre[1])[:, None] / pose.scale
    slope = np.cos(view["light_angle"]) * across + np.sin(view["light_angle"]) * down
    light = 1.0 + view["light"] * slope - view["vignette"] * (across**2 + down**2)
    # like a camera's automatic exposure: dark skin is lit up, else its features would be lost
    exposure = (170.0 / (np.dot(palette.skin, LUMA) + 1.0)) ** 0.75
    taken = take(image, times, view, exposure * light, rng)
    return taken if color == "rgb" else np.asarray(Image.fromarray(taken).convert("L"))
