"""Two small Keras networks from grey images to class probabilities.

Imports keras, so import this module only where it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

__all__ = ["build_edges_network", "build_original_network", "edge_filters", "first_weights"]

# The first layer of `build_edges_network`: widths of the edges it sees, and their directions.
_WIDTHS = (0.8, 1.8)  # standard deviations in pixels
_N_DIRECTIONS = 8
_RADIUS = 4  # pixels
_CELL = 4  # pixels in a square of which the edges are averaged

# Each layer is told what else Keras would take from its global settings.
_DTYPE = {"dtype": "float32"}
_LAST = {"data_format": "channels_last", **_DTYPE}


def build_original_network(image_size: tuple[int, int], n_classes: int) -> Any:
    """Return the classic small network: two convolutions without padding, two dense layers."""
    zeros = {"kernel_initializer": "zeros"}
    convolution: dict[str, Any] = {"activation": "relu", **zeros, **_LAST}
    layers = [
        keras.Input((*image_size, 1), name="images", **_DTYPE),  # (n, h, w, 1)
        keras.layers.Conv2D(32, 3, name="conv_1", **convolution),
        keras.layers.MaxPooling2D(2, name="pool_1", **_LAST),
        keras.layers.Conv2D(64, 3, name="conv_2", **convolution),
        keras.layers.Flatten(name="flat", **_LAST),
        keras.layers.Dense(64, activation="relu", name="hidden", **zeros, **_DTYPE),
        keras.layers.Dense(
            n_classes, activation="softmax", name="probabilities", **zeros, **_DTYPE
        ),
    ]
    return _model(layers, "original")


def edge_filters() -> NDArray[np.float32]:
    """Return derivatives of Gaussians, the kernel of the layer "edges".

    returns (9, 9, 1, 16) float32.
    """
    y, x = np.mgrid[-_RADIUS : _RADIUS + 1, -_RADIUS : _RADIUS + 1]
    filters = []
    for width in _WIDTHS:
        hill = np.exp(-(x**2 + y**2) / (2 * width**2))
        for angle in np.arange(_N_DIRECTIONS) * (2 * np.pi / _N_DIRECTIONS):
            slope = (np.cos(angle) * x + np.sin(angle) * y) * hill
            filters.append(slope / np.abs(slope).sum())
    return np.stack(filters, axis=-1)[:, :, np.newaxis].astype(np.float32)


def build_edges_network(
    image_size: tuple[int, int], n_classes: int, *, filters: Sequence[int], dropout: float
) -> Any:
    """Return a network that sees directions of edges, not greys, and convolves these."""
    normalised = {"center": False, "scale": False, **_DTYPE}
    convolution = {"padding": "same", "use_bias": False, "kernel_initializer": "zeros", **_LAST}
    layers: list[Any] = [
        keras.Input((*image_size, 1), name="images", **_DTYPE),  # (n, h, w, 1)
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
        # (n, h/4, w/4, 16)
        keras.layers.AveragePooling2D(_CELL, padding="same", name="cells", **_LAST),
        keras.layers.LayerNormalization(axis=-1, epsilon=1e-2, name="normalise", **normalised),
    ]
    for number, width in enumerate(filters, start=1):
        layers += [
            keras.layers.Conv2D(width, 3, name=f"conv_{number}", **convolution),
            keras.layers.BatchNormalization(
                momentum=0.9, epsilon=1e-5, name=f"norm_{number}", **_DTYPE
            ),
            keras.layers.ReLU(name=f"relu_{number}", **_DTYPE),
        ]
    layers += [
        keras.layers.MaxPooling2D(2, padding="same", name="pool", **_LAST),
        # where an edge lies counts: a mouth is below the eyes
        keras.layers.Flatten(name="flat", **_LAST),
        keras.layers.Dropout(dropout, seed=0, name="dropout", **_DTYPE),
        keras.layers.Dense(
            n_classes,
            activation="softmax",
            kernel_initializer="zeros",
            name="probabilities",
            **_DTYPE,
        ),
    ]
    return _model(layers, "edges")


def first_weights(model: Any, rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """Draw the kernels of either network, uniformly; all else begins as Keras has it.

    Glorot's limits for "original", as Keras draws; He's for "edges".
    """
    weights = {}
    for layer in model.layers:
        for variable in layer.weights:
            shape = tuple(variable.shape)
            if variable.name == "kernel":
                fan_in, fan_out = math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
                is_original = model.name == "original"
                limit = math.sqrt(6 / (fan_in + fan_out) if is_original else 6 / fan_in)
                values = rng.uniform(-limit, limit, shape)
            else:
                values = np.full(shape, variable.name in ("gamma", "moving_variance"), float)
            weights[f"{layer.name}/{variable.name}"] = values.astype(np.float32)
    return weights if model.name == "original" else weights | {"edges/kernel": edge_filters()}


def _model(layers: list[Any], name: str) -> Any:
    model = keras.Sequential(layers, name=name)
    model.dtype_policy = "float32"
    return model
