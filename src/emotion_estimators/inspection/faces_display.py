"""A photograph and its rows of a table in, a figure with boxes and labels out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.analysis.rows import iterate_faces
from emotion_estimators.inspection._axes import open_axes
from emotion_estimators.inspection.draw_faces import draw_faces

__all__ = ["FacesDisplay"]


class FacesDisplay:
    """A photograph with a box and a label for each face.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    drawn : uint8 array of shape (height, width, 3)
        The photograph as `draw_faces` returns it.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by :meth:`plot`.
    ax_ : matplotlib Axes
        Set by :meth:`plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
    >>> from emotion_estimators.inspection import FacesDisplay
    >>> cropper = FaceCropper(detector=lambda photo: [[10, 10, 20, 20]])
    >>> classifier = PretrainedEmotionClassifier()
    >>> display = FacesDisplay.from_estimator(
    ...     classifier, np.zeros((60, 80, 3), np.uint8), cropper=cropper
    ... )
    >>> display.drawn.shape
    (60, 80, 3)
    """

    def __init__(self, *, drawn: NDArray[np.uint8]) -> None:
        self.drawn = drawn

    @classmethod
    def from_estimator(
        cls, estimator: Any, image: Any, *, cropper: Any = None, ax: Any = None
    ) -> FacesDisplay:
        """Find and classify the faces of a photograph, and draw them.

        Parameters
        ----------
        estimator : fitted classifier
            What is asked. Has ``predict_proba`` and ``classes_``, as for
            `~emotion_estimators.analysis.iterate_faces`.
        image : path, bytes, PIL image or ndarray
            One image. It is the photograph.
        cropper : FaceCropper or None, default=None
            What finds and cuts the faces; its `select` and `on_no_face` do not matter here. As
            for `~emotion_estimators.analysis.iterate_faces`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : FacesDisplay
        """
        rows = [
            row
            for rows in iterate_faces([image], cropper=cropper, classifier=estimator)
            for row in rows
        ]
        return cls.from_predictions(image, rows, ax=ax)

    @classmethod
    def from_predictions(cls, image: Any, table: Any, *, ax: Any = None) -> FacesDisplay:
        """Draw faces that were found before.

        Parameters
        ----------
        image : path, bytes, PIL image or ndarray
            One image. It is the photograph.
        table : pandas.DataFrame or list of dict
            The table. Rows of the photograph, as for `draw_faces`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : FacesDisplay
        """
        return cls(drawn=draw_faces(image, table)).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> FacesDisplay:
        """Show the photograph.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : FacesDisplay
            This object, with `figure_` and `ax_`.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        ax = open_axes(type(self).__name__, ax)
        ax.imshow(self.drawn)
        ax.set_axis_off()
        self.figure_, self.ax_ = ax.figure, ax
        return self
