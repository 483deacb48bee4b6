"""Generated images of several drawn things each: a number in, images and an indicator out.

Needs nothing but Pillow and NumPy; stands on `_drawing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from emotion_estimators._sklearn import Interval, constraints, validate_params
from emotion_estimators.datasets._drawing.canvas import (
    Pose,
    Sketch,
    bezier,
    blend,
    draw_traits,
    enlargement,
    generators,
    take,
)
from emotion_estimators.datasets._drawing.things import THINGS, WHITE, draw_paint
from emotion_estimators.images.sizes import parse_size

__all__ = ["SCENE_LABELS", "make_scenes"]

SCENE_LABELS = tuple(THINGS)
_SMALLEST = 32

_COUNT_SHARES = (0.08, 0.22, 0.28, 0.22, 0.13, 0.07)  # of images with 0, 1, ... 5 things
_N_VEHICLES = 5
_SAME_KIND = 2.0  # a vehicle is this much likelier beside a vehicle, an instrument likewise

# Light and camera, uniform within (low, high).
_VIEW: Mapping[str, tuple[float, float]] = {
    "horizon": (0.3, 0.75),
    "light_x": (-0.25, 0.25),
    "light_y": (-0.25, 0.25),
    "contrast": (0.75, 1.1),
    "brightness": (-20.0, 20.0),
    "blur": (0.0, 0.6),
    "noise": (0.0, 7.0),
}


@validate_params(
    {
        **constraints("n_samples"),
        "image_size": [Interval(Integral, _SMALLEST, None, closed="left"), tuple, list],
        **constraints("random_state"),
    },
    prefer_skip_nested_validation=True,
)
def make_scenes(
    n_samples: int = 100,
    *,
    image_size: int | tuple[int, int] = 64,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw images that show zero to five of ten kinds of things: multi-label data, offline.

    These are drawings. They are good for trying out code, for teaching and for tests; a score
    reached on them says nothing about photographs.

    The things (``SCENE_LABELS``) differ from image to image in colour, proportions, size, place
    and slope, look to the left or to the right, and hide parts of one another. Behind them lie
    hills, houses or nothing but light, whatever the things are.

    Parameters
    ----------
    n_samples : int, default=100
        Number of images.
    image_size : int or (int, int), default=64
        Height and width of the images in pixels, or one int for both. At least 32.
    random_state : int, RandomState instance or None, default=None
        Seed of what is drawn at random; an int gives the same result each time. None neither
        reads nor changes NumPy's global random state.

    Returns
    -------
    X : ndarray of uint8, shape (n_samples, height, width, 3)
        The images, RGB, 0..255.
    Y : ndarray of int64, shape (n_samples, 10)
        Whether each of ``SCENE_LABELS`` is in the image, 0 or 1, in that order.

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    See Also
    --------
    load_multilabel_csv : Images of your own, with a table of their labels.

    Notes
    -----
    Labels are unbalanced: of many images 0.42 show a cycle and 0.10 an ektara, the rarest.
    Vehicles keep company with vehicles, instruments with instruments; 0.08 of the images show
    nothing. No image shows a kind twice.

    How hard it is: `~emotion_estimators.LightningMultiLabelClassifier`, trained for 26 epochs on
    2,000 images of 64 pixels, reached a macro average precision of 0.972 on 500 others, and one
    classifier for each label on HOG features 0.52; chance, the share of positives, is 0.23.

    Pixels are the same on every run with one version of NumPy and Pillow; other versions may round
    a few of them differently.

    Examples
    --------
    >>> from emotion_estimators.datasets import make_scenes
    >>> X, Y = make_scenes(10, random_state=0)
    >>> X.shape, X.dtype
    ((10, 64, 64, 3), dtype('uint8'))
    >>> Y.shape, int(Y.sum(axis=1).max()) <= 5
    ((10, 10), True)
    """
    height, width = parse_size(image_size, name="make_scenes", smallest=_SMALLEST)
    X = np.empty((n_samples, height, width, 3), dtype=np.uint8)
    Y = np.zeros((n_samples, len(SCENE_LABELS)), dtype=np.int64)
    for row, rng in zip(range(n_samples), generators(random_state), strict=False):
        kinds = _draw_kinds(rng)
        X[row] = _photograph(kinds, height, width, rng)
        Y[row, kinds] = 1
    return X, Y


