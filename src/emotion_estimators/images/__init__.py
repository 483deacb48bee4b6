"""Read, convert and resize: pure array functions.

The names are listed in ``__init__.pyi`` and imported when used, so that who only looks at suffixes
does not load Pillow.
"""

from lazy_loader import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
