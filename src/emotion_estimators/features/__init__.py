"""Transformers that turn images into descriptors."""

from emotion_estimators.features.hog_transformer import HOGTransformer

__all__ = ["HOGTransformer"]
