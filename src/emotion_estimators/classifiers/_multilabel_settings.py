"""Presets of `LightningMultiLabelClassifier`, and how they meet its parameters."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

__all__ = ["PRESETS", "with_preset"]

PRESETS: dict[str, dict[str, Any]] = {
    # the settings of the system that the class replaces
    "original": {
        "image_size": 384,
        "backbone": "timm:resnetv2_50",
        "pretrained": True,
        "head_hidden": 256,
        "loss": "bce",
        "threshold": 0.5,
        "learning_rate": 8e-5,
        "weight_decay": 0.01,
        "schedule": "constant",
        "gradient_clip": None,
        "max_epochs": 10,
        "batch_size": 16,
        "augmentation": 0.0,
        "ema": None,
    }
}


def with_preset(estimator: Any) -> SimpleNamespace:
    """Return the parameters of an estimator, with its preset's in place of defaults."""
    settings = estimator.get_params(deep=False)
    if settings["preset"] is None:
        return SimpleNamespace(**settings)
    defaults = inspect.signature(type(estimator)).parameters
    for name, value in PRESETS[settings["preset"]].items():
        default, given = defaults[name].default, settings[name]
        if given is default or (type(given) is type(default) and given == default):
            settings[name] = value
    return SimpleNamespace(**settings)
