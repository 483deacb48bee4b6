"""Photographs in, a pandas DataFrame with a row for each face out."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from itertools import chain
from typing import Any

from emotion_estimators._optional import import_optional
from emotion_estimators._progress import progress_bar
from emotion_estimators.analysis.columns import table_columns
from emotion_estimators.analysis.rows import open_finder
from emotion_estimators.validation import iterate_images

__all__ = ["analyze_faces", "make_table"]

_TEXTS = {"image", "status", "problem", "emotion", "smoothed"}
_COUNTS = {"face", "frame", "track"}  # which a row need not have


def analyze_faces(
    X: Iterable[Any], *, cropper: Any = None, classifier: Any = None, verbose: int = 0
) -> Any:
    """Find all faces in photographs and say what emotion each shows.

    Parameters
    ----------
    X : iterable
        Paths, encoded bytes, PIL images or arrays ``(height, width)`` or ``(height, width, 3)``
        of any sizes, uint8 in 0..255 or float in 0..1. A list, array, Series or generator.
    cropper : FaceCropper or None, default=None
        What finds and cuts the faces; its `select` and `on_no_face` do not matter here. None is
        ``FaceCropper(image_size=96, jpeg_draft=True)``.
    classifier : fitted classifier or None, default=None
        What takes the crops and has ``predict_proba`` and ``classes_``. None is
        ``PretrainedEmotionClassifier()``.
    verbose : int, default=0
        Above 0, show progress bars.

    Returns
    -------
    table : pandas.DataFrame
        One row for each face, and one for each photograph that has none or cannot be read, in
        the order of X; its columns are those of
        `~emotion_estimators.analysis.table_columns`. ``face`` is of type Int64.

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
    MissingDependencyError
        If pandas is not installed.

    See Also
    --------
    iterate_faces : The rows of one photograph after the other, without pandas.
    emotion_estimators.inspection.draw_faces : The photograph with the faces marked.

    Notes
    -----
    One photograph that cannot be read stops nothing: its row says why. Photographs are read a
    few at a time, so that only the table grows with their number.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper
    >>> from emotion_estimators.analysis import analyze_faces
    >>> photo = np.zeros((60, 80, 3), np.uint8)
    >>> cropper = FaceCropper(detector=lambda photo: [[10, 10, 20, 20]])
    >>> table = analyze_faces([photo, "missing.jpg"], cropper=cropper)
    >>> table["status"].tolist()
    ['face', 'unreadable']
    """
    owner = "analyze_faces"
    pandas = import_optional("pandas", extra="table", needed_by=owner)
    items = iterate_images(X, owner)
    finder = open_finder(owner, cropper, classifier)
    total = len(X) if isinstance(X, Sized) else None
    settings = {"total": total, "unit": "image", "desc": owner}
    seen = progress_bar(finder.look(items), is_shown=verbose, **settings)
    rows = list(chain.from_iterable(rows for rows, _ in seen))
    return make_table(pandas, rows, table_columns(finder.classes))


def make_table(pandas: Any, rows: list[dict[str, Any]], columns: list[str]) -> Any:
    """Return rows of faces as a DataFrame, of the same types whatever they hold."""
    table = pandas.DataFrame(rows, columns=columns)
    # without a single face some columns would hold objects, and no tables could be joined
    text = pandas.Series(["text"]).dtype  # str since pandas 3
    types = dict.fromkeys(columns, "float64") | {"row": "int64"}
    types |= dict.fromkeys(_TEXTS & set(columns), text)
    types |= dict.fromkeys(_COUNTS & set(columns), "Int64")
    return table.astype(types)
