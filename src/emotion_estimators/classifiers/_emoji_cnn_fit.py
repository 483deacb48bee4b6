"""The training of an `EmojiCNNClassifier`, and the fitted attributes that it sets.

Imports keras and scikeras through `training`, so import this module only where it is needed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state

from emotion_estimators.classifiers._interrupted import keeping_best
from emotion_estimators.classifiers._warm_start import check_continuation
from emotion_estimators.networks.emoji import (
    build_emoji_network,
    build_original_network,
    edge_filters,
)
from emotion_estimators.training.keras_training import (
    BatchedSequential,
    KerasRecipe,
    TrainingNetworks,
    first_weights,
    named_weights,
    set_named_weights,
    train_keras,
)
from emotion_estimators.training.targets import hold_out

if TYPE_CHECKING:
    from emotion_estimators.classifiers.emoji_cnn_classifier import EmojiCNNClassifier

__all__ = ["build_model", "fit_network"]

_ORIGINAL_MIN_SIZE = 8  # px: two convolutions without padding and a pooling leave one pixel of 8
_WEIGHT_DECAY = 0.01
_LABEL_SMOOTHING = 0.1

_networks = TrainingNetworks()


def fit_network(
    estimator: EmojiCNNClassifier,
    pixels: NDArray[Any],
    classes: NDArray[Any],
    codes: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> None:
    """Train the network of an estimator and set its fitted attributes.

    `pixels` (n, height, width); `classes` (n_classes,); `codes` (n,) int64; `weights` (n,) float64.

    Raises ValueError if parameters do not fit each other, the data or the network of a warm start;
    KeyboardInterrupt at Ctrl-C. After at least one epoch the estimator keeps what it has learned.
    """
    owner = type(estimator).__name__
    images = scaled(pixels)[..., np.newaxis]  # (n, h, w, 1)
    image_size = images.shape[1:3]
    is_original = estimator.architecture == "original"
    if is_original and min(image_size) < _ORIGINAL_MIN_SIZE:
        raise ValueError(
            f"{owner} needs images of at least {_ORIGINAL_MIN_SIZE} x {_ORIGINAL_MIN_SIZE} px for "
            f"architecture='original', got {image_size[0]} x {image_size[1]}."
        )
    rng = check_random_state(estimator.random_state)
    train, held_out = np.arange(len(codes)), None
    if estimator.validation_fraction > 0:
        train, held_out = hold_out(
            owner, codes, estimator.validation_fraction, rng, otherwise="validation_fraction=0"
        )
    train = train[weights[train] > 0]  # scikeras leaves these out too
    if len(train) < 2:
        raise ValueError(
            f"{owner} needs at least 2 images of a weight above 0 to train, got n_samples = "
            f"{len(train)}."
        )
    seed = int(rng.randint(2**31 - 1))

    n_outputs = max(2, len(classes))  # Keras warns of a single one; nothing is of the second
    key: tuple[Any, ...] = (is_original, image_size, n_outputs)
    if not is_original:
        key += (tuple(int(v) for v in estimator.filters), float(estimator.dropout))
    callbacks = list(estimator.callbacks or [])
    # a callback may hold on to the network it is given, so that one is not trained again
    with _networks.lend(key, lambda: _compiled(key), keep=not callbacks) as model:
        architecture = json.loads(
            json.dumps({"class_name": "Sequential", "config": model.get_config()})
        )
        continued = estimator.warm_start and hasattr(estimator, "weights_")
        if continued:
            check_continuation(
                estimator, architecture, classes, difference="another architecture or image size"
            )
            first = estimator.weights_
            history = list(estimator.history_)
        else:
            fixed = {} if is_original else {"edges/kernel": edge_filters()}
            first = first_weights(
                model, np.random.default_rng(seed), he=not is_original, fixed=fixed
            )
            history = []
        n_before = len(history)

        def end_epoch(record: dict[str, float], best: dict[str, NDArray[Any]] | None) -> None:
            history.append({"epoch": len(history) + 1, **record})
            n_epochs = len(history)
            kept = {} if best is None else {"weights_": best, "best_epoch_": n_epochs}
            # in one step, which Ctrl-C cannot divide
            estimator.__dict__.update(
                kept,
                classes_=classes,
                architecture_=architecture,
                history_=list(history),
                n_iter_=n_epochs - n_before,
            )

        with keeping_best(estimator):
            train_keras(
                model,
                images,
                np.eye(n_outputs, dtype=np.float32)[codes],
                weights,
                held_out,
                train,
                first=first,
                recipe=_recipe(estimator),
                seed=seed,
                callbacks=callbacks,
                on_epoch=end_epoch,
                verbose=bool(estimator.verbose),
            )
            if held_out is None:  # a callback of the user's may have put others in their place
                estimator.weights_ = named_weights(model)


def build_model(architecture: dict[str, Any], weights: dict[str, NDArray[Any]]) -> Any:
    """Return the Keras model of an architecture and its weights, compiled for nothing."""
    model = keras.Sequential.from_config(architecture["config"])
    model.dtype_policy = "float32"  # whatever Keras's global one is
    set_named_weights(model, weights)
    return model


def scaled(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """Return pixels as float32; uint8 is divided by 255."""
    if pixels.dtype == np.uint8:
        return pixels.astype(np.float32) / np.float32(255)
    return pixels.astype(np.float32)


def _recipe(estimator: EmojiCNNClassifier) -> KerasRecipe:
    own = estimator.recipes[estimator.architecture]
    given = {name: getattr(estimator, name) for name in own}
    settings = {name: own[name] if value == "auto" else value for name, value in given.items()}
    return KerasRecipe(**settings, annealed=estimator.architecture != "original")


def _compiled(key: tuple[Any, ...]) -> Any:
    """Return a network ready to be trained; the key says all that it depends on."""
    is_original, image_size, n_outputs = key[:3]
    optimizer = keras.optimizers.Adam(weight_decay=None if is_original else _WEIGHT_DECAY)
    if is_original:
        model = build_original_network(image_size, n_outputs, BatchedSequential)
    else:
        optimizer.exclude_from_weight_decay(var_names=["bias", "beta", "gamma"])
        model = build_emoji_network(
            image_size,
            n_outputs,
            BatchedSequential,
            filters=key[3],
            dropout=key[4],
        )
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.CategoricalCrossentropy(
            label_smoothing=0.0 if is_original else _LABEL_SMOOTHING,
            dtype="float32",
        ),
        weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy", dtype="float32")],
        jit_compile=False,
    )
    optimizer.build(model.trainable_variables)
    return model
