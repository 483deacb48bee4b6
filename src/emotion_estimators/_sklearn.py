"""The only door to scikit-learn's private names, so that a rename there is one edit here."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from importlib.metadata import metadata
from numbers import Integral, Real
from os import PathLike
from typing import Any, cast

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
)
from sklearn.utils._param_validation import validate_params as _validate_params
from sklearn.utils._set_output import _auto_wrap_is_configured as wraps_output
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _get_feature_names as get_feature_names
from sklearn.utils.validation import validate_data

from emotion_estimators import __version__
from emotion_estimators.exceptions import short_messages

__all__ = [
    "HasMethods",
    "ImageEstimator",
    "Interval",
    "StrOptions",
    "check_feature_names_in",
    "constraints",
    "estimator_check",
    "fit_context",
    "get_feature_names",
    "indicator_targets",
    "keep_fitted",
    "own_random_state",
    "safe_indexing",
    "train_test_sizes",
    "validate_data",
    "validate_params",
    "wants_pandas",
    "wraps_output",
]

_DISTRIBUTION = "emotion-estimators"
_VERSION = "_emotion_estimators_version"  # of what is saved


class ImageEstimator(BaseEstimator):
    """The base of all estimators here: what scikit-learn does only for estimators of its own.

    A saved one says which version of this library saved it, and another version warns when it is
    loaded. In notebooks it is linked to its page, where the documentation has an address.
    """

    _doc_link_module = _DISTRIBUTION.replace("-", "_")

    @property
    def _doc_link_template(self) -> str:
        base = _documentation()
        return base and f"{base}/api/generated/{self._doc_link_module}.{{estimator_name}}.html"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True  # paths
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), _VERSION: __version__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        saved = {name: value for name, value in state.items() if name != _VERSION}
        super().__setstate__(saved)
        version = state.get(_VERSION)
        if version != __version__:
            warnings.warn(
                f"{type(self).__name__} was saved by {_DISTRIBUTION} {version or 'before 0.1.0'} "
                f"and is loaded by {__version__}, where it may fail or answer otherwise. Load it "
                "with the version that saved it, or fit it again.",
                UserWarning,
                stacklevel=2,
            )


@cache
def _documentation() -> str:
    """Return the address of the documentation, nothing if it has none."""
    links = (link.split(", ", 1) for link in metadata(_DISTRIBUTION).get_all("Project-URL") or ())
    return str(dict(links).get("Documentation", ""))


# One word, one constraint: the table of the glossary in code.
_CONSTRAINTS: dict[str, list[Any]] = {
    "augmentation": [Interval(Real, 0, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "cache": [str, PathLike, None],
    "callbacks": [list, tuple, None],
    "checkpoint_dir": [str, PathLike, None],
    "class_prior": [StrOptions({"uniform"}), "array-like", dict, None],
    "class_weight": [dict, StrOptions({"balanced"}), None],
    "color": [StrOptions({"grey", "rgb"})],
    "device": [str],
    "ema_decay": [Interval(Real, 0, 1, closed="neither"), None],
    "erasing": [Interval(Real, 0, 1, closed="both")],
    "image_shape": [tuple, list, None],
    "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
    "label_smoothing": [Interval(Real, 0, 1, closed="left")],
    "labels": ["array-like", None],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "max_time": [Interval(Real, 0, None, closed="neither"), None],
    "mixup": [Interval(Real, 0, None, closed="left")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), None],
    "n_samples": [Interval(Integral, 1, None, closed="left")],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "network": [str, dict, callable],
    "optimizer": [callable, None],
    "path": [str, PathLike],
    "precision": [StrOptions({"auto", "float32", "bfloat16"})],
    "random_state": ["random_state"],
    "resume": ["boolean", str, PathLike],
    "return_X_y": ["boolean"],
    "standardization": [StrOptions({"fixed", "prewhiten"})],
    "test_time_augmentation": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
    "vendor": [str, "array-like", None],
    "verbose": ["verbose"],
    "warm_start": ["boolean"],
    "warmup": [Interval(Real, 0, 1, closed="both"), None],
    "weight_decay": [Interval(Real, 0, None, closed="left")],
    "weights": [str, PathLike, HasMethods("state_dict"), None],
}


def constraints(*words: str) -> dict[str, list[Any]]:
    """Return the constraints of parameters that several classes have, in the order asked for."""
    return {word: _CONSTRAINTS[word] for word in words}


def validate_params(
    constraints: dict[str, list[Any]], *, prefer_skip_nested_validation: bool
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return scikit-learn's decorator of functions, whose errors are no longer than a screen."""
    validated = _validate_params(
        constraints, prefer_skip_nested_validation=prefer_skip_nested_validation
    )
    return lambda function: cast("Callable[..., Any]", short_messages()(validated(function)))


