"""Faces as the face network wants them: large enough, standardised; imports the image door."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.features._embedding import Weights
from emotion_estimators.images.items import format_size
from emotion_estimators.networks.facenet.engine import (
    MIN_IMAGE_SIZE,
    random_state,
    state_fingerprint,
)
from emotion_estimators.networks.facenet.layers import state_shapes
from emotion_estimators.networks.facenet.weights import FACE_SUFFIXES, read_face_weights
from emotion_estimators.networks.torch_file import without_wrapper
from emotion_estimators.weights import fetch_weights, file_sha256, list_cards

__all__ = ["check_face_size", "find_face_weights", "standardize_faces"]


def check_face_size(size: tuple[int, int], *, name: str) -> None:
    """Raise `InvalidImagesError` if images of this size are too small for the face network."""
    if min(size) < MIN_IMAGE_SIZE:
        raise InvalidImagesError(
            f"{name} needs images of at least {MIN_IMAGE_SIZE} x {MIN_IMAGE_SIZE} px, got "
            f"{format_size(size)}. The published weights were trained on 160 x 160: set "
            "image_size."
        )


def standardize_faces(images: NDArray[Any], standardization: str) -> NDArray[np.float32]:
    """Return images as the face network wants them.

    `images` (n, height, width, 3).

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


_SEED = 0  # of the weights where none are given


def find_face_weights(owner: str, weights: Any, *, verbose: bool) -> Weights:
    """Find weights of the face network, and download them if they must be.

    Raises ValueError if there are no weights of that name; FileNotFoundError if there is no such
    file; WeightsError, OSError if they are not available, or are of another network.
    """
    if weights is None:
        return Weights(f"random {_SEED}", partial(random_state, _SEED))
    if hasattr(weights, "state_dict"):
        tensors = without_wrapper(weights.state_dict(), state_shapes())
        state = {name: tensor.detach().cpu().float().numpy() for name, tensor in tensors.items()}
        return Weights(state_fingerprint(state), lambda: state)
    name = os.fspath(weights)
    names = [card.name for card in list_cards(task="face embedding")]
    path = fetch_weights(name, verbose=verbose) if name in names else Path(name)
    if path.is_file() and path.suffix.lower() in FACE_SUFFIXES:
        return Weights(file_sha256(path), partial(read_face_weights, path))
    choices = ", ".join(map(repr, names))
    wanted = (
        f"{owner} expected weights to be {choices}, the path of a file "
        f"{', '.join(FACE_SUFFIXES)}, an InceptionResnetV1, or None"
    )
    if path.suffix.lower() in FACE_SUFFIXES and not path.exists():
        raise FileNotFoundError(f"{wanted}; there is no file {name}.")
    if path.exists():
        raise ValueError(f"{wanted}; {name} is {'a folder' if path.is_dir() else 'another file'}.")
    raise ValueError(f"{wanted}, got {name!r}.")
