"""Faces as the face network wants them: large enough, standardised; imports the image door."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators._validation import ImageBatches, check_images
from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.networks.face_network import MIN_IMAGE_SIZE

__all__ = ["check_faces", "standardize_faces"]


def check_faces(estimator: Any, X: Any, *, reset: bool) -> ImageBatches:
    """Return images that are large enough for the face network.

    Parameters
    ----------
    estimator : estimator instance
        As for `check_images`; has a parameter ``image_size``.
    X : array-like
        Images.
    reset : bool
        As for `check_images`.

    Returns
    -------
    images : ImageBatches

    Raises
    ------
    InvalidImagesError
        If X does not follow the contract, or the images are too small.
    """
    images = check_images(estimator, X, reset=reset)
    if min(images.image_size) < MIN_IMAGE_SIZE:
        raise InvalidImagesError(
            f"{type(estimator).__name__} needs images of at least {MIN_IMAGE_SIZE} x "
            f"{MIN_IMAGE_SIZE} px, got image_size={estimator.image_size!r}. The published weights "
            "were trained on 160."
        )
    return images


def standardize_faces(images: NDArray[Any], standardization: str) -> NDArray[np.float32]:
    """Return images as the face network wants them.

    Parameters
    ----------
    images : ndarray of shape (n, height, width, 3)
        uint8 in 0..255 or float in 0..1.
    standardization : {"fixed", "prewhiten"}
        As in `FacenetEmbedder`.

    Returns
    -------
    faces : ndarray of float32, of the same shape

    Notes
    -----
    keras-facenet divides by 127.5 where the training of the weights, and this, divide by 128.
    """
    levels = images.astype(np.float32)  # (n, h, w, 3)
    if images.dtype != np.uint8:
        levels *= 255
    if standardization == "fixed":
        levels -= np.float32(127.5)
        levels /= 128
        return levels
    axes = (1, 2, 3)
    mean = levels.mean(axis=axes, dtype=np.float64, keepdims=True)  # (n, 1, 1, 1)
    spread = levels.std(axis=axes, dtype=np.float64, keepdims=True)
    # the bound keeps noise in an even image small
    spread = np.maximum(spread, 1 / np.sqrt(levels[0].size))
    whitened: NDArray[np.float32] = ((levels - mean) / spread).astype(np.float32)
    return whitened
