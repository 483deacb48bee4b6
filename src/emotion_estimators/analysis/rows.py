"""Photographs in, rows of a table out, a few photographs at a time; imports no pandas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from emotion_estimators.analysis.columns import table_columns
from emotion_estimators.classifiers.pretrained_emotion_classifier import (
    PretrainedEmotionClassifier,
    open_classes,
)
from emotion_estimators.exceptions import InvalidImagesError, counted
from emotion_estimators.features.faces.cropper import FaceCropper
from emotion_estimators.features.faces.faces import Faces
from emotion_estimators.features.faces.geometry import choose_face
from emotion_estimators.features.faces.prepared import PreparedCropper
from emotion_estimators.images.items import describe_problem, item_path
from emotion_estimators.images.threads import map_in_threads, take
from emotion_estimators.validation import iterate_images

__all__ = [
    "FaceFinder",
    "iterate_faces",
    "iterate_with_crops",
    "look_at",
    "open_finder",
    "standard_cropper",
]

_GROUP = 8  # photographs for each thread whose faces are classified together
_CROP_SIZE = 96  # twice the embedded model's images, which are then averages of four pixels
_NAN = float("nan")

_Found: TypeAlias = tuple[Faces, NDArray[Any]] | InvalidImagesError


def iterate_faces(
    X: Iterable[Any], *, cropper: Any = None, classifier: Any = None
) -> Iterator[list[dict[str, Any]]]:
    """Find all faces in photographs and classify them, as the photographs come.

    For more photographs than a table can hold. For a table of them all see `analyze_faces`, for
    videos `iterate_video`, which also follows faces.

    Parameters
    ----------
    X : iterable
        Paths, encoded bytes, PIL images or arrays ``(height, width)`` or ``(height, width, 3)``
        of any sizes, uint8 in 0..255 or float in 0..1. May be endless.
    cropper : FaceCropper or None, default=None
        What finds and cuts the faces; its `select` and `on_no_face` do not matter here. None is
        ``FaceCropper(image_size=96, jpeg_draft=True)``.
    classifier : fitted classifier or None, default=None
        What takes the crops and has ``predict_proba`` and ``classes_``. None is
        ``PretrainedEmotionClassifier()``.

    Returns
    -------
    rows : iterator of list of dict
        For each photograph, in order, one row for each of its faces, and one if it has none or
        cannot be read; with the keys of `table_columns`.

    Raises
    ------
    InvalidImagesError
        If X is one photograph, a table, or an array of another shape.
    TypeError
        If X cannot be iterated over, the cropper is another object, or the classifier gives no
        probabilities.
    ValueError
        If a parameter of `cropper` cannot be used.
    NotFittedError
        If the classifier must be fitted first.

    Notes
    -----
    A few photographs for each thread are taken from X at a time, so that memory does not grow
    with their number.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper
    >>> from emotion_estimators.analysis import iterate_faces
    >>> frames = (np.zeros((60, 80, 3), np.uint8) for _ in range(1000))
    >>> cropper = FaceCropper(detector=lambda frame: None)
    >>> rows = next(iterate_faces(frames, cropper=cropper))
    >>> rows[0]["status"], rows[0]["face"]
    ('no face', None)
    """
    return (rows for rows, _ in iterate_with_crops("iterate_faces", X, cropper, classifier))


def iterate_with_crops(
    owner: str, X: Iterable[Any], cropper: Any, classifier: Any, *, only_largest: bool = False
) -> Iterator[tuple[list[dict[str, Any]], NDArray[Any]]]:
    """Do what `iterate_faces` does, maybe for the largest face of each photograph only.

    returns, for each photograph, its rows and the crops of its faces, (n_faces, height, width[,
    3]).
    """
    items = iterate_images(X, owner)
    return open_finder(owner, cropper, classifier).look(items, only_largest=only_largest)


def open_finder(owner: str, cropper: Any, classifier: Any) -> FaceFinder:
    """Return what looks at photographs; raise what `iterate_faces` does of its parameters."""
    if cropper is None:
        cropper = standard_cropper()
    if not isinstance(cropper, FaceCropper):
        raise TypeError(
            f"{owner} expected cropper to be a FaceCropper, got {type(cropper).__name__}. Pass "
            "FaceCropper(detector=...) with a function of your own that finds faces."
        )
    if classifier is None:
        classifier = PretrainedEmotionClassifier()
    if not hasattr(classifier, "predict_proba"):
        raise TypeError(
            f"{owner} expected a classifier that has predict_proba, got "
            f"{type(classifier).__name__}."
        )
    if hasattr(classifier, "fit"):
        check_is_fitted(classifier)
    classes = [str(name) for name in open_classes(classifier)]
    return FaceFinder(cropper.prepare(), classifier, classes)


@dataclass(frozen=True)
class FaceFinder:
    """What finds, cuts and classifies the faces of photographs, checked and open."""

    prepared: PreparedCropper
    classifier: Any
    classes: list[str]

    @property
    def group_size(self) -> int:
        """How many photographs are looked at together."""
        return _GROUP * self.prepared.n_threads

    def look(
        self, items: Iterable[Any], *, only_largest: bool = False
    ) -> Iterator[tuple[list[dict[str, Any]], NDArray[Any]]]:
        """Yield the rows of each photograph and the crops of its faces, as `iterate_with_crops`."""
        seen = look_at(items, self.prepared, only_largest=only_largest)
        row = 0
        failure = None
        while failure is None:
            group, failure = take(seen, self.group_size)
            if not group:
                break
            crops = [found[1] for _, found in group if not isinstance(found, InvalidImagesError)]
            probabilities = iter(_classify(self.classifier, crops, len(self.classes)))
            for name, found in group:
                no_crops = np.empty((0, 0, 0), np.uint8)
                of_photo = no_crops if isinstance(found, InvalidImagesError) else found[1]
                yield _rows(row, name, found, probabilities, self.classes), of_photo
                row += 1
        if failure is not None:
            raise failure

    def unreadable(self, problem: str) -> list[dict[str, Any]]:
        """Return the row of what cannot be read."""
        return _rows(0, None, InvalidImagesError(problem), iter(()), self.classes)


def look_at(
    items: Iterable[Any], prepared: PreparedCropper, *, only_largest: bool = False
) -> Iterator[tuple[Any, _Found]]:
    """Yield the path of each photograph, and its faces and their crops or why it has none."""

    def look(item: Any) -> tuple[Any, _Found]:
        name = item_path(item)
        problem = describe_problem(item)
        if problem:
            return name, InvalidImagesError(problem)
        try:
            faces, crops = prepared.crops(item)
        except InvalidImagesError as error:
            return name, error
        if only_largest and len(faces) > 1:
            one = [choose_face(faces, "largest", (0, 0))]
            points = None if faces.landmarks is None else faces.landmarks[one]
            return name, (Faces(faces.boxes[one], points, faces.scores[one]), crops[one])
        return name, (faces, crops)

    return map_in_threads(look, items, n_threads=prepared.n_threads)


def standard_cropper(**parameters: Any) -> FaceCropper:
    """Return what finds and cuts the faces where nothing else is asked for."""
    return FaceCropper(image_size=_CROP_SIZE, jpeg_draft=True, **parameters)


def _classify(
    classifier: Any, crops: list[NDArray[Any]], n_classes: int
) -> list[NDArray[np.float64]]:
    """Return the probabilities of all crops, in order, however many types they have."""
    several = [part for part in crops if len(part)]
    if several and len({(part.dtype, part.ndim) for part in several}) == 1:
        several = [np.concatenate(several)]
    return [row for part in several for row in _ask(classifier, part, n_classes)]


def _ask(classifier: Any, faces: NDArray[Any], n_classes: int) -> NDArray[np.float64]:
    """Return probabilities, (n_faces, n_classes); raise ValueError if a classifier gives others."""
    given = np.asarray(classifier.predict_proba(faces), np.float64)
    if given.shape != (len(faces), n_classes) or not np.isfinite(given).all():
        numbers = "numbers that are not finite" if np.isinf(given).any() else "NaN"
        got = numbers if given.shape == (len(faces), n_classes) else f"shape {given.shape}"
        raise ValueError(
            f"Expected predict_proba of {type(classifier).__name__} to give {n_classes} "
            f"probabilities for each of {counted(len(faces), 'face')}, got {got}."
        )
    return given


def _rows(
    row: int,
    name: str | None,
    found: _Found,
    probabilities: Iterator[NDArray[np.float64]],
    classes: list[str],
) -> list[dict[str, Any]]:
    """Return the rows of one photograph; takes as many probabilities as it has faces."""
    columns = table_columns(classes)
    nothing = [None, *[_NAN] * 5, None, _NAN, *[_NAN] * len(classes)]
    if isinstance(found, InvalidImagesError):
        values = [row, name, "unreadable", str(found), *nothing]
        return [dict(zip(columns, values, strict=True))]
    faces, _ = found
    if len(faces) == 0:
        return [dict(zip(columns, [row, name, "no face", "", *nothing], strict=True))]
    rows = []
    for i in range(len(faces)):
        of_face = next(probabilities).tolist()
        emotion = classes[int(np.argmax(of_face))]
        values = [row, name, "face", "", i, *faces.boxes[i].tolist(), float(faces.scores[i])]
        values += [emotion, max(of_face), *of_face]
        rows.append(dict(zip(columns, values, strict=True)))
    return rows
