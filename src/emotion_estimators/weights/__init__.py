"""Cards of weights, and their files: embedded, on disk, or fetched once and hashed.

Imports `labels` and `_downloads`; for features and classifiers.
"""

from emotion_estimators.weights.fetch import fetch_all, fetch_weights, find_weights
from emotion_estimators.weights.files import embedded_weights, file_sha256
from emotion_estimators.weights.registry import get_card, list_cards
from emotion_estimators.weights.weight_card import WeightCard, WeightFile

__all__ = [
    "WeightCard",
    "WeightFile",
    "embedded_weights",
    "fetch_all",
    "fetch_weights",
    "file_sha256",
    "find_weights",
    "get_card",
    "list_cards",
]
