"""Image-emotion models as real scikit-learn estimators.

The names are listed in ``__init__.pyi`` and imported when first used, so that importing the
package loads none of the libraries that its estimators stand on.
"""

from emotion_estimators._lazy import attach_stub

__version__ = "0.1.0.dev0"

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
