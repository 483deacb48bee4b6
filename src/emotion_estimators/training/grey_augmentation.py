"""Changes of grey images: random ones to train on, the same ones for every prediction.

Drawn for a whole batch at once in NumPy alone, so that a seed gives the same images whatever
trains on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.networks.onnx.views import small_shifts

__all__ = ["augment_grey", "scaled", "shifted_views"]

Images = NDArray[np.float32]

# At strength 1; uniform in +- unless said otherwise.
_ROTATION = 0.26  # radians
_SCALE = 0.2  # log of the zoom
_STRETCH = 0.1  # log of the ratio of the sides
_SHEAR = 0.1
_SHIFT = 0.12  # in half image widths
_BENDING = 0.05  # standard deviation of the shifts of a 4 x 4 grid, in half image widths
_GAMMA = 0.7  # log of the exponent
_CONTRAST = 0.5  # log of the factor
_BRIGHTNESS = 0.2  # on the scale 0..1
_SHARPENING = (-1.0, 3.0)  # times the difference to a blurred copy; -1 is that copy
_BLUR = (0.7, 2.5)  # standard deviation in pixels of the copy
_NOISE = 0.08  # largest standard deviation
# Probabilities, the same at any strength
_MIRRORED = 0.5
_SHARPENED = 0.5
_INVERTED = 0.3
_ERASED = 0.5
_ERASED_SIDES = (1 / 8, 1 / 3)  # sides of the covered box as shares of the image's

_GRID = 4
_RADIUS = 3  # pixels of the blur on either side


def scaled(pixels: NDArray[Any]) -> Images:
    """Return pixels as float32; uint8 is divided by 255."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    return pixels.astype(np.float32)


def shifted_views(images: Images) -> Images:
    """Return each image (n, h, w), moved four ways too, and the mirror images, (n, 10, h, w).

    The border is repeated outwards.
    """
    rows, columns = (np.arange(size) for size in images.shape[1:])
    moved = [
        images[:, np.clip(rows + dy, 0, rows[-1])][:, :, np.clip(columns + dx, 0, columns[-1])]
        for dy, dx in [(0, 0), *small_shifts((len(rows), len(columns)))]
    ]
    views = np.stack(moved, axis=1)  # (n, 5, h, w)
    return np.concatenate([views, views[..., ::-1]], axis=1)


def augment_grey(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Mirror, warp, sharpen or blur, relight, invert and partly cover each image by chance.

    `images` (n, height, width) float32; returns (n, height, width) float32.
    """
    if strength == 0:
        return images
    images = _sharpen(_warp(images, strength, rng), strength, rng)
    return _cover(_relight(images, strength, rng), rng)


def _uniform(rng: np.random.Generator, n: int, low: float, high: float) -> Images:
    return rng.uniform(low, high, (n, 1, 1)).astype(np.float32)  # (n, 1, 1)


def _warp(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Mirror, turn, zoom, stretch, shear, shift and bend; the border is repeated outwards."""
    n, height, width = images.shape

    def spread(limit: float) -> Images:
        return _uniform(rng, n, -limit * strength, limit * strength)

    angle, zoom, stretch = spread(_ROTATION), np.exp(spread(_SCALE)), np.exp(spread(_STRETCH))
    mirror = np.where(rng.random((n, 1, 1)) < _MIRRORED, -1, 1).astype(np.float32)
    cos, sin = np.cos(angle) * zoom, np.sin(angle) * zoom
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, np.newaxis]  # (h, 1)
    x = np.linspace(-1, 1, width, dtype=np.float32)  # (w,)
    bent_x, bent_y = _bend(n, height, width, strength, rng)
    across = cos * mirror * stretch * x + (spread(_SHEAR) - sin) * y + spread(_SHIFT) + bent_x
    down = sin * mirror * x + cos / stretch * y + spread(_SHIFT) + bent_y  # (n, h, w)
    return _sample(images, (down + 1) * ((height - 1) / 2), (across + 1) * ((width - 1) / 2))


