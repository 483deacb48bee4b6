"""A photograph and its rows of a table in, a figure with boxes and labels out."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._optional import import_optional
from emotion_estimators.analysis.table import analyze_faces
from emotion_estimators.inspection.draw_faces import draw_faces

__all__ = ["FacesDisplay"]


class FacesDisplay:
    """A photograph with a box and a label for each face.

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
    >>> from emotion_estimators import FaceCropper
    >>> from emotion_estimators.inspection import FacesDisplay
    >>> cropper = FaceCropper(detector=lambda photo: [[10, 10, 20, 20]])
    >>> display = FacesDisplay.from_image(
    ...     np.zeros((60, 80, 3), np.uint8), cropper=cropper, plot=False
    ... )
    >>> display.drawn.shape
    (60, 80, 3)
    """

    def __init__(self, *, drawn: NDArray[np.uint8]) -> None:
        self.drawn = drawn

    @classmethod
    def from_image(
        cls, image: Any, *, cropper: Any = None, classifier: Any = None, plot: bool = True
    ) -> FacesDisplay:
        """Find and classify the faces of a photograph.

        Parameters
        ----------
        image : path, bytes, PIL image or ndarray
            The photograph.
        cropper, classifier : estimator, default=None
            As for `~emotion_estimators.analysis.analyze_faces`.
        plot : bool, default=True
            Draw at once.

        Returns
        -------
        display : FacesDisplay
        """
        table = analyze_faces([image], cropper=cropper, classifier=classifier)
        return cls.from_table(image, table, plot=plot)

    @classmethod
    def from_table(cls, image: Any, table: Any, *, plot: bool = True) -> FacesDisplay:
        """Show faces that were found before.

        Parameters
        ----------
        image : path, bytes, PIL image or ndarray
            The photograph.
        table : pandas.DataFrame or list of dict
            Its rows, as for `draw_faces`.
        plot : bool, default=True
            Draw at once.

        Returns
        -------
        display : FacesDisplay
        """
        display = cls(drawn=draw_faces(image, table))
        return display.plot() if plot else display

    def plot(self, *, ax: Any = None) -> FacesDisplay:
        """Show the photograph.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
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
        pyplot = import_optional("matplotlib.pyplot", extra="plot", needed_by=type(self).__name__)
        if ax is None:
            _, ax = pyplot.subplots(layout="constrained")
        ax.imshow(self.drawn)
        ax.set_axis_off()
        self.figure_, self.ax_ = ax.figure, ax
        return self
