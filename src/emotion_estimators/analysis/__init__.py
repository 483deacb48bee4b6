"""From photographs to tables of faces; names are imported when used."""

from emotion_estimators._lazy import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
