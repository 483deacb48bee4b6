"""Checks of what an estimator does and leaves alone: batches, seeds, parameters, global state."""

from __future__ import annotations

import builtins
import contextlib
import importlib
import io
import logging
import pickle
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import joblib
import numpy as np
from sklearn.exceptions import NotFittedError

from emotion_estimators.testing._sample import (
    Sample,
    assert_same,
    assert_same_outputs,
    fit,
    fresh,
    is_estimator,
    output_methods,
    outputs,
)

__all__ = [
    "check_batches",
    "check_fit_twice",
    "check_global_random_state_untouched",
    "check_global_settings_untouched",
    "check_images_unchanged",
    "check_init_only_assigns",
    "check_not_fitted_error",
    "check_output_leaves_estimator_unchanged",
    "check_parameters_unchanged",
    "check_same_seed_same_fit",
    "check_stateless",
]


def check_batches(estimator: Any, sample: Sample) -> None:
    """Check that an image gets the same output in every batch, also alone in one."""
    X = sample.X
    fitted = fit(estimator, X, sample.y)
    everything = outputs(fitted, X)
    name, n = type(estimator).__name__, len(X)
    for method, got in everything.items():
        if got.ndim == 0 or len(got) != n:
            raise AssertionError(f"{name}.{method} gives shape {got.shape} for {n} images.")
    order = np.random.default_rng(0).permutation(n)
    batches = {"the same images again": np.arange(n), "the images in another order": order}
    for count in (2, 7, 11, 32, 33):
        if count < n:
            batches[f"the last {count} of {n} images"] = np.arange(n - count, n)
    batches["one image many times"] = np.zeros(n + 1, dtype=int)
    batches |= {f"image {row} alone": np.array([row]) for row in range(n)}
    for what, rows in batches.items():
        assert_same_outputs(
            fitted, X[rows], everything, what, rows=rows, tolerance=sample.batch_tolerance
        )


def check_same_seed_same_fit(estimator: Any, sample: Sample) -> None:
    """Check that two fits with the same random_state are equal, whatever NumPy's state is."""
    X, y = sample.X, sample.y
    with _global_random_state_kept():
        _seed_globally(1)
        expected = outputs(fit(estimator, X, y), X)
        _seed_globally(2)
        assert_same_outputs(
            fit(estimator, X, y), X, expected, "the same images, after a second fit of a clone"
        )


def check_global_random_state_untouched(estimator: Any, sample: Sample) -> None:
    """Check that nothing draws from, or seeds, the global random states of Python, NumPy, torch."""
    X, y = sample.X, sample.y
    with _global_random_state_kept():
        outputs(fit(estimator, X, y), X)  # imports what it needs, so that all states exist
        _seed_globally(1)  # else a fit that seeds has done so already, and changes nothing now
        before = _random_states()
        fitted = fit(estimator, X, y)
        _assert_equal_states(before, _random_states(), f"{type(estimator).__name__}.fit")
        for method, give in output_methods(fitted).items():
            give(X)
            where = f"{type(estimator).__name__}.{method}"
            _assert_equal_states(before, _random_states(), where)


def check_global_settings_untouched(estimator: Any, sample: Sample) -> None:
    """Check that nothing changes warning filters, NumPy's errors, logging or torch's settings."""
    X, y = sample.X, sample.y
    name = type(estimator).__name__
    with warnings.catch_warnings(), np.errstate():
        outputs(fit(estimator, X, y), X)  # what an import changes is not looked at
    with warnings.catch_warnings(), np.errstate():
        before = _global_settings()
        outputs(fit(estimator, X, y), X)
        _assert_equal_states(before, _global_settings(), f"{name}, fit and output,")


