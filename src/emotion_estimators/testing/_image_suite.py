"""The suite for estimators that take images: which checks apply, and the ways to run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils import get_tags

from emotion_estimators.testing._behaviour_checks import (
    check_batches,
    check_fit_twice,
    check_global_random_state_untouched,
    check_global_settings_untouched,
    check_images_unchanged,
    check_init_only_assigns,
    check_not_fitted_error,
    check_output_leaves_estimator_unchanged,
    check_parameters_unchanged,
    check_same_seed_same_fit,
    check_stateless,
)
from emotion_estimators.testing._input_checks import (
    check_bad_dtypes_refused,
    check_bad_pixels_refused,
    check_bad_ranks_refused,
    check_column_of_images,
    check_image_rows,
    check_image_size_refused,
    check_image_size_resized,
    check_memory_layouts,
    check_same_pixels,
    check_unreadable_files_named,
)
from emotion_estimators.testing._lifecycle_checks import (
    check_clone,
    check_grid_search,
    check_joblib,
    check_pickle,
    check_skops,
)
from emotion_estimators.testing._output_checks import (
    check_label_indicators,
    check_labels,
    check_predictions_and_probabilities,
    check_set_output_on_images,
)
from emotion_estimators.testing._results import (
    OnFail,
    check_declared_failures,
    raise_failures,
    run_check,
    warn_skips,
)
from emotion_estimators.testing._sample import (
    Sample,
    image_parameters,
    is_multi_label,
    make_sample,
)

__all__ = ["check_image_estimator", "image_estimator_checks", "parametrize_with_image_checks"]

_Check = Callable[..., None]  # (estimator, sample)


def image_estimator_checks(
    estimator: Any,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    batch_tolerance: float = 0.0,
) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """Yield the checks that apply to an estimator that takes images.

    Parameters
    ----------
    estimator : estimator instance
        A transformer, classifier or pipeline; it is cloned, not changed.
    X : array-like of uint8, shape (n, height, width) or (n, height, width, 3) or None, default=None
        Images in 0..255 to check with, at least 12 of one size. None draws 36 faces with
        `~emotion_estimators.datasets.make_faces`, 40 x 48 pixels, in grey and in colour.
    y : array-like of shape (n,) or (n, n_outputs) or None, default=None
        Their targets. None gives the names of emotions, or three columns of 0 and 1 to an
        estimator whose tags say ``multi_label=True`` and ``single_output=False``.
    batch_tolerance : float, default=0.0
        Largest difference allowed between the outputs for an image in one batch and in another.
        0 is bit for bit; an estimator that ends in a matrix product of the whole batch, as
        scikit-learn's linear models do, needs about 1e-12.

    Yields
    ------
    estimator : estimator instance
        As given.
    check : callable
        ``check(estimator)`` raises if the estimator does not pass; ``check.func.__name__`` is
        its name.

    Raises
    ------
    ValueError
        If `X` or `y` cannot be used.

    Examples
    --------
    >>> from emotion_estimators import HOGTransformer
    >>> from emotion_estimators.testing import image_estimator_checks
    >>> estimator, check = next(image_estimator_checks(HOGTransformer()))
    >>> check.func.__name__
    'check_same_pixels'
    """
    multi_label = is_multi_label(estimator)
    sample = make_sample(X, y, batch_tolerance, multi_label=multi_label)
    for check in _applicable_checks(estimator, sample):
        yield estimator, partial(check, sample=sample)


def check_image_estimator(
    estimator: Any,
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    batch_tolerance: float = 0.0,
    on_skip: Literal["raise", "warn"] | None = "warn",
    on_fail: OnFail = "raise",
) -> list[dict[str, Any]]:
    """Check whether an estimator keeps the promises of estimators that take images.

    scikit-learn's ``check_estimator`` runs next to nothing on estimators whose input is not
    2-D. This checks what matters for images: that arrays, lists, rows, files and PIL images of
    the same pixels give the same; that an output does not depend on the other images of its
    batch; that wrong images are refused with an error that names them; that a fit is
    reproducible, and touches neither its input nor global state; labels, clones, grid search,
    saving and loading.

    Parameters
    ----------
    estimator : estimator instance
        A transformer, classifier or pipeline; it is cloned, not changed. It is fitted about 100
        times: make it small.
    X : array-like of uint8, shape (n, height, width) or (n, height, width, 3) or None, default=None
        Images in 0..255 to check with, at least 12 of one size. None draws 36 faces with
        `~emotion_estimators.datasets.make_faces`, 40 x 48 pixels, in grey and in colour.
    y : array-like of shape (n,) or (n, n_outputs) or None, default=None
        Their targets. None gives the names of emotions, or three columns of 0 and 1 to an
        estimator whose tags say ``multi_label=True`` and ``single_output=False``.
    expected_failed_checks : dict of str to str or None, default=None
        Names of checks that must fail, with the reason. One that passes counts as failed.
    batch_tolerance : float, default=0.0
        Largest difference allowed between the outputs for an image in one batch and in another.
        0 is bit for bit; an estimator that ends in a matrix product of the whole batch, as
        scikit-learn's linear models do, needs about 1e-12.
    on_skip : {"raise", "warn"} or None, default="warn"
        What to do when a check cannot run, because pandas or skops is not installed.
    on_fail : {"raise", "warn"} or None, default="raise"
        What to do when checks fail. All checks are run before.

    Returns
    -------
    results : list of dict
        One row for each check, with the keys of scikit-learn's ``check_estimator``:
        ``estimator``, ``check_name``, ``exception``, ``status`` ("passed", "failed", "xfail" or
        "skipped"), ``expected_to_fail``, ``expected_to_fail_reason``.

    Raises
    ------
    AssertionError
        If a check fails and ``on_fail="raise"``; it names all that fail, and why.
    ValueError
        If `X` or `y` cannot be used, or `expected_failed_checks` names an unknown check.

    See Also
    --------
    check_sklearn_estimator : scikit-learn's own checks, all of them.
    parametrize_with_image_checks : The same checks as tests of pytest.

    Notes
    -----
    What is checked depends on the estimator: labels only on classifiers, rows only where there
    is a parameter ``image_shape``, ``set_output`` only where there is one. An estimator that
    resizes what it gets, whatever its parameters, fails ``check_image_size_refused``; declare
    that.

    Files are written to a temporary folder, and one check starts two processes.

    Examples
    --------
    >>> from emotion_estimators.testing import check_image_estimator
    >>> from sklearn.dummy import DummyClassifier
    >>> results = check_image_estimator(DummyClassifier(), on_fail=None, on_skip=None)
    >>> for row in results[:3]:
    ...     print(row["check_name"], row["status"])
    check_same_pixels passed
    check_column_of_images failed
    check_memory_layouts passed
    """
    declared = dict(expected_failed_checks or {})
    checks = list(image_estimator_checks(estimator, X, y, batch_tolerance=batch_tolerance))
    names = [_name(check) for _, check in checks]
    check_declared_failures("check_image_estimator", declared, names)
    results = [
        run_check(estimator, name, check, declared)
        for name, (_, check) in zip(names, checks, strict=True)
    ]
    failing = ("failed", "skipped") if on_skip == "raise" else ("failed",)
    if on_skip == "warn":
        warn_skips(estimator, results)
    raise_failures("check_image_estimator", estimator, results, on_fail=on_fail, failing=failing)
    return results


def parametrize_with_image_checks(
    estimators: Sequence[Any],
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    expected_failed_checks: Callable[[Any], Mapping[str, str]] | None = None,
    batch_tolerance: float = 0.0,
) -> Any:
    """Make one test of pytest from each check on each estimator.

    Parameters
    ----------
    estimators : sequence of estimator instances
        What to check.
    X, y : array-like or None, default=None
        As for `check_image_estimator`.
    expected_failed_checks : callable or None, default=None
        Given an estimator, returns the names of the checks that must fail, with the reason.
    batch_tolerance : float, default=0.0
        As for `check_image_estimator`.

    Returns
    -------
    decorator : pytest.MarkDecorator
        For a test with the arguments ``estimator`` and ``check`` that calls
        ``check(estimator)``.

    Raises
    ------
    ValueError
        As from `check_image_estimator`.

    Examples
    --------
    >>> from emotion_estimators import HOGTransformer
    >>> from emotion_estimators.testing import parametrize_with_image_checks
    >>> @parametrize_with_image_checks([HOGTransformer()])
    ... def test_image_contract(estimator, check):
    ...     check(estimator)
    """
    import pytest

    cases = []
    for estimator in estimators:
        declared = dict(expected_failed_checks(estimator)) if expected_failed_checks else {}
        checks = list(image_estimator_checks(estimator, X, y, batch_tolerance=batch_tolerance))
        names = [_name(check) for _, check in checks]
        check_declared_failures("parametrize_with_image_checks", declared, names)
        for name, (_, check) in zip(names, checks, strict=True):
            xfail = pytest.mark.xfail(reason=declared.get(name, ""), strict=True)
            case_id = f"{type(estimator).__name__}-{name}"
            cases.append(
                pytest.param(
                    estimator, check, marks=[xfail] if name in declared else [], id=case_id
                )
            )
    return pytest.mark.parametrize(("estimator", "check"), cases)


def _applicable_checks(estimator: Any, sample: Sample) -> Iterator[_Check]:
    yield check_same_pixels
    if image_parameters(estimator, "image_shape"):
        yield check_image_rows
    yield check_column_of_images
    yield check_memory_layouts
    sizes = image_parameters(estimator, "image_size").values()
    if all(size is None for size in sizes):
        yield check_image_size_refused
    if sizes:
        yield check_image_size_resized
    yield check_bad_pixels_refused
    yield check_bad_dtypes_refused
    yield check_bad_ranks_refused
    yield check_unreadable_files_named

    yield check_init_only_assigns
    requires_fit = get_tags(estimator).requires_fit
    if requires_fit:
        yield check_not_fitted_error
    else:
        yield check_stateless
    yield check_batches
    yield check_same_seed_same_fit
    yield check_fit_twice
    yield check_global_random_state_untouched
    yield check_global_settings_untouched
    yield check_images_unchanged
    yield check_parameters_unchanged
    yield check_output_leaves_estimator_unchanged

    if is_classifier(estimator) and sample.y.ndim == 1:
        yield check_predictions_and_probabilities
        if requires_fit:  # else the classes are those of the pretrained model
            yield check_labels
    if is_multi_label(estimator) and sample.y.ndim == 2:
        yield check_label_indicators
    if hasattr(estimator, "transform") and hasattr(estimator, "set_output"):
        yield check_set_output_on_images

    yield check_clone
    yield check_grid_search
    yield check_pickle
    yield check_joblib
    yield check_skops


def _name(check: Callable[[Any], None]) -> str:
    assert isinstance(check, partial)  # noqa: S101 - made above
    return str(check.func.__name__)
