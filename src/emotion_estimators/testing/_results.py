"""What became of each check: runs checks, and reports all failures together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from unittest import SkipTest

from sklearn.exceptions import SkipTestWarning

__all__ = ["OnFail", "check_declared_failures", "raise_failures", "run_check", "warn_skips"]

OnFail = Literal["raise", "warn"] | None


def run_check(
    estimator: Any, name: str, check: Callable[[Any], object], expected_failed_checks: Any
) -> dict[str, Any]:
    """Run one check and return its row, with the keys of scikit-learn's ``check_estimator``.

    A declared failure that passes is a failure: declarations must not outlive their reason.
    """
    declared = name in expected_failed_checks
    reason = expected_failed_checks.get(name, "Check is not expected to fail")
    exception: BaseException | None = None
    try:
        check(estimator)
    except SkipTest as skip:
        status, exception = "skipped", skip
    except Exception as error:  # noqa: BLE001, RUF100 - whatever a check raises is its outcome
        status, exception = ("xfail" if declared else "failed"), error
    else:
        status = "passed"
        if declared:
            status = "failed"
            exception = AssertionError(f"declared to fail ({reason}), but it passed")
    return {
        "estimator": estimator,
        "check_name": name,
        "exception": exception,
        "status": status,
        "expected_to_fail": declared,
        "expected_to_fail_reason": reason,
    }


def check_declared_failures(
    caller: str, expected_failed_checks: Mapping[str, str], names: Iterable[str]
) -> None:
    """Raise ValueError where a failure is declared without reason or for an unknown check."""
    known = set(names)
    unknown = sorted(set(expected_failed_checks) - known)
    if unknown:
        raise ValueError(
            f"{caller} got expected_failed_checks for {', '.join(unknown)}, which it does not run "
            f"on this estimator. It runs: {', '.join(sorted(known))}."
        )
    silent = sorted(name for name, reason in expected_failed_checks.items() if not reason.strip())
    if silent:
        raise ValueError(
            f"{caller} expected a reason for each of expected_failed_checks, got none for "
            f"{', '.join(silent)}."
        )


def raise_failures(
    caller: str,
    estimator: Any,
    results: list[dict[str, Any]],
    *,
    on_fail: OnFail,
    failing: tuple[str, ...] = ("failed",),
) -> None:
    """Raise, or warn of, all rows whose status is one of `failing`; pass if there are none."""
    failed = [row for row in results if row["status"] in failing]
    if not failed or on_fail is None:
        return
    lines = [
        f"  {row['check_name']} ({row['status']}): "
        f"{type(row['exception']).__name__}: {row['exception']}"
        for row in failed
    ]
    message = (
        f"{caller}: {type(estimator).__name__} does not pass {len(failed)} of {len(results)} "
        "checks:\n" + "\n".join(lines)
    )
    if on_fail == "warn":
        warnings.warn(message, UserWarning, stacklevel=3)
        return
    raise AssertionError(message) from failed[0]["exception"]


def warn_skips(estimator: Any, results: list[dict[str, Any]]) -> None:
    """Warn of each check that could not run."""
    for row in results:
        if row["status"] == "skipped":
            warnings.warn(
                f"Skipping {row['check_name']} for {type(estimator).__name__}: {row['exception']}",
                SkipTestWarning,
                stacklevel=3,
            )
