"""What a classifier trains on: weights, a part held out, pixels in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array
from sklearn.utils.class_weight import compute_sample_weight

from emotion_estimators.exceptions import counted
from emotion_estimators.images.collection import Images
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.onnx.network import check_rows
from emotion_estimators.validation.masks import check_unmasked

__all__ = [
    "Targets",
    "check_positive_weights",
    "check_weights",
    "hold_out",
    "pixel_pieces",
    "stack_images",
    "taught",
]

_LOADING_BATCH = 1024  # images decoded together
_HASHED_BATCH = 256


@dataclass(frozen=True)
class Targets:
    """What a network is to answer: by output, (n, n_outputs) float32, and the weights (n,).

    `codes` (n,) is the class of each image as a position in `classes`, None for label sets.
    """

    classes: NDArray[Any]
    codes: NDArray[np.int64] | None
    columns: dict[str, NDArray[np.float32]]
    weights: dict[str, NDArray[np.float64]]


def check_weights(
    owner: str,
    sample_weight: Any,
    n_samples: int,
    class_weight: Any = None,
    y: NDArray[Any] | None = None,
) -> NDArray[np.float64]:
    """Return the weight of each image, of mean 1: that of its own times that of its class.

    `sample_weight` and `y` (n_samples,); returns (n_samples,) float64.

    Raises ValueError if weights are negative, all zero or of another shape than y, or a class has
    none.
    """
    weights = np.ones(n_samples)
    if sample_weight is not None:
        check_unmasked(owner, sample_weight=sample_weight)
        weights = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
        )
        if weights.shape != (n_samples,):
            raise ValueError(
                f"{owner} expected sample_weight of shape {(n_samples,)}, one for each image, got "
                f"{weights.shape}: Sample weights must be 1D array or scalar."
            )
    if class_weight is not None:
        weights = weights * compute_sample_weight(class_weight, y)
    if np.any(weights < 0) or not np.any(weights > 0):
        raise ValueError(
            f"{owner} expected weights of samples and classes that are non-negative and not all "
            f"zero, got {weights.min():g} in row {weights.argmin()}."
        )
    return np.asarray(weights / weights.mean(), dtype=np.float64)


def check_positive_weights(
    owner: str, pos_weight: Any, targets: NDArray[np.float32], labels: NDArray[Any]
) -> NDArray[np.float32] | None:
    """Return the weight of the positives of each label, or None for 1.

    `pos_weight` (n_labels,); `targets` (n, n_labels); `labels` (n_labels,); returns (n_labels,)
    float32.

    Raises ValueError if weights are not positive, of another number, or of unknown labels.
    """
    if pos_weight is None:
        return None
    if isinstance(pos_weight, str):  # "balanced", by the parameter constraints
        positives, negatives = (targets == 1).sum(axis=0), (targets == 0).sum(axis=0)
        usable = (positives > 0) & (negatives > 0)
        return np.where(usable, negatives / np.maximum(positives, 1), 1).astype(np.float32)
    if isinstance(pos_weight, dict):
        unknown = [label for label in pos_weight if label not in labels.tolist()]
        if unknown:
            raise ValueError(
                f"{owner} got pos_weight for {unknown}, which are not among the labels "
                f"{labels.tolist()}."
            )
        weights = np.array([pos_weight.get(label, 1.0) for label in labels.tolist()])
    else:
        weights = np.asarray(pos_weight, dtype=np.float64)
    if (
        weights.shape not in ((), (len(labels),))
        or not (np.isfinite(weights) & (weights > 0)).all()
    ):
        raise ValueError(
            f"{owner} expected pos_weight to be 'balanced', a positive number, or one for each of "
            f"{len(labels)} labels, got {pos_weight!r}."
        )
    return np.broadcast_to(weights, len(labels)).astype(np.float32)


def taught(
    owner: str, teacher: Any, share: float, targets: Targets, pixels: NDArray[Any]
) -> NDArray[np.float32]:
    """Return the targets of the labels, (n, n_classes), with a share of what a teacher says.

    `pixels` (n, height, width[, 3]).

    Raises ValueError if the teacher is not fitted, or on other classes.
    """
    classes = targets.classes
    known = getattr(teacher, "classes_", None)
    if known is None or not np.array_equal(known, classes):
        what = "one that is not fitted" if known is None else f"one of {np.asarray(known).tolist()}"
        raise ValueError(
            f"{owner} expected a fitted teacher of the classes {classes.tolist()}, got {what}. "
            "clone, and with it every search and cross-validation, leaves a teacher unfitted: pass "
            "teacher=sklearn.frozen.FrozenEstimator(teacher) there."
        )
    said = teacher.predict_proba(pixels)
    check_rows(said, (len(pixels), len(classes)), "The teacher")
    labels: NDArray[Any] = (1 - share) * targets.columns["labels"] + share * said
    return labels.astype(np.float32)


def hold_out(
    owner: str, targets: Targets, fraction: float, rng: np.random.RandomState
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows to train on and the rows held out, with like shares of classes or labels.

    Raises ValueError if that leaves fewer than 2 images to train on, or none to hold out.
    """
    # loaded here: it imports half of scikit-learn
    from sklearn.model_selection import train_test_split

    codes, n_samples = targets.codes, len(targets.columns["labels"])
    n_held_out = round(fraction * n_samples)
    n_trained = n_samples - n_held_out
    if n_held_out < 1 or n_trained < 2:
        raise ValueError(
            f"{owner} cannot hold out validation_fraction={fraction} of "
            f"{counted(n_samples, 'image')}. Pass "
            "more images, or set validation_fraction=None."
        )
    rows = np.arange(n_samples)
    if codes is None:
        from emotion_estimators.model_selection import multilabel_train_test_split

        train, held_out, *_ = multilabel_train_test_split(
            rows, targets.columns["labels"], test_size=n_held_out, random_state=rng
        )
        return train, held_out
    counts = np.bincount(codes)
    can_stratify = counts.min() >= 2 and min(n_held_out, n_trained) >= len(counts)
    train, held_out = train_test_split(
        rows, test_size=n_held_out, stratify=codes if can_stratify else None, random_state=rng
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


def pixel_pieces(images: Images) -> Iterator[NDArray[Any]]:
    """Yield what `stack_images` would hold, some images at a time."""
    for _, batch in images.batches(_HASHED_BATCH, n_threads=count_threads(None), ahead=True):
        yield batch if batch.dtype == np.uint8 else batch.astype(np.float32, copy=False)
