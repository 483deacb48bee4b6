"""What a classifier trains on: weights, a part held out, pixels in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_sample_weight

from emotion_estimators.images.collection import Images

__all__ = ["check_weights", "hold_out", "stack_images"]

_LOADING_BATCH = 1024  # images decoded together


def check_weights(
    owner: str,
    sample_weight: Any,
    class_weight: Any,
    classes: NDArray[Any],
    codes: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the weight of each image, of mean 1: that of its own times that of its class.

    `sample_weight` (n_samples,); returns (n_samples,) float64.

    Raises ValueError if weights are negative, all zero or of another shape than y, or a class has
    none.
    """
    weights = np.ones(len(codes))
    if sample_weight is not None:
        weights = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
        )
        if weights.shape != codes.shape:
            raise ValueError(
                f"{owner} expected sample_weight of shape {codes.shape}, one for each image, got "
                f"{weights.shape}: Sample weights must be 1D array or scalar."
            )
    if class_weight is not None:
        weights = weights * compute_sample_weight(class_weight, classes[codes])
    if np.any(weights < 0) or not np.any(weights > 0):
        raise ValueError(
            f"{owner} expected weights of samples and classes that are non-negative and not all "
            f"zero, got {weights.min():g} in row {weights.argmin()}."
        )
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def hold_out(
    owner: str,
    codes: NDArray[np.int64],
    fraction: float,
    rng: np.random.RandomState,
    *,
    otherwise: str = "early_stopping=False",
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows to train on and the rows held out, stratified where classes allow it.

    `codes` (n_samples,) int64.

    Raises ValueError if that leaves fewer than 2 images to train on, or none to hold out.
    """
    from sklearn.model_selection import train_test_split

    n_held_out = round(fraction * len(codes))
    n_trained = len(codes) - n_held_out
    if n_held_out < 1 or n_trained < 2:
        raise ValueError(
            f"{owner} cannot hold out validation_fraction={fraction} of {len(codes)} images. Pass "
            f"more images, or set {otherwise}."
        )
    counts = np.bincount(codes)
    can_stratify = counts.min() >= 2 and min(n_held_out, n_trained) >= len(counts)
    train, held_out = train_test_split(
        np.arange(len(codes)),
        test_size=n_held_out,
        stratify=codes if can_stratify else None,
        random_state=rng,
    )
    return train, held_out


def stack_images(images: Images) -> NDArray[Any]:
    """Return all images in memory, (n, height, width[, 3]), uint8 or float32."""
    pixels: NDArray[Any] = np.empty(0)
    for rows, batch in images.batches(_LOADING_BATCH):
        if rows.start == 0:
            dtype = np.uint8 if batch.dtype == np.uint8 else np.float32
            pixels = np.empty((images.n_samples, *batch.shape[1:]), dtype=dtype)
        pixels[rows] = batch
    return pixels
