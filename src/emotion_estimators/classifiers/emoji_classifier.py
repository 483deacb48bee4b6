"""A classifier of emoji with the settings of the original scripts, ready to fit."""

from __future__ import annotations

from typing import Any

from emotion_estimators._sklearn import StrOptions, validate_params
from emotion_estimators.classifiers.emoji_cnn_classifier import EmojiCNNClassifier

__all__ = ["make_emoji_classifier"]

_ORIGINAL: dict[str, Any] = {
    "network": "original",
    "max_epochs": 45,
    "batch_size": 6,
    "learning_rate": 0.001,
    "warmup": None,
    "weight_decay": 0.0,
    "augmentation": 0.0,
    "label_smoothing": 0.0,
    "n_iter_no_change": None,
    "test_time_augmentation": False,
}


@validate_params({"preset": [StrOptions({"original"}), None]}, prefer_skip_nested_validation=True)
def make_emoji_classifier(preset: str | None = "original", **overrides: Any) -> EmojiCNNClassifier:
    """Return a classifier of emoji, a small network of Keras, with the settings of a preset.

    Parameters
    ----------
    preset : {"original"} or None, default="original"
        Which recipe to set up. "original" is what the original scripts train: two convolutions and
        two dense layers (``network="original"``), Adam at a constant learning rate of 0.001, 45
        passes in batches of 6 images as they are. ``repr`` shows all settings that differ from the
        defaults. None is `EmojiCNNClassifier` with its defaults, which is more accurate.
    **overrides : object
        Parameters of `EmojiCNNClassifier`, in place of the preset's.

    Returns
    -------
    classifier : EmojiCNNClassifier
        Not fitted.

    Raises
    ------
    TypeError
        If `EmojiCNNClassifier` has no such parameter.
    ValueError
        If there is no such preset.

    Examples
    --------
    >>> from emotion_estimators import make_emoji_classifier
    >>> classifier = make_emoji_classifier(max_epochs=10, random_state=0)
    >>> classifier.network, classifier.max_epochs, classifier.batch_size
    ('original', 10, 6)
    """
    settings = {} if preset is None else _ORIGINAL
    return EmojiCNNClassifier(**settings | overrides)
