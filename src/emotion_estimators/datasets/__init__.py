"""Data to learn from: `make_*` is generated, `load_*` lies on disk, `fetch_*` is downloaded.

The names are listed in ``__init__.pyi`` and imported when used.
"""

from emotion_estimators._lazy import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