def _bend(
    n: int, height: int, width: int, strength: float, rng: np.random.Generator
) -> tuple[Images, Images]:
    """Return smooth random shifts of every pixel, (n, h, w) for either direction."""
    grid = rng.standard_normal((2, n, _GRID, _GRID)).astype(np.float32) * (_BENDING * strength)
    rows, columns = _interpolation(height), _interpolation(width)
    bent: Images = rows @ grid @ columns.T  # (2, n, h, w)
    return bent[0], bent[1]


def _interpolation(size: int) -> Images:
    """Return the matrix (size, grid) that interpolates a grid linearly along one axis."""
    place = np.linspace(0, _GRID - 1, size)[:, np.newaxis]
    shares: Images = np.maximum(0, 1 - np.abs(place - np.arange(_GRID))).astype(np.float32)
    return shares


def _sample(images: Images, y: Images, x: Images) -> Images:
    """Return the images at fractional places, interpolated linearly."""
    n, height, width = images.shape
    y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    top = np.minimum(y.astype(np.int32), max(height - 2, 0))
    left = np.minimum(x.astype(np.int32), max(width - 2, 0))
    y, x = y - top, x - left  # shares of the lower and the right neighbour
    below, right = (width if height > 1 else 0), (1 if width > 1 else 0)
    place = (np.arange(n)[:, np.newaxis, np.newaxis] * height + top) * width + left
    pixels = np.ascontiguousarray(images).reshape(-1)
    upper = pixels[place] * (1 - x) + pixels[place + right] * x
    lower = pixels[place + below] * (1 - x) + pixels[place + below + right] * x
    result: Images = upper * (1 - y) + lower * y
    return result


def _sharpen(images: Images, strength: float, rng: np.random.Generator) -> Images:
    n = len(images)
    blurred = _blur(images, _uniform(rng, n, *_BLUR))
    low, high = _SHARPENING
    amount = np.maximum(_uniform(rng, n, low * strength, high * strength), -1)
    amount = np.where(rng.random((n, 1, 1)) < _SHARPENED, amount, 0)
    sharpened: Images = np.clip(images + amount * (images - blurred), 0, 1).astype(np.float32)
    return sharpened


def _blur(images: Images, sigma: Images) -> Images:
    """Blur each image with a Gaussian of its own, cut off after `_RADIUS` pixels."""
    steps = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float32)
    kernel = np.exp(-(steps**2) / (2 * sigma**2))  # (n, 1, 2 r + 1)
    kernel /= kernel.sum(axis=2, keepdims=True)
    for axis in (1, 2):
        size = images.shape[axis]
        places = np.clip(np.arange(-_RADIUS, size + _RADIUS), 0, size - 1)
        padded = np.take(images, places, axis=axis)
        images = np.sum(
            [
                kernel[:, :, [step]] * np.take(padded, range(step, step + size), axis=axis)
                for step in range(len(steps))
            ],
            axis=0,
        )
    return images


def _relight(images: Images, strength: float, rng: np.random.Generator) -> Images:
    """Change the curve of greys, contrast and brightness, invert, add noise."""
    n = len(images)

    def spread(limit: float) -> Images:
        return _uniform(rng, n, -limit * strength, limit * strength)

    images = images ** np.exp(spread(_GAMMA))
    images = np.where(rng.random((n, 1, 1)) < _INVERTED, 1 - images, images)
    mean = images.mean(axis=(1, 2), keepdims=True)
    images = mean + (images - mean) * np.exp(spread(_CONTRAST)) + spread(_BRIGHTNESS)
    noise = rng.standard_normal(images.shape, dtype=np.float32)
    return images + noise * _uniform(rng, n, 0, _NOISE * strength)


def _cover(images: Images, rng: np.random.Generator) -> Images:
    """Cover a box of some images with one grey."""
    n, height, width = images.shape
    low, high = _ERASED_SIDES
    inside = np.ones((n, 1, 1), dtype=bool)
    for axis, size in ((1, height), (2, width)):
        side = _uniform(rng, n, low, high) * size
        start = _uniform(rng, n, 0, 1) * (size - side)
        place = np.arange(size).reshape((1, -1, 1) if axis == 1 else (1, 1, -1))
        inside = inside & (place >= start) & (place < start + side)
    inside &= rng.random((n, 1, 1)) < _ERASED
    return np.where(inside, _uniform(rng, n, 0, 1), images).astype(np.float32)
