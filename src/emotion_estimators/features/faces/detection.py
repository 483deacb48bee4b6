"""Detectors by name, file or callable, and the sizes at which a photograph is looked at.

Imports `networks`, `weights` and `images`, scikit-image inside a function; for `cropper`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_estimators._optional import import_optional
from emotion_estimators.features.faces.faces import Faces
from emotion_estimators.images import to_rgb
from emotion_estimators.networks.onnx.reader import data_files
from emotion_estimators.networks.yunet import YuNet, keep_best, open_yunet
from emotion_estimators.weights import fetch_weights, file_sha256
from emotion_estimators.weights.files import files_sha256

__all__ = ["Detector", "find_faces", "open_detector"]

_MAX_OVERLAP = 0.3  # of two faces; as in OpenCV
_LARGEST_FACE = 480.0  # px up to which YuNet's boxes are good
_COARSER = 4  # times smaller is the next image in which larger faces are looked for
_WHOLE = 640  # px of an image whose faces, all but the very largest, YuNet finds at once
# Of 2,279 faces of 384 to 1,400 px that the smaller of two images showed, sharp and blurred, each
# was a candidate of 0.166 or more and of this side in the larger one, too. Where there is none of a
# seventh of the score that is asked for, nobody looks at the smaller.
_HINT = 1 / 7
_HINT_SIDE = 0.4 * _LARGEST_FACE
_SCAN = 1 << 12  # values looked at together for a plain border
_LEAST_SHRINKING = 0.8  # times the size: less takes longer than it saves YuNet
_CASCADE_LEAST = 24  # px, the window that the cascade was trained with
_CASCADE_SHARE = 16  # of the longer side is the least face: smaller ones take seconds to find


@dataclass(frozen=True)
class Detector:
    """A function from RGB pixels, uint8 (height, width, 3), to faces, and what is known of it."""

    find: Callable[[NDArray[np.uint8]], Faces]
    in_threads: bool
    trims: bool = True
    has_landmarks: bool = True
    has_scores: bool = True


def open_detector(owner: str, detector: Any, *, min_score: float) -> Detector:
    """Return the detector that a parameter names.

    Raises ValueError, FileNotFoundError if there is no such detector or file;
    MissingDependencyError if the cascade is asked for without scikit-image; WeightsError if the
    weights cannot be read.
    """
    if callable(detector):
        return Detector(
            lambda image: _call(owner, detector, image, min_score), in_threads=False, trims=False
        )
    name = os.fspath(detector)
    if name == "cascade":
        cascade = _open_cascade(owner)
        return Detector(
            lambda image: _search(cascade, image),
            in_threads=False,
            has_landmarks=False,
            has_scores=False,
        )
    path = _find_yunet(owner, name)
    parts = (path, *data_files(path, file_sha256(path)))
    network = open_yunet(path, files_sha256(parts))
    return Detector(lambda image: _run(network, image, min_score), in_threads=True)


def find_faces(
    detector: Detector, pixels: NDArray[Any], max_size: int | None, size: tuple[int, int]
) -> Faces:
    """Find faces in a photograph, shrunk where it is too large.

    `pixels` (height, width) or (height, width, 3).
    """
    if pixels.dtype != np.uint8:
        pixels = (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)
    y, x = _content(pixels) if detector.trims else (slice(0, None), slice(0, None))
    content = pixels[y, x]
    full = size[1] / pixels.shape[1], size[0] / pixels.shape[0]  # 1 unless it is a draft
    longest = max(content.shape[0] * full[1], content.shape[1] * full[0])
    is_large = max_size is not None and longest * _LEAST_SHRINKING > max_size
    image = _shrink(content, max_size / max(content.shape[:2])) if is_large else content
    found = detector.find(image if image.ndim == 3 else to_rgb(image))
    scale = tuple(full[i] * content.shape[1 - i] / image.shape[1 - i] for i in (0, 1))
    return found.moved((scale[0], scale[1]), (x.start * full[0], y.start * full[1]))


def _content(pixels: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return rows and columns without the plain borders of a photograph.

    YuNet's boxes move by some pixels where its grid of 32 pixels starts elsewhere. Without the
    borders, a photograph gives the same boxes whatever plain canvas it lies on.
    """
    bounds = []
    for image in (pixels, pixels.swapaxes(0, 1)):
        low = min(_count_plain(image, pixels[0, 0]), len(image) - 1)
        high = len(image) - min(_count_plain(image[::-1], pixels[-1, -1]), len(image) - low - 1)
        bounds.append(slice(low, high))
    return bounds[0], bounds[1]


