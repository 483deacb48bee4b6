"""Images and predictions in, a sheet of right and wrong ones out; draws with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from emotion_estimators._sklearn import safe_indexing
from emotion_estimators.inspection._axes import open_axes
from emotion_estimators.inspection._class_scores import find_response_method, score_classes
from emotion_estimators.validation import check_images

__all__ = ["PredictionDisplay"]

_CELL_INCHES = 1.15
_WRONG, _RIGHT = "#b3261e", "#1b6e3c"


class PredictionDisplay:
    """A sheet of images with what was predicted for them, the wrong ones first.

    It is recommended to use :meth:`from_estimator` or :meth:`from_predictions` to create one.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, 3), dtype uint8 or float
        The images shown, in the order shown.
    y_true, y_pred : ndarray of shape (n_images,)
        Their labels, and what was predicted.
    confidence : ndarray of shape (n_images,) or None, default=None
        Score of the predicted class, written under each image; None writes nothing.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by :meth:`plot`.
    bounding_ax_ : matplotlib Axes
        What the sheet is laid out in. Set by :meth:`plot`.
    axes_ : ndarray of Axes, 2-D
        One for each place of the sheet, also the empty ones. Set by :meth:`plot`.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators.inspection import PredictionDisplay
    >>> X = np.zeros((2, 48, 48), dtype=np.uint8)
    >>> display = PredictionDisplay.from_predictions(
    ...     X, ["sad", "happy"], ["sad", "fear"], confidence=[0.6, 0.9]
    ... )
    >>> display.y_true.tolist()
    ['happy', 'sad']
    """

    def __init__(
        self,
        *,
        images: NDArray[Any],
        y_true: NDArray[Any],
        y_pred: NDArray[Any],
        confidence: NDArray[Any] | None = None,
    ) -> None:
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.confidence = confidence

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        n_wrong: int = 16,
        n_right: int = 16,
        image_size: int | tuple[int, int] = 96,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> PredictionDisplay:
        """Predict, and draw the most confident errors and a sample of what is right.

        Parameters
        ----------
        estimator : fitted classifier
            What is asked. Its ``predict_proba`` or ``decision_function``, where it has one, gives
            the confidence.
        X : array-like
            Images, or 2-D rows with `image_shape`, as for the estimators.
        y : array-like of shape (n_samples,)
            True labels.
        n_wrong, n_right : int, default=16
            Largest number of wrong and of right predictions to show.
        image_size : int or (int, int), default=96
            Height and width of the images in pixels, or one int for both. Others are resized.
        image_shape : tuple of int or None, default=None
            How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be
            -1.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : PredictionDisplay
        """
        method = find_response_method(estimator)
        confidence = None
        if method is not None:
            confidence = score_classes(estimator, X, method).max(axis=1)
        return cls.from_predictions(
            X,
            y,
            estimator.predict(X),
            confidence=confidence,
            n_wrong=n_wrong,
            n_right=n_right,
            image_size=image_size,
            image_shape=image_shape,
            ax=ax,
        )

    @classmethod
    def from_predictions(
        cls,
        X: ArrayLike,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        confidence: ArrayLike | None = None,
        n_wrong: int = 16,
        n_right: int = 16,
        image_size: int | tuple[int, int] = 96,
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> PredictionDisplay:
        """Draw the most confident errors and a sample of what is right.

        Parameters
        ----------
        X : array-like
            Images, or 2-D rows with `image_shape`, as for the estimators.
        y_true, y_pred : array-like of shape (n_samples,)
            Labels, and what was predicted.
        confidence : array-like of shape (n_samples,) or None, default=None
            Score of the predicted class. Errors are sorted by it, the largest first; None
            keeps the order of X. The right ones shown are spread evenly over X.
        n_wrong, n_right : int, default=16
            Largest number of wrong and of right predictions to show.
        image_size : int or (int, int), default=96
            Height and width of the images in pixels, or one int for both. Others are resized.
        image_shape : tuple of int or None, default=None
            How to read 2-D rows: ``(height, width)`` or ``(height, width, 3)``; one entry may be
            -1.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : PredictionDisplay

        Raises
        ------
        ValueError
            If the lengths differ, a number is negative, or nothing is to be shown.
        InvalidImagesError
            If images that are to be shown cannot be read.
        """
        for name, number in (("n_wrong", n_wrong), ("n_right", n_right)):
            if number < 0:
                raise ValueError(f"{cls.__name__} expected {name} to be 0 or more, got {number}.")
        true, predicted = np.asarray(y_true), np.asarray(y_pred)
        scores = None if confidence is None else np.asarray(confidence)
        check_consistent_length(X, true, predicted, scores)
        wrong, right = np.flatnonzero(true != predicted), np.flatnonzero(true == predicted)
        if scores is not None:
            wrong = wrong[np.argsort(-scores[wrong], kind="stable")]
        spread = np.linspace(0, len(right) - 1, min(n_right, len(right))).round().astype(int)
        rows = np.concatenate([wrong[:n_wrong], right[spread]])
        if not len(rows):
            raise ValueError(
                f"{cls.__name__} has nothing to show: {len(wrong)} wrong and {len(right)} right "
                f"predictions, with n_wrong={n_wrong} and n_right={n_right}."
            )
        images = check_images(
            safe_indexing(X, rows),
            name=cls.__name__,
            image_shape=image_shape,
            image_size=image_size,
            color="rgb",
            read_headers=False,
        )
        ((_, shown),) = images.batches(images.n_samples)
        display = cls(
            images=shown,
            y_true=true[rows],
            y_pred=predicted[rows],
            confidence=None if scores is None else scores[rows],
        )
        return display.plot(ax=ax)

    def plot(self, *, ax: Any = None, n_columns: int = 8) -> PredictionDisplay:
        """Draw the sheet.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw: an Axes of a grid, as ``plt.subplots`` makes it, that the sheet is laid
            out in. None makes a figure.
        n_columns : int, default=8
            Images in a row of the sheet.

        Returns
        -------
        display : PredictionDisplay
            This object, with `figure_`, `bounding_ax_` and `axes_`.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        ValueError
            If `ax` is none of a grid.
        """
        is_wrong = self.y_true != self.y_pred
        n_rows = [-(-int(np.sum(part)) // n_columns) for part in (is_wrong, ~is_wrong)]
        size = (n_columns * _CELL_INCHES, sum(n_rows) * _CELL_INCHES * 1.35)
        ax = open_axes(type(self).__name__, ax, figsize=size)
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"{type(self).__name__} expected ax to be one of a grid, as plt.subplots makes "
                "it, got one that stands at a place of its own."
            )
        ax.set_axis_off()
        # a row of nearly no height for the title: on `ax` it would lie over the first images'
        heights = [0.01, *(1 for _ in range(sum(n_rows)))]
        grid = place.subgridspec(len(heights), n_columns, height_ratios=heights)
        heading = ax.figure.add_subplot(grid[0, :])
        axes = np.array(
            [
                [ax.figure.add_subplot(grid[i, j]) for j in range(n_columns)]
                for i in range(1, len(heights))
            ]
        )
        for cell in (heading, *axes.flat):
            cell.set_axis_off()
        # each part, wrong and right, starts a row of its own
        places = np.empty(len(self.images), dtype=int)
        places[is_wrong] = np.arange(is_wrong.sum())
        places[~is_wrong] = n_rows[0] * n_columns + np.arange((~is_wrong).sum())
        for i, cell in enumerate(axes.flat[places]):
            self._draw(cell, i)
        heading.set_title(
            f"{is_wrong.sum()} wrong (true label → predicted), {(~is_wrong).sum()} right",
            fontsize=10,
        )
        self.figure_, self.bounding_ax_, self.axes_ = ax.figure, ax, axes
        return self

    def _draw(self, ax: Any, i: int) -> None:
        true, predicted = self.y_true[i], self.y_pred[i]
        wrong = true != predicted
        ax.imshow(self.images[i], interpolation="nearest")
        title = f"{true} →\n{predicted}" if wrong else f"{true}"
        if self.confidence is not None:
            title += f" {self.confidence[i]:.2f}"
        ax.set_title(title, fontsize=7, color=_WRONG if wrong else _RIGHT, pad=2)
