"""scikit-learn's own checks on an estimator of images, none of them left out in silence."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Mapping
from functools import partial
from typing import Any
from unittest import mock

from sklearn.base import clone
from sklearn.exceptions import SkipTestWarning
from sklearn.utils import get_tags

from emotion_estimators._sklearn import estimator_check, indicator_targets, wraps_output
from emotion_estimators.testing._results import (
    OnFail,
    check_declared_failures,
    raise_failures,
    run_check,
)
from emotion_estimators.testing._sample import image_parameters

__all__ = ["check_sklearn_estimator"]


def check_sklearn_estimator(
    estimator: Any,
    *,
    expected_failed_checks: Mapping[str, str] | None = None,
    min_checks: int = 40,
    on_fail: OnFail = "raise",
) -> list[dict[str, Any]]:
    """Run all of scikit-learn's checks on an estimator of images, through 2-D rows.

    ``sklearn.utils.estimator_checks.check_estimator`` runs a single check, and reports no
    failure, on an estimator whose tags say that it takes no 2-D input; it only warns of checks
    that it skips; and it leaves out those for parameter constraints, ``set_output`` and feature
    names. Here a skipped check is a failure, too few checks are an error, and those left out are
    run too.

    Parameters
    ----------
    estimator : estimator instance
        It must take 2-D rows of 1 to 40 numbers. Where its ``image_shape`` is None it is set
        to ``(1, -1)``: each row is an image of one line. Choose the other parameters so that
        such images are large enough.
    expected_failed_checks : dict of str to str or None, default=None
        Names of checks that must fail, with the reason. One that passes counts as failed.
    min_checks : int, default=40
        Least number of checks that must have run.
    on_fail : {"raise", "warn"} or None, default="raise"
        What to do when checks fail or are skipped. All are run before.

    Returns
    -------
    results : list of dict
        One row for each check, with the keys of scikit-learn's ``check_estimator``:
        ``estimator``, ``check_name``, ``exception``, ``status`` ("passed", "failed", "xfail" or
        "skipped"), ``expected_to_fail``, ``expected_to_fail_reason``.

    Raises
    ------
    AssertionError
        If fewer than `min_checks` checks ran, or if a check fails or is skipped and
        ``on_fail="raise"``; it names all of them, and why.
    ValueError
        If `expected_failed_checks` names an unknown check or gives no reason.

    See Also
    --------
    check_image_estimator : What scikit-learn does not check.

    Notes
    -----
    Checks that need pandas are skipped, hence fail, where it is not installed; those that need
    polars run where it is.

    Examples
    --------
    >>> from emotion_estimators import HOGTransformer
    >>> from emotion_estimators.testing import check_sklearn_estimator
    >>> smallest = HOGTransformer(pixels_per_cell=(1, 1), cells_per_block=(1, 1))
    >>> results = check_sklearn_estimator(smallest)
    >>> {row["status"] for row in results}
    {'passed'}
    """
    from sklearn.utils.estimator_checks import estimator_checks_generator

    declared = dict(expected_failed_checks or {})
    shapes = image_parameters(estimator, "image_shape")
    lines = {name: (1, -1) for name, shape in shapes.items() if shape is None}
    estimator = clone(estimator).set_params(**lines) if lines else estimator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # the floor on checks says it louder
        checks = [(_name(check), check) for _, check in estimator_checks_generator(estimator)]
    checks += [
        (name, partial(estimator_check(name), type(estimator).__name__))
        for name in _left_out(estimator)
    ]
    names = [name for name, _ in checks]
    check_declared_failures("check_sklearn_estimator", declared, names)
    # Without the variable scikit-learn skips its checks of array API dispatch. They send NumPy
    # arrays unless the tags promise more, so that it need not be set before SciPy is imported.
    with (
        mock.patch.dict(os.environ, {"SCIPY_ARRAY_API": "1"}),
        warnings.catch_warnings(),
        indicator_targets(),
    ):
        # scikit-learn's checks of set_output mix arrays and DataFrames
        warnings.filterwarnings("ignore", "X (does not have valid|has) feature names", UserWarning)
        results = _merged(
            [run_check(estimator, name, check, {}) for name, check in checks], declared
        )
    n_run = sum(row["status"] != "skipped" for row in results)
    if n_run < min_checks:
        raise AssertionError(
            f"check_sklearn_estimator ran {n_run} checks on {type(estimator).__name__}, expected "
            f"at least {min_checks}. Do its tags say two_d_array=True?"
        )
    raise_failures(
        "check_sklearn_estimator",
        estimator,
        results,
        on_fail=on_fail,
        failing=("failed", "skipped"),
    )
    return results


def _left_out(estimator: Any) -> list[str]:
    """Return the names of the checks that scikit-learn's generator does not yield."""
    names = ["check_dataframe_column_names_consistency"]
    if hasattr(estimator, "_parameter_constraints"):
        names.append("check_param_validation")
    if hasattr(estimator, "transform") and hasattr(estimator, "get_feature_names_out"):
        if get_tags(estimator).requires_fit:
            names.append("check_get_feature_names_out_error")
        names += [
            "check_transformer_get_feature_names_out",
            "check_transformer_get_feature_names_out_pandas",
            "check_set_output_transform",
        ]
    if hasattr(estimator, "transform") and wraps_output(estimator):
        names += ["check_set_output_transform_pandas", "check_global_output_transform_pandas"]
        if importlib.util.find_spec("polars") is not None:
            names += [
                "check_set_output_transform_polars",
                "check_global_set_output_transform_polars",
            ]
    return names


def _merged(results: list[dict[str, Any]], declared: Mapping[str, str]) -> list[dict[str, Any]]:
    """Apply the declarations, which hold for a name: it may stand for several checks."""
    for name, reason in declared.items():
        rows = [row for row in results if row["check_name"] == name]
        for row in rows:
            row |= {"expected_to_fail": True, "expected_to_fail_reason": reason}
            if row["status"] == "failed":
                row["status"] = "xfail"
        if all(row["status"] == "passed" for row in rows):
            rows[0]["status"] = "failed"
            rows[0]["exception"] = AssertionError(f"declared to fail ({reason}), but it passed")
    return results


def _name(check: Any) -> str:
    while hasattr(check, "func") or hasattr(check, "__wrapped__"):
        check = check.func if hasattr(check, "func") else check.__wrapped__
    return str(check.__name__)
