"""What people voted and how common classes are, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotion_estimators.exceptions import counted, shorten
from emotion_estimators.labels import OTHER_VOTES
from emotion_estimators.validation.masks import check_unmasked

__all__ = ["check_class_prior", "check_votes", "count_votes"]

_N_NAMED = 10  # rows of votes named in a message
_LEAST_SHARE = 1e-12  # of a class in a prior: below it, dividing by it means nothing


def check_votes(
    votes: Any, classes: ArrayLike, *, n_samples: int, name: str = "check_votes"
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return what people voted as targets to learn from, and how much each of them weighs.

    Parameters
    ----------
    votes : array-like or DataFrame of shape (n_samples, n_classes)
        Counts or shares, in the order of `classes`; or a frame that has a column for each class,
        in any order, and may have ``contempt``, ``unknown`` and ``no_face``. A row of zeros is an
        image that nobody was asked about.
    classes : array-like of shape (n_classes,)
        As ``classes_``.
    n_samples : int
        Number of images.
    name : str, default="check_votes"
        Who asks, for messages: the name of the estimator.

    Returns
    -------
    targets : ndarray of shape (n_samples, n_classes), dtype float32
        The votes for each class divided by their sum over the classes; zeros where that is 0.
    weights : ndarray of shape (n_samples,), dtype float32
        That sum divided by the sum over all columns, in 0..1; 0 for a row of zeros.

    Raises
    ------
    ValueError
        If shape or columns are others, or a vote is no number, not finite or below 0; the message
        names the rows.

    Examples
    --------
    >>> import pandas as pd
    >>> from emotion_estimators.validation import check_votes
    >>> votes = pd.DataFrame({"sad": [1, 0], "happy": [3, 0], "unknown": [4, 0]})
    >>> targets, weights = check_votes(votes, ["happy", "sad"], n_samples=2)
    >>> targets.tolist(), weights.tolist()
    ([[0.75, 0.25], [0.0, 0.0]], [0.5, 0.0])
    """
    counts, totals = count_votes(votes, classes, n_samples=n_samples, name=name)
    sums = counts.sum(axis=1)
    has_votes = sums > 0
    targets = np.zeros(counts.shape, np.float32)
    weights = np.zeros(len(counts), np.float32)
    targets[has_votes] = counts[has_votes] / sums[has_votes, np.newaxis]
    weights[has_votes] = sums[has_votes] / totals[has_votes]
    return targets, weights


