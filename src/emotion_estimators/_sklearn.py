"""The only door to scikit-learn's private names, so that a rename there is one edit here."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from sklearn.base import _fit_context as fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import validate_data

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_feature_names_in",
    "estimator_check",
    "fit_context",
    "safe_indexing",
    "train_test_sizes",
    "validate_data",
    "validate_params",
]


def estimator_check(name: str) -> Callable[..., None]:
    """Return a check of ``sklearn.utils.estimator_checks``, called with a name and an estimator.

    Only two functions of that module are public. It is loaded here, not with this module: it
    imports half of scikit-learn.
    """
    from sklearn.utils import estimator_checks

    return cast("Callable[..., None]", getattr(estimator_checks, name))


def train_test_sizes(
    n_samples: int, test_size: float | None, train_size: float | None
) -> tuple[int, int]:
    """Return the numbers of training and test rows that ``train_test_split`` would choose.

    Loaded here, not with this module: ``sklearn.model_selection`` imports half of scikit-learn.
    """
    from sklearn.model_selection._split import _validate_shuffle_split

    n_train, n_test = _validate_shuffle_split(
        n_samples, test_size, train_size, default_test_size=0.25
    )
    return n_train, n_test