def fit_context(
    *, prefer_skip_nested_validation: bool
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return scikit-learn's decorator of ``fit``, with which a fit is whole or does not happen.

    A decorated ``fit`` or ``fit_transform`` works on a shallow copy of the estimator, whose
    attributes are assigned together once it has succeeded; one that fails leaves the estimator as
    it was. So it must not change in place what an attribute holds. Other methods are only
    decorated as scikit-learn does. No error of either has a message longer than a screen.
    """
    validated = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)

    def decorate(method: Callable[..., Any]) -> Callable[..., Any]:
        if not method.__name__.startswith("fit"):
            return cast("Callable[..., Any]", short_messages()(validated(method)))

        @wraps(method)
        def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
            fitted = object.__new__(type(self))
            fitted.__dict__.update(vars(self))
            try:
                result = method(fitted, *args, **kwargs)
            except BaseException as error:
                if getattr(error, _KEEPS_FITTED, False):
                    self.__dict__ = vars(fitted)
                raise
            self.__dict__ = vars(fitted)
            return self if result is fitted else result

        return cast("Callable[..., Any]", short_messages()(validated(fit)))

    return decorate


_KEEPS_FITTED = "_keeps_fitted"


def keep_fitted(error: BaseException, note: str) -> None:
    """Let a fit that ends with this error keep what it has assigned so far, a consistent set.

    `note` is added to the error: it says what is kept.
    """
    error.add_note(note)
    setattr(error, _KEEPS_FITTED, True)


def own_random_state(random_state: Any) -> np.random.RandomState:
    """Return what ``check_random_state`` gives, but for None a state of its own.

    scikit-learn's would be NumPy's global one, which nothing here uses or changes.
    """
    given = np.random.RandomState() if random_state is None else random_state
    return cast("np.random.RandomState", check_random_state(given))


def wants_pandas(transformer: Any) -> bool:
    """Whether a transformer, or the configuration, is to give DataFrames of pandas."""
    return bool(_get_output_config("transform", transformer)["dense"] == "pandas")


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


@contextmanager
def indicator_targets() -> Iterator[None]:
    """Let scikit-learn's checks give one column of 0 and 1 to estimators that want columns.

    They reshape their targets for estimators whose tags say ``single_output=False``, but leave
    two classes of any numbers in them, which no multi-label classifier can take for labels.
    """
    from unittest import mock  # it imports asyncio

    from sklearn.utils import estimator_checks

    enforce = estimator_checks._enforce_estimator_tags_y

    def enforce_indicators(estimator: Any, y: Any) -> Any:
        given = enforce(estimator, y)
        tags = get_tags(estimator)
        is_column = given.ndim == 2 and given.shape[1] == 1 and given.size > 0
        is_column = is_column and np.isfinite(given).all()
        if is_column and tags.classifier_tags is not None and tags.classifier_tags.multi_label:
            return (given != given.min()).astype(np.int64)
        return given

    with mock.patch.object(estimator_checks, "_enforce_estimator_tags_y", enforce_indicators):
        yield
