"""The estimators of the package, as `sklearn.utils.discovery` lists scikit-learn's."""

from __future__ import annotations

import inspect

from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin

from emotion_estimators import classifiers, features
from emotion_estimators._sklearn import StrOptions, validate_params

__all__ = ["all_estimators"]

_MIXINS = {"classifier": ClassifierMixin, "transformer": TransformerMixin}


@validate_params(
    {"type_filter": [StrOptions(set(_MIXINS)), None]}, prefer_skip_nested_validation=True
)
def all_estimators(type_filter: str | None = None) -> list[tuple[str, type[BaseEstimator]]]:
    """Return all estimators of the package.

    Parameters
    ----------
    type_filter : {"classifier", "transformer"} or None, default=None
        The kind to return; None returns both.

    Returns
    -------
    estimators : list of (str, class)
        Names and classes, sorted by name.

    See Also
    --------
    sklearn.utils.discovery.all_estimators : Those of scikit-learn.

    Examples
    --------
    >>> from emotion_estimators.testing import all_estimators
    >>> [name for name, _ in all_estimators("transformer")][:3]
    ['EmotionEmbedder', 'FaceCropper', 'FacenetEmbedder']
    """
    kind = BaseEstimator if type_filter is None else _MIXINS[type_filter]
    public = {name: getattr(door, name) for door in (classifiers, features) for name in dir(door)}
    return sorted(
        (name, thing)
        for name, thing in public.items()
        if inspect.isclass(thing) and issubclass(thing, BaseEstimator) and issubclass(thing, kind)
    )