def check_fit_twice(estimator: Any, sample: Sample) -> None:
    """Check that a second fit forgets the first: on the same and on other images."""
    X, y = sample.X, sample.y
    once = fit(estimator, X, y)
    expected, attributes = outputs(once, X), {key for key in vars(once) if key.endswith("_")}
    assert_same_outputs(once.fit(X, y), X, expected, "images, after two equal fits")
    half = X[: len(X) // 2, :-8]
    other = fit(estimator, half, y[: len(half)]).fit(X, y)
    assert_same_outputs(other, X, expected, "images, after a first fit on others")
    attributes ^= {key for key in vars(other) if key.endswith("_")}
    if attributes:
        raise AssertionError(
            f"{type(estimator).__name__} has other fitted attributes after a second fit: "
            f"{sorted(attributes)}."
        )


def check_images_unchanged(estimator: Any, sample: Sample) -> None:
    """Check that neither fit nor output writes into X or y."""
    for X in (sample.X, sample.floats):
        given, targets = X.copy(), sample.y.copy()
        items = [image.copy() for image in X]
        fitted = fit(estimator, given, targets)
        name = type(estimator).__name__
        assert_same(given, X, f"X after {name}.fit")
        assert_same(targets, sample.y, f"y after {name}.fit")
        for method, give in output_methods(fitted).items():
            give(given)
            assert_same(given, X, f"X after {name}.{method}")
            give(items)
            assert_same(np.stack(items), X, f"a list X after {name}.{method}")


def check_output_leaves_estimator_unchanged(estimator: Any, sample: Sample) -> None:
    """Check that no output method changes the estimator, not even its private attributes."""
    fitted = fit(estimator, sample.X, sample.y)
    before = _attribute_hashes(fitted)
    for method, give in output_methods(fitted).items():
        give(sample.X)
        changed = _differences(before, _attribute_hashes(fitted))
        if changed:
            raise AssertionError(
                f"{type(estimator).__name__}.{method} changes the estimator: {', '.join(changed)}."
            )


def check_parameters_unchanged(estimator: Any, sample: Sample) -> None:
    """Check that fit does not change a constructor parameter, nor what it holds."""
    unfitted = fresh(estimator)
    values = _plain_parameters(unfitted)
    hashes = {key: joblib.hash(value) for key, value in values.items()}
    after = _plain_parameters(unfitted.fit(sample.X, sample.y))
    changed = [
        key
        for key, value in values.items()
        if after[key] is not value or joblib.hash(after[key]) != hashes[key]
    ]
    if changed:
        raise AssertionError(
            f"{type(estimator).__name__}.fit changes the parameters {', '.join(changed)}."
        )


def check_init_only_assigns(estimator: Any, sample: Sample) -> None:  # noqa: ARG001
    """Check that constructing sets the parameters and does nothing else: no import, no file."""
    cls = type(estimator)
    parameters = estimator.get_params(deep=False)
    with _imports_and_files() as seen:
        made = cls(**parameters)
    if seen:
        raise AssertionError(f"{cls.__name__}.__init__ {', '.join(sorted(set(seen)))}.")
    odd = [
        key for key in set(vars(made)) | set(parameters)
        if key not in parameters or vars(made).get(key, made) is not parameters[key]
    ]  # fmt: skip
    if odd:
        raise AssertionError(
            f"{cls.__name__}.__init__ does more than to assign its parameters: look at "
            f"{', '.join(sorted(odd))}."
        )


def check_not_fitted_error(estimator: Any, sample: Sample) -> None:
    """Check that output before fit is a NotFittedError."""
    for method in output_methods(fresh(estimator)):
        where = f"{type(estimator).__name__}.{method}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # pipelines warn before their steps raise
                getattr(fresh(estimator), method)(sample.X)
        except NotFittedError:
            continue
        except Exception as error:
            raise AssertionError(
                f"{where} raises {type(error).__name__} before fit, expected NotFittedError: "
                f"{error}"
            ) from error
        raise AssertionError(f"{where} works before fit; if it should, set tags.requires_fit.")


def check_stateless(estimator: Any, sample: Sample) -> None:
    """Check that an estimator with requires_fit=False gives the same before as after a fit."""
    expected = outputs(fit(estimator, sample.X, sample.y), sample.X)
    assert_same_outputs(fresh(estimator), sample.X, expected, "images, without a fit")


def _seed_globally(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - the legacy state is what must not matter
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(seed)


def _random_states() -> dict[str, Any]:
    states: dict[str, Any] = {
        "random": random.getstate(),
        "numpy.random": np.random.get_state(legacy=False),  # noqa: NPY002
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        states["torch"] = torch.get_rng_state().numpy()
        if torch.cuda.is_initialized():
            states["torch.cuda"] = [state.numpy() for state in torch.cuda.get_rng_state_all()]
    return states


@contextlib.contextmanager
def _global_random_state_kept() -> Iterator[None]:
    states = _random_states()
    try:
        yield
    finally:
        random.setstate(states["random"])
        np.random.set_state(states["numpy.random"])  # noqa: NPY002
        torch = sys.modules.get("torch")
        if torch is not None and "torch" in states:
            torch.set_rng_state(torch.from_numpy(states["torch"]))
        if torch is not None and "torch.cuda" in states:
            torch.cuda.set_rng_state_all([torch.from_numpy(one) for one in states["torch.cuda"]])


def _global_settings() -> dict[str, Any]:
    settings: dict[str, Any] = {
        "warnings.filters": [str(item) for item in warnings.filters],
        "numpy.geterr": np.geterr(),
        "logging": [logging.root.level, [str(handler) for handler in logging.root.handlers]],
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        settings["torch"] = [
            torch.get_num_threads(),
            str(torch.get_default_dtype()),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cudnn.benchmark,
            torch.backends.cudnn.deterministic,
        ]
    return settings


def _assert_equal_states(before: dict[str, Any], after: dict[str, Any], where: str) -> None:
    changed = [key for key in before if joblib.hash(before[key]) != joblib.hash(after[key])]
    if changed:
        raise AssertionError(f"{where} changes the global state of {', '.join(changed)}.")


def _attribute_hashes(estimator: Any) -> dict[str, Any]:
    hashes = {}
    for key, value in vars(estimator).items():
        try:
            hashes[key] = joblib.hash(value)
        except (TypeError, AttributeError, pickle.PicklingError):
            hashes[key] = id(value)  # a handle of the system; at least it must be the same one
    return hashes


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    keys = sorted(set(before) | set(after))
    return [key for key in keys if before.get(key) != after.get(key)]


def _plain_parameters(estimator: Any) -> dict[str, Any]:
    """Return the parameters that are no estimators: pipelines fit theirs in place."""
    parameters = estimator.get_params()
    return {key: value for key, value in parameters.items() if not is_estimator(value)}


@contextlib.contextmanager
def _imports_and_files() -> Iterator[list[str]]:
    """Record the imports, also of what is loaded already, and the files opened inside."""
    seen: list[str] = []

    def recorded(word: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def record(*args: Any, **kwargs: Any) -> Any:
            seen.append(f"{word} {[*args, *kwargs.values()][0]}")
            return real(*args, **kwargs)

        return record

    with contextlib.ExitStack() as patches:
        for owner, name, word in (
            (builtins, "__import__", "imports"),
            (importlib, "import_module", "imports"),
            (builtins, "open", "opens"),
            (io, "open", "opens"),
        ):
            patch = mock.patch.object(owner, name, recorded(word, getattr(owner, name)))
            patches.enter_context(patch)
        yield seen
