"""Splits of data whose images have several labels each.

The names are listed in ``__init__.pyi`` and imported when used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