def _draw_kinds(rng: np.random.Generator) -> list[int]:
    """Choose what an image shows, as columns of Y, in the order in which they are painted."""
    weights = np.array([THINGS[name][1] for name in SCENE_LABELS])
    kinds: list[int] = []
    for _ in range(int(rng.choice(len(_COUNT_SHARES), p=_COUNT_SHARES))):
        kind = int(rng.choice(len(weights), p=weights / weights.sum()))
        if not kinds:
            company = slice(_N_VEHICLES) if kind < _N_VEHICLES else slice(_N_VEHICLES, None)
            weights[company] *= _SAME_KIND
        weights[kind] = 0.0
        kinds.append(kind)
    return rng.permutation(kinds).tolist() if kinds else []


def _photograph(
    kinds: list[int], height: int, width: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Paint one scene, light it and take its image: (height, width, 3)."""
    view = draw_traits(_VIEW, rng)
    times = enlargement(min(height, width))
    image = _backdrop(height * times, width * times, view["horizon"], rng)
    poses = _place(kinds, height * times, width * times, rng)
    for kind, pose in zip(kinds, poses, strict=True):
        sketch = Sketch(relief=0.0)
        THINGS[SCENE_LABELS[kind]][0](rng, sketch)
        sketch.paint(image, pose)
    across = np.linspace(-1.0, 1.0, width)  # (width,)
    down = np.linspace(-1.0, 1.0, height)[:, None]  # (height, 1)
    light = 1.0 + view["light_x"] * across + view["light_y"] * down  # (height, width)
    return take(image, times, view, light, rng)


def _place(kinds: list[int], height: int, width: int, rng: np.random.Generator) -> list[Pose]:
    """Choose place, size, slope and side for each thing, so that none hides another whole."""
    poses: list[Pose] = []
    # more things in an image are smaller ones
    low, high = np.array((0.25, 0.36)) * min(height, width) / max(1, len(kinds)) ** 0.2
    for kind in kinds:
        turn = THINGS[SCENE_LABELS[kind]][2]
        scale, roll, narrow = rng.uniform((low, -turn, -0.5), (high, turn, 0.5)).tolist()
        places = rng.uniform(0.8 * scale, (width - 0.8 * scale, height - 0.8 * scale), size=(6, 2))
        # from each place to the nearest thing, 1 where circles around both would touch
        gaps = [np.hypot(*(places - p.centre).T) / (scale + p.scale) for p in poses] or [np.ones(6)]
        x, y = places[np.min(gaps, axis=0).argmax()].tolist()
        yaw = narrow + np.pi * rng.integers(2)
        poses.append(Pose(centre=(x, y), scale=scale, roll=roll, yaw=yaw))
    return poses


def _backdrop(height: int, width: int, horizon: float, rng: np.random.Generator) -> Image.Image:
    """Paint what lies behind: light alone, sky over ground with hills or houses."""
    corners = rng.integers(0, 256, size=(2, 2, 3), dtype=np.uint8)
    image = Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR)
    style = rng.random()
    if style < 0.25:
        return image
    draw = ImageDraw.Draw(image)
    line = horizon * height
    if style < 0.6:
        for _ in range(int(rng.integers(1, 4))):
            left, right, top = (rng.uniform(-0.3, 1.3, size=3) * (width, width, line)).tolist()
            hill = bezier((left, line), (left, top), (right, top), (right, line), n=15)
            draw.polygon(hill.ravel().tolist(), fill=blend(draw_paint(rng), WHITE, 0.3))
    else:
        for left in np.arange(rng.uniform(-0.2, 0.1), 1.0, 0.24).tolist():
            top, wide = rng.uniform((0.1, 0.1), (0.9, 0.24)).tolist()
            house = (left * width, top * line, (left + wide) * width, line)
            draw.rectangle(house, fill=blend(draw_paint(rng), WHITE, 0.3))
    draw.rectangle((0, line, width, height), fill=blend(draw_paint(rng), WHITE, 0.2))
    return image
