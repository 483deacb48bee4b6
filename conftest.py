"""What needs a library of networks is skipped where it is not installed: `make test-python`."""

import doctest
import importlib.util

import pytest

# what the dependency group test brings beside test-core
NETWORKS = {
    "dask", "distributed", "keras", "pytorch_lightning", "scikeras", "skorch", "tensorflow", "torch"
}  # fmt: skip


def missing_library(error):
    """Return the library of networks for lack of which an error was raised, or None."""
    while error is not None:
        package = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ImportError) and package in NETWORKS:
            return None if importlib.util.find_spec(package) else package
        is_example = isinstance(error, doctest.UnexpectedException)
        error = error.exc_info[1] if is_example else error.__cause__ or error.__context__
    return None


def skip_without_library(report, path, call):
    """Let a report of a failure say that it was skipped, if such a library is not installed."""
    package = None if call.excinfo is None else missing_library(call.excinfo.value)
    if report.failed and package is not None:
        report.outcome = "skipped"
        report.longrepr = (str(path), 0, f"Skipped: needs {package}")
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector):
    report = yield
    return skip_without_library(report, collector.path, report.call)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    return skip_without_library(report, item.path, call)