def _count_plain(image: NDArray[np.uint8], value: NDArray[np.uint8]) -> int:
    """Return how many lines at the beginning of an image, (n, m[, 3]), have this value only."""
    step = max(1, _SCAN // image[0].size)  # lines looked at together: there may be millions
    for start in range(0, len(image), step):
        part = image[start : start + step] == value
        is_plain = part.all(axis=tuple(range(1, part.ndim)))
        if not is_plain.all():
            return start + int(is_plain.argmin())
    return len(image)


def _shrink(image: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Return a smaller image; Pillow's averages take a tenth of the time of exact ones."""
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(small)


def _find_yunet(owner: str, name: str) -> Path:
    if name == "yunet":
        return fetch_weights("yunet")  # comes with the package
    path = Path(name)
    if path.suffix.lower() != ".onnx":
        raise ValueError(
            f"{owner} expected detector to be 'yunet', 'cascade', the path of an .onnx file of "
            f"YuNet or a callable, got {name!r}."
        )
    if not path.is_file():
        raise FileNotFoundError(f"{owner} got detector={name!r}, and there is no such file.")
    return path


def _run(network: YuNet, image: NDArray[np.uint8], min_score: float) -> Faces:
    """Find faces with YuNet, those that are too large for it in smaller versions of the image."""
    parts = []
    scale = 1
    while True:
        longest = max(image.shape[:2])
        is_last = longest <= _WHOLE
        found = network.candidates(image, min_score * (1 if is_last else _HINT))
        side = found[:, 2:4].max(axis=1)
        is_last |= longest <= 2 * _WHOLE and not (side >= _HINT_SIDE).any()
        # what the two images both find overlaps, and is one face in the end
        low = 0 if scale == 1 else 0.8 * _LARGEST_FACE / _COARSER
        is_good = (found[:, 14] >= min_score) & (side >= low) & (is_last | (side <= _LARGEST_FACE))
        faces = found[is_good]
        faces[:, :14] *= scale
        parts.append(faces)
        if is_last:
            return Faces.from_rows(keep_best(np.concatenate(parts), _MAX_OVERLAP))
        image = np.asarray(Image.fromarray(image).reduce(_COARSER))  # means of squares: quick
        scale *= _COARSER


@lru_cache(maxsize=1)
def _open_cascade(owner: str) -> Any:
    feature = import_optional("skimage.feature", extra="cascade", needed_by=owner)
    data = import_optional("skimage.data", extra="cascade", needed_by=owner)
    return feature.Cascade(data.lbp_frontal_face_cascade_filename())


def _search(cascade: Any, image: NDArray[np.uint8]) -> Faces:
    """Find faces with scikit-image's cascade."""
    shorter = min(image.shape[:2])
    least = max(_CASCADE_LEAST, max(image.shape[:2]) // _CASCADE_SHARE)
    if shorter <= least:
        return Faces.from_rows(None)
    found = cascade.detect_multi_scale(
        np.ascontiguousarray(image),
        scale_factor=1.2,
        step_ratio=1,
        min_size=(least, least),
        max_size=(shorter, shorter),
    )
    rows = sorted((face["c"], face["r"], face["width"], face["height"]) for face in found)
    return Faces.from_rows(rows)


def _call(owner: str, function: Any, image: NDArray[np.uint8], min_score: float) -> Faces:
    """Find faces with a user's function."""
    found = function(image)
    try:
        faces = found if isinstance(found, Faces) else Faces.from_rows(found)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{owner} cannot use what detector={function!r} returned: {error}"
        ) from error
    good = ~(faces.scores < min_score)  # NaN, of detectors without scores, passes
    points = None if faces.landmarks is None else faces.landmarks[good]
    return Faces(faces.boxes[good], points, faces.scores[good])
