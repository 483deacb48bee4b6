"""Two small Keras networks from grey pictures to class probabilities.

Imports keras, so import this module only where it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

__all__ = ["build_emoji_network", "build_seed_network"]


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


def build_emoji_network(
    image_size: tuple[int, int],
    n_classes: int,
    model_class: Any,
    *,
    filters: Sequence[int],
    dropout: float,
) -> Any:
    """Return a network that standardises each picture, convolves it and pools.

    Parameters
    ----------
    image_size : tuple of int
        Height and width.
    n_classes : int
        Number of outputs.
    model_class : type
        `keras.Sequential` or a class derived from it.
    filters : sequence of int
        Channels of the convolutions: the first is 5 x 5 and halves the resolution, all others
        are 3 x 3, each followed by a pooling that halves it again.
    dropout : float
        Share of the features dropped in training.

    Returns
    -------
    model : keras.Sequential
        Kernels are zero: initial ones are the caller's.
    """
    layers: list[Any] = [
        keras.Input((*image_size, 1), name="images"),  # (n, h, w, 1)
        # a picture's own mean and spread: how light or pale a vendor draws says nothing
        keras.layers.LayerNormalization(
            axis=(1, 2, 3), epsilon=1e-4, center=False, scale=False, name="standardise"
        ),
    ]
    for number, width in enumerate(filters, start=1):
        first = number == 1
        layers += [
            keras.layers.Conv2D(
                width,
                5 if first else 3,
                strides=2 if first else 1,
                padding="same",
                use_bias=False,
                kernel_initializer="zeros",
                name=f"conv_{number}",
            ),
            keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"norm_{number}"),
            keras.layers.ReLU(name=f"relu_{number}"),
        ]
        if not first:
            layers.append(keras.layers.MaxPooling2D(2, padding="same", name=f"pool_{number}"))
    layers += [
        keras.layers.Flatten(name="flat"),
        keras.layers.Dropout(dropout, seed=0, name="dropout"),
        keras.layers.Dense(
            n_classes, activation="softmax", kernel_initializer="zeros", name="probabilities"
        ),
    ]
    return model_class(layers, name="emoji")
