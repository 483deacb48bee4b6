"""A classifier of label sets with the settings of the original scripts, ready to fit."""

from __future__ import annotations

from typing import Any

from emotion_estimators._sklearn import StrOptions, validate_params
from emotion_estimators.classifiers.lightning_multilabel_classifier import (
    LightningMultiLabelClassifier,
)

__all__ = ["make_multilabel_classifier"]

_ORIGINAL: dict[str, Any] = {
    "image_size": 384,
    "network": "timm:resnetv2_50",
    "weights": "timm",
    "head_hidden": 256,
    "loss": "bce",
    "threshold": 0.5,
    "augmentation": 0.0,
    "max_epochs": 10,
    "batch_size": 16,
    "learning_rate": 8e-5,
    "weight_decay": 0.01,
    "warmup": None,
    "gradient_clip": None,
    "ema_decay": None,
}


@validate_params({"preset": [StrOptions({"original"}), None]}, prefer_skip_nested_validation=True)
def make_multilabel_classifier(
    preset: str | None = "original", **overrides: Any
) -> LightningMultiLabelClassifier:
    """Return a `LightningMultiLabelClassifier` with settings that belong together.

    Parameters
    ----------
    preset : {"original"} or None, default="original"
        Which recipe to set up. "original" sets what the original scripts used: timm's pretrained
        ``resnetv2_50`` at 384 x 384 px, a head of 256 units, binary cross-entropy, AdamW at a
        constant 8e-5 without a limit of the gradient, batches of 16, 10 epochs, no augmentation.
        None leaves the defaults.
    **overrides : object
        Parameters of `LightningMultiLabelClassifier`, in place of the preset's.

    Returns
    -------
    classifier : LightningMultiLabelClassifier
        All settings are its parameters: ``repr`` shows them, a search can change each.

    Raises
    ------
    ValueError
        If there is no such preset; TypeError if there is no such parameter.

    Examples
    --------
    >>> from emotion_estimators import make_multilabel_classifier
    >>> make_multilabel_classifier(weights=None, max_epochs=3)
    LightningMultiLabelClassifier(augmentation=0.0, batch_size=16,
                                  gradient_clip=None, image_size=384,
                                  learning_rate=8e-05, max_epochs=3,
                                  network='timm:resnetv2_50', warmup=None)
    """
    settings = {} if preset is None else _ORIGINAL
    return LightningMultiLabelClassifier(**settings | overrides)
