"""Two small Keras networks from grey pictures to class probabilities.

Imports keras, so import this module only where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

__all__ = ["build_emoji_network", "build_seed_network", "edge_filters"]

# The first layer of `build_emoji_network`: widths of the edges it sees, and their directions.
_WIDTHS = (0.8, 1.8)  # standard deviations in pixels
_N_DIRECTIONS = 8
_RADIUS = 4  # pixels
_CELL = 4  # pixels in a square of which the edges are averaged


def build_seed_network(image_size: tuple[int, int], n_classes: int, model_class: Any) -> Any:
    """Return the classic small network: two convolutions without padding, two dense layers.

    Parameters
    ----------
    image_size : tuple of int
        Height and width, at least 8 each.
    n_classes : int
        Number of outputs.
    model_class : type
        `keras.Sequential` or a class derived from it.

    Returns
    -------
    model : keras.Sequential
        Weights are zero: initial ones are the caller's.
    """
    zeros = {"kernel_initializer": "zeros"}
    return model_class(
        [
            keras.Input((*image_size, 1), name="images"),  # (n, h, w, 1)
            keras.layers.Conv2D(32, 3, activation="relu", name="conv_1", **zeros),
            keras.layers.MaxPooling2D(2, name="pool_1"),
            keras.layers.Conv2D(64, 3, activation="relu", name="conv_2", **zeros),
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(64, activation="relu", name="hidden", **zeros),
            keras.layers.Dense(n_classes, activation="softmax", name="probabilities", **zeros),
        ],
        name="seed",
    )


def edge_filters() -> NDArray[np.float32]:
    """Return derivatives of Gaussians, the kernel of the layer "edges".

    Returns
    -------
    kernel : ndarray of float32, shape (9, 9, 1, 16)
        Two widths, of eight directions each; the absolute values of each filter sum to 1.
    """
    y, x = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1]
    filters = []
    for width in _WIDTHS:
        hill = np.exp(-(x**2 + y**2) / (2 * width**2))
        for angle in np.arange(_N_DIRECTIONS) * (2 * np.pi / _N_DIRECTIONS):
            slope = (np.cos(angle) * x + np.sin(angle) * y) * hill
            filters.append(slope / np.abs(slope).sum())
    return np.stack(filters, axis=-1)[:, :, np.newaxis].astype(np.float32)


def build_emoji_network(
    image_size: tuple[int, int],
    n_classes: int,
    model_class: Any,
    *,
    filters: Sequence[int],
    dropout: float,
) -> Any:
    """Return a network that sees directions of edges, not greys, and convolves these.

    Its first convolution is fixed, see `edge_filters`; edges are averaged over cells of 4 x 4
    pixels and normalised in each cell, much as in a histogram of oriented gradients.

    Parameters
    ----------
    image_size : tuple of int
        Height and width.
    n_classes : int
        Number of outputs.
    model_class : type
        `keras.Sequential` or a class derived from it.
    filters : sequence of int
        Channels of the trained convolutions, 3 x 3; the last is followed by a pooling.
    dropout : float
        Share of the features dropped in training.

    Returns
    -------
    model : keras.Sequential
        Kernels are zero, also that of "edges": initial ones are the caller's.
    """
    normalised = {"center": False, "scale": False}
    convolution = {"padding": "same", "use_bias": False, "kernel_initializer": "zeros"}
    layers: list[Any] = [
        keras.Input((*image_size, 1), name="images"),  # (n, h, w, 1)
        # how light or pale a vendor draws says nothing
        keras.layers.LayerNormalization(
            axis=(1, 2, 3), epsilon=1e-4, name="standardise", **normalised
        ),
        keras.layers.Conv2D(
            len(_WIDTHS) * _N_DIRECTIONS,
            2 * _RADIUS + 1,
            activation="relu",
            trainable=False,
            name="edges",
            **convolution,
        ),
        keras.layers.AveragePooling2D(_CELL, padding="same", name="cells"),  # (n, h/4, w/4, 16)
        keras.layers.LayerNormalization(axis=-1, epsilon=1e-2, name="normalise", **normalised),
    ]
    for number, width in enumerate(filters, start=1):
        layers += [
            keras.layers.Conv2D(width, 3, name=f"conv_{number}", **convolution),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm_{number}"),
            keras.layers.ReLU(name=f"relu_{number}"),
        ]
    layers += [
        keras.layers.MaxPooling2D(2, padding="same", name="pool"),
        # where an edge lies counts: a mouth is below the eyes
        keras.layers.Flatten(name="flat"),
        keras.layers.Dropout(dropout, seed=0, name="dropout"),
        keras.layers.Dense(
            n_classes,
            activation="softmax",
            kernel_initializer="zeros",
            name="probabilities",
        ),
    ]
    return model_class(layers, name="emoji")