def count_votes(
    votes: Any, classes: ArrayLike, *, n_samples: int, name: str = "count_votes"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the votes for each class, and how many votes there are with those for none of them.

    Parameters
    ----------
    votes : array-like or DataFrame of shape (n_samples, n_classes)
        As for `check_votes`.
    classes : array-like of shape (n_classes,)
        As ``classes_``.
    n_samples : int
        Number of images.
    name : str, default="count_votes"
        Who asks, for messages: the name of the estimator.

    Returns
    -------
    counts : ndarray of shape (n_samples, n_classes), dtype float64
        In the order of `classes`.
    totals : ndarray of shape (n_samples,), dtype float64
        The sum over all columns.

    Raises
    ------
    ValueError
        As from `check_votes`.

    Examples
    --------
    >>> import pandas as pd
    >>> from emotion_estimators.validation import count_votes
    >>> votes = pd.DataFrame({"sad": [1], "happy": [3], "unknown": [4]})
    >>> counts, totals = count_votes(votes, ["happy", "sad"], n_samples=1)
    >>> counts.tolist(), totals.tolist()
    ([[3.0, 1.0]], [8.0])
    """
    columns = np.asarray(classes).tolist()
    n_classes = len(columns)
    check_unmasked(name, votes=votes)
    try:
        values = np.asarray(votes)
    except ValueError as error:  # ragged lists
        raise ValueError(f"{name} expected rows of votes that are equally long: {error}") from None
    if hasattr(votes, "columns"):
        columns = _vote_columns(list(votes.columns), columns, name)
    if values.shape != (n_samples, len(columns)):
        raise ValueError(
            f"{name} expected votes (n_samples, n_classes) = {n_samples, n_classes}, in the order "
            f"of {_listed(columns[:n_classes])}, got shape {values.shape}."
        )
    values = _numbers_of_votes(values, columns, name)
    places = [columns.index(label) for label in np.asarray(classes).tolist()]
    return values[:, places], values.sum(axis=1)


def check_class_prior(
    class_prior: Any,
    classes: ArrayLike,
    *,
    name: str = "check_class_prior",
    argument: str = "class_prior",
) -> NDArray[np.float64] | None:
    """Return the prior that is wanted as a share for each class.

    Parameters
    ----------
    class_prior : None, "uniform", array-like of shape (n_classes,) or dict
        None wants no other prior than the one learned; "uniform" is the same share for all
        classes. Numbers above 0, counts or shares: in the order of `classes`, or by class in a
        dictionary or Series.
    classes : array-like of shape (n_classes,)
        As ``classes_``.
    name : str, default="check_class_prior"
        Who asks, for messages: the name of the estimator.
    argument : str, default="class_prior"
        What it is there, for messages: the prior of the training has the same form.

    Returns
    -------
    prior : ndarray of shape (n_classes,), dtype float64, or None
        Its sum is 1; None as given.

    Raises
    ------
    ValueError
        If the length or the classes are others, or the share of a class is 0 (below 1e-12),
        negative or no finite number.

    Examples
    --------
    >>> from emotion_estimators.validation import check_class_prior
    >>> check_class_prior({"sad": 1, "happy": 3}, ["happy", "sad"]).tolist()
    [0.75, 0.25]
    """
    if class_prior is None:
        return None
    known = np.asarray(classes).tolist()
    if isinstance(class_prior, str):
        if class_prior != "uniform":
            raise ValueError(
                f"{name} expected {argument} to be None, 'uniform', a number for each class or a "
                f"dict by class, got {shorten(repr(class_prior))}."
            )
        return np.full(len(known), 1 / len(known))
    # a Series, as of value_counts, has the order of its index
    if isinstance(class_prior, Mapping) or hasattr(class_prior, "to_dict"):
        by_class = dict(class_prior.items())
        missing = [label for label in known if label not in by_class]
        unknown = [label for label in by_class if label not in set(known)]
        if missing or unknown:
            raise ValueError(
                f"{name} expected {argument} with the classes {_listed(known)}, got "
                f"{_differences(missing, unknown)}."
            )
        class_prior = [by_class[label] for label in known]
    try:
        prior = np.asarray(class_prior, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} expected {argument} to hold numbers: {error}") from None
    if prior.shape != (len(known),):
        raise ValueError(
            f"{name} expected {argument} to have {len(known)} numbers, one for each of "
            f"{_listed(known)}, got shape {prior.shape}."
        )
    is_good = np.isfinite(prior) & (prior > 0)
    shares = np.where(is_good, prior, 0)
    shares /= shares.max() or 1  # first: the sum of huge numbers is infinite
    shares /= shares.sum() or 1
    is_good &= shares >= _LEAST_SHARE
    if not is_good.all():
        numbers = zip(known, prior.tolist(), is_good.tolist(), strict=True)
        bad = ", ".join(f"{label!r}: {value:g}" for label, value, is_fine in numbers if not is_fine)
        raise ValueError(
            f"{name} expected {argument} to give each class a finite share of "
            f"{_LEAST_SHARE:g} or more, got {shorten(bad)}."
        )
    return shares


def _vote_columns(columns: list[Any], classes: list[Any], name: str) -> list[Any]:
    """Return the columns of a frame of votes; raise if they are not the classes and no others."""
    missing = [label for label in classes if label not in columns]
    unknown = [label for label in columns if label not in {*classes, *OTHER_VOTES}]
    if missing or unknown:
        raise ValueError(
            f"{name} expected votes with the columns {_listed(classes)}, which may also have "
            f"{_listed(OTHER_VOTES)}, got {_differences(missing, unknown)}."
        )
    if len(set(columns)) < len(columns):
        raise ValueError(f"{name} got votes that have a column twice: {_listed(columns)}.")
    return columns


def _numbers_of_votes(values: NDArray[Any], columns: list[Any], name: str) -> NDArray[np.float64]:
    """Return votes, (n, n_columns), as numbers; raise if one is none, not finite or below 0."""
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
    elif values.dtype.kind == "O":  # of a frame with columns of several types, or with pandas.NA
        numbers = np.full(values.shape, np.nan)
        for place, value in np.ndenumerate(values):
            if isinstance(value, Real):
                numbers[place] = value
    else:
        raise ValueError(f"{name} expected votes to be numbers, got {values.dtype}.")
    with np.errstate(over="ignore"):
        is_good = np.isfinite(numbers) & (numbers >= 0)
        is_good[is_good.all(axis=1) & ~np.isfinite(numbers.sum(axis=1))] = False
    rows = np.flatnonzero(~is_good.all(axis=1))
    if len(rows):
        named = []
        for row in rows[:_N_NAMED].tolist():
            column = int(is_good[row].argmin())
            named.append(f"row {row}: {shorten(str(values[row, column]))} for {columns[column]!r}")
        n_more = len(rows) - len(named)
        more = f" and {counted(n_more, 'more row')}" if n_more else ""
        raise ValueError(
            f"{name} expected votes to be finite and 0 or more, got in {'; '.join(named)}{more}."
        )
    return numbers


def _differences(missing: list[Any], unknown: list[Any]) -> str:
    """Say which names are missing and which are not known."""
    parts = [f"none for {_listed(missing)}"] if missing else []
    parts += [f"also {_listed(unknown)}"] if unknown else []
    return " and ".join(parts)


def _listed(names: Iterable[Any]) -> str:
    """Return names as a message shows them."""
    return shorten(", ".join(map(repr, names)), 400)
