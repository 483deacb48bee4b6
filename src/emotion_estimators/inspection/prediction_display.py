"""Images and predictions in, a sheet of right and wrong ones out; draws with matplotlib."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_consistent_length

from emotion_estimators._sklearn import safe_indexing
from emotion_estimators.exceptions import shorten
from emotion_estimators.inspection._axes import open_axes
from emotion_estimators.inspection._class_scores import find_response_method, score_classes
from emotion_estimators.validation import check_images, check_votes

__all__ = ["PredictionDisplay"]

_CELL_INCHES = 1.15
_WRONG, _RIGHT = "#b3261e", "#1b6e3c"
_PEOPLE, _MODEL = "#444444", "#4a90d9"
_CONFIDENCES = {
    "predict_proba": "probability of the predicted class",
    "decision_function": "decision value of the predicted class, which is no probability",
    None: "score of the predicted class",
}
_N_BARS = 3  # classes of an image whose shares are drawn
_BAR_HEIGHT = 0.6  # of their space below an image of height 1


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
        Score of the predicted class, written over each image; None writes nothing.
    response_method : {"predict_proba", "decision_function"} or None, default=None
        What gave that score, which the heading says; None says "score" only.
    shares, y_proba : ndarray of shape (n_images, n_classes), default=None
        Share of people who voted for each class, and probability that the model gives it: two
        bars under each image for the classes where one of both is largest. None draws none.
    labels : ndarray of shape (n_classes,), default=None
        Names of the classes of these columns.

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
        response_method: str | None = None,
        shares: NDArray[Any] | None = None,
        y_proba: NDArray[Any] | None = None,
        labels: NDArray[Any] | None = None,
    ) -> None:
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.confidence = confidence
        self.response_method = response_method
        self.shares = shares
        self.y_proba = y_proba
        self.labels = labels

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: ArrayLike,
        *,
        votes: Any = None,
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
        votes : array-like, DataFrame or None, default=None
            What people voted, a row for each image. Counts or shares in the order of ``classes_``,
            or a frame as from `emotion_estimators.datasets.load_votes`: their shares are drawn
            beside the probabilities of the estimator. None draws neither.
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
        TypeError
            If there are `votes` and the estimator gives no probabilities.
        ValueError
            As from `from_predictions`.
        """
        method = find_response_method(estimator)
        if votes is not None and method != "predict_proba":
            raise TypeError(
                f"{cls.__name__} expected an estimator that has predict_proba, to draw its "
                f"probabilities beside votes, got {type(estimator).__name__}."
            )
        scores = None if method is None else score_classes(estimator, X, method)
        return cls.from_predictions(
            X,
            y,
            estimator.predict(X),
            confidence=None if scores is None else scores.max(axis=1),
            response_method=method,
            votes=votes,
            y_proba=None if votes is None else scores,
            labels=None if votes is None else estimator.classes_,
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
        response_method: str | None = None,
        votes: Any = None,
        y_proba: ArrayLike | None = None,
        labels: ArrayLike | None = None,
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
        response_method : {"predict_proba", "decision_function"} or None, default=None
            What gave `confidence`, which the heading says; None says "score" only.
        votes : array-like, DataFrame or None, default=None
            What people voted, a row for each image. Counts or shares in the order of `labels`, or
            a frame as from `emotion_estimators.datasets.load_votes`: their shares are drawn beside
            `y_proba`. A row of zeros has none. None draws neither.
        y_proba : array-like of shape (n_samples, n_classes) or None, default=None
            Probabilities, needed with `votes`.
        labels : array-like of shape (n_classes,) or None, default=None
            Names of the labels, in the order of the outputs. Needed with `votes`: the classes of
            the columns of `y_proba`.
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
            If the lengths differ, a number is negative, `response_method` is unknown, nothing is
            to be shown, votes are negative or of other classes, or there are only some of `votes`,
            `y_proba` and `labels`.
        InvalidImagesError
            If images that are to be shown cannot be read.
        """
        if response_method not in _CONFIDENCES:
            raise ValueError(
                f"{cls.__name__} expected response_method to be 'predict_proba', "
                f"'decision_function' or None, got {shorten(response_method)}."
            )
        for name, number in (("n_wrong", n_wrong), ("n_right", n_right)):
            if number < 0:
                raise ValueError(f"{cls.__name__} expected {name} to be 0 or more, got {number}.")
        true, predicted = np.asarray(y_true), np.asarray(y_pred)
        scores = None if confidence is None else np.asarray(confidence)
        check_consistent_length(X, true, predicted, scores)
        beside = cls._shares_beside(votes, y_proba, labels, len(true))
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
            response_method=response_method,
            **{key: part[rows] for key, part in beside.items() if key != "labels"},
            labels=beside.get("labels"),
        )
        return display.plot(ax=ax)

    @classmethod
    def _shares_beside(
        cls, votes: Any, y_proba: Any, labels: Any, n_samples: int
    ) -> dict[str, NDArray[Any]]:
        """Return shares of people, probabilities, (n_samples, n_classes), and names of classes."""
        given = {"votes": votes, "y_proba": y_proba, "labels": labels}
        missing = [name for name, value in given.items() if value is None]
        if len(missing) == len(given):
            return {}
        if missing:
            raise ValueError(
                f"{cls.__name__} expected votes, y_proba and labels, or none of them, got no "
                f"{' and no '.join(missing)}."
            )
        proba, names = np.asarray(y_proba), np.asarray(labels)
        shares, _ = check_votes(votes, names, n_samples=n_samples, name=cls.__name__)
        if proba.shape != shares.shape:
            raise ValueError(
                f"{cls.__name__} expected y_proba (n_samples, n_classes) = {shares.shape}, got "
                f"shape {proba.shape}."
            )
        return {"shares": shares, "y_proba": proba, "labels": names}

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
        height = 1.35 if self.shares is None else 1.35 + _BAR_HEIGHT
        size = (n_columns * _CELL_INCHES, sum(n_rows) * _CELL_INCHES * height)
        ax = open_axes(type(self).__name__, ax, figsize=size)
        place = ax.get_subplotspec()
        if place is None:
            raise ValueError(
                f"{type(self).__name__} expected ax to be one of a grid, as plt.subplots makes "
                "it, got one that stands at a place of its own."
            )
        ax.set_axis_off()
        # a row of nearly no height for the title: on `ax` it would lie over the first images'
        heights = [0.01]
        for _ in range(sum(n_rows)):
            heights += [1] if self.shares is None else [1, _BAR_HEIGHT]  # nothing: for the bars
        grid = place.subgridspec(len(heights), n_columns, height_ratios=heights)
        heading = ax.figure.add_subplot(grid[0, :])
        axes = np.array(
            [
                [ax.figure.add_subplot(grid[i, j]) for j in range(n_columns)]
                for i in range(1, len(heights), 1 if self.shares is None else 2)
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
        told = f"{is_wrong.sum()} wrong (true label → predicted), {(~is_wrong).sum()} right"
        if self.confidence is not None:
            told += f"\nnumbers: {_CONFIDENCES[self.response_method]}"
        if self.shares is not None:
            told += "\nbars: share of people (dark), probability of the model (blue)"
        heading.set_title(told, fontsize=10)
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
        if self.shares is not None:
            self._draw_bars(ax, i)

    def _draw_bars(self, ax: Any, i: int) -> None:
        """Draw what people and the model say, of the classes where one of both is largest."""
        shares, y_proba, labels = map(np.asarray, (self.shares, self.y_proba, self.labels))
        said = np.stack([shares[i], y_proba[i]])  # (2, n_classes)
        largest = np.argsort(-said.max(axis=0), kind="stable")[:_N_BARS]
        bars = ax.inset_axes((0.44, -_BAR_HEIGHT, 0.56, _BAR_HEIGHT - 0.05))
        bars.set_in_layout(False)  # the sheet has a row for them
        places = np.arange(len(largest))
        for row, color, offset in ((0, _PEOPLE, -0.19), (1, _MODEL, 0.19)):
            bars.barh(places + offset, said[row, largest], height=0.36, color=color)
        bars.set_yticks(places, [str(labels[k]) for k in largest], fontsize=6)
        bars.tick_params(axis="y", length=0, pad=1)
        bars.set(xlim=(0, 1), ylim=(_N_BARS - 0.5, -0.5), xticks=[])
        for side in ("top", "right", "bottom"):
            bars.spines[side].set_visible(False)
