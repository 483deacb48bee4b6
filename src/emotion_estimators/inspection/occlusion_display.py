"""An image and an estimator in, a heat map of what decided out; draws with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.classifiers.pretrained_emotion_classifier import open_classes
from emotion_estimators.images.loader import read_item
from emotion_estimators.inspection._axes import open_axes
from emotion_estimators.inspection._class_scores import find_response_method, score_classes

__all__ = ["OcclusionDisplay"]

_BATCH = 256  # covered images that are classified together


class OcclusionDisplay:
    """A heat map of what decided: how the score of a class falls when a part is covered.

    It is recommended to use :meth:`from_estimator` to create one. It works for every classifier
    that has ``predict_proba`` or ``decision_function``.

    Parameters
    ----------
    image : ndarray of shape (height, width) or (height, width, 3)
        The image.
    heat : float64 array of shape (height, width)
        By how much the score of `label` falls, in the mean over all covers that hide a pixel.
        Negative where it rises.
    label : object
        The class that is explained.
    score : float
        Its score for the whole image.
    response_method : {"predict_proba", "decision_function"}, default="predict_proba"
        What the score is: a probability, or a value of the decision function.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Set by :meth:`plot`.
    ax_ : matplotlib Axes
        Set by :meth:`plot`.

    References
    ----------
    .. [1] M. D. Zeiler, R. Fergus, "Visualizing and Understanding Convolutional Networks",
       ECCV 2014.

    Examples
    --------
    >>> import numpy as np
    >>> from emotion_estimators import PretrainedEmotionClassifier
    >>> from emotion_estimators.datasets import make_faces
    >>> from emotion_estimators.inspection import OcclusionDisplay
    >>> X, _ = make_faces(1, random_state=0)
    >>> display = OcclusionDisplay.from_estimator(PretrainedEmotionClassifier(), X[0], stride=12)
    >>> display.heat.shape
    (48, 48)
    """

    def __init__(
        self,
        *,
        image: NDArray[Any],
        heat: NDArray[np.float64],
        label: Any,
        score: float,
        response_method: str = "predict_proba",
    ) -> None:
        self.image = image
        self.heat = heat
        self.label = label
        self.score = score
        self.response_method = response_method

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        image: Any,
        *,
        label: Any = None,
        cover_size: int | None = None,
        stride: int | None = None,
        ax: Any = None,
    ) -> OcclusionDisplay:
        """Cover each part of an image with its mean colour, classify what is left, and draw.

        Parameters
        ----------
        estimator : fitted classifier
            What is asked. Has ``classes_``, and ``predict_proba`` or else ``decision_function``.
        image : path, bytes, PIL image or ndarray
            One image.
        label : object or None, default=None
            The class to explain; None takes the one of the highest score.
        cover_size : int or None, default=None
            Side of the covering square in pixels; None is a sixth of the image's shorter side.
        stride : int or None, default=None
            Distance in pixels from one cover to the next; None is a third of `cover_size`.
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : OcclusionDisplay

        Raises
        ------
        InvalidImagesError
            If the image cannot be read.
        ValueError
            If `label` is no class of the estimator, or a number is not above 0.
        TypeError
            If the estimator has neither ``predict_proba`` nor ``decision_function``.
        """
        response_method = find_response_method(estimator)
        if response_method is None:
            raise TypeError(
                f"{cls.__name__} expected an estimator with predict_proba or decision_function, "
                f"got {type(estimator).__name__}, which has neither."
            )
        pixels = read_item(image)
        size = max(1, min(pixels.shape[:2]) // 6) if cover_size is None else cover_size
        step = max(1, size // 3) if stride is None else stride
        if size < 1 or step < 1:
            raise ValueError(
                f"{cls.__name__} expected cover_size and stride to be 1 or more, got {size} and "
                f"{step}."
            )
        (whole,) = score_classes(estimator, pixels[np.newaxis], response_method)
        classes = open_classes(estimator).tolist()
        column = int(whole.argmax()) if label is None else _find(cls.__name__, classes, label)
        score = float(whole[column])

        def score_label(images: NDArray[Any]) -> NDArray[Any]:
            return score_classes(estimator, images, response_method)[:, column]

        display = cls(
            image=pixels,
            heat=_heat(score_label, pixels, score, size, step),
            label=classes[column],
            score=score,
            response_method=response_method,
        )
        return display.plot(ax=ax)

    def plot(
        self, *, ax: Any = None, cmap: str = "coolwarm", alpha: float = 0.5
    ) -> OcclusionDisplay:
        """Draw the heat map over the image.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a figure.
        cmap : str, default="coolwarm"
            Colours, from what speaks against the class to what speaks for it.
        alpha : float, default=0.5
            Opacity of the heat map, in 0..1.

        Returns
        -------
        display : OcclusionDisplay
            This object, with `figure_` and `ax_`.

        Raises
        ------
        MissingDependencyError
            If matplotlib is not installed.
        """
        ax = open_axes(type(self).__name__, ax)
        ax.imshow(self.image, cmap="gray")
        limit = float(np.abs(self.heat).max()) or 1.0
        heat = ax.imshow(self.heat, cmap=cmap, vmin=-limit, vmax=limit, alpha=alpha)
        what = "probability" if self.response_method == "predict_proba" else "decision function"
        ax.figure.colorbar(heat, ax=ax, label=f"fall of the {what} when covered")
        ax.set_title(f"{self.label} {self.score:.2f}")
        ax.set_axis_off()
        self.figure_, self.ax_ = ax.figure, ax
        return self


def _find(owner: str, classes: list[Any], label: Any) -> int:
    if label not in classes:
        raise ValueError(f"{owner} expected label to be one of {classes}, got {label!r}.")
    return classes.index(label)


def _heat(
    score_label: Callable[[NDArray[Any]], NDArray[Any]],
    pixels: NDArray[Any],
    whole: float,
    size: int,
    step: int,
) -> NDArray[np.float64]:
    """Return the mean fall of the score over the covers that hide each pixel, (height, width)."""
    mean = pixels.mean(axis=(0, 1))
    color = np.floor(mean + 0.5) if pixels.dtype == np.uint8 else mean
    covers = list(_covers(pixels.shape[0], pixels.shape[1], size, step))
    falls, counts = np.zeros(pixels.shape[:2]), np.zeros(pixels.shape[:2])
    for start in range(0, len(covers), _BATCH):
        some = covers[start : start + _BATCH]
        images = np.repeat(pixels[np.newaxis], len(some), axis=0)
        for image, cover in zip(images, some, strict=True):
            image[cover] = color
        for cover, score in zip(some, score_label(images), strict=True):
            falls[cover] += whole - score
            counts[cover] += 1
    return falls / np.maximum(counts, 1)


def _covers(height: int, width: int, size: int, step: int) -> Iterator[tuple[slice, slice]]:
    """Yield squares that together hide every pixel; those at the edges reach beyond it."""
    for top in range(step - size, height, step):
        for left in range(step - size, width, step):
            yield (
                slice(max(0, top), min(height, top + size)),
                slice(max(0, left), min(width, left + size)),
            )
