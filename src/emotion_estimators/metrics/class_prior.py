"""How common each class is: what a classifier learned, what other data has, and the way between."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from emotion_estimators._sklearn import Interval, StrOptions, validate_params
from emotion_estimators.exceptions import counted
from emotion_estimators.validation import check_class_prior
from emotion_estimators.validation.masks import check_unmasked

__all__ = ["adjust_class_prior", "check_probabilities", "estimate_class_prior"]

_LEAST_ESTIMATE = 1e-9  # given to a class that is nowhere
_ROUNDING = 1e-3  # of a sum of probabilities that a network gives in float16


def adjust_class_prior(
    y_proba: ArrayLike,
    training_prior: Any,
    class_prior: Any,
    *,
    classes: ArrayLike | None = None,
) -> NDArray[Any]:
    """Return what the probabilities would be if the classes were as common as `class_prior` says.

    By Bayes' theorem: each probability is multiplied by the new prior of its class, divided by
    that of the training, and by what makes the sum of each row 1.

    Parameters
    ----------
    y_proba : array-like of shape (n_samples, n_classes)
        As from ``predict_proba``; the sum of each row is 1.
    training_prior : "uniform", array-like of shape (n_classes,) or dict
        How common each class was in the training, as counts or shares; what `class_prior` may be,
        but not None.
    class_prior : None, "uniform", array-like of shape (n_classes,) or dict
        How common the classes are now. None leaves the probabilities as they are; "uniform" takes
        all classes for equally common. Numbers above 0, counts or shares: in the order of the
        columns, or by class in a dictionary or Series.
    classes : array-like of shape (n_classes,), default=None
        As ``classes_``. None numbers the classes from 0.

    Returns
    -------
    y_proba : ndarray of shape (n_samples, n_classes)
        Of the same type, where that is one of floats; float64 else.

    Raises
    ------
    ValueError
        If `y_proba` are no probabilities, or the length or the classes of a prior are others, or
        it has the share of a class at 0 (below 1e-12), negative or no finite number.

    See Also
    --------
    estimate_class_prior : Estimate how common the classes are in data without labels.

    Notes
    -----
    That holds where faces of one class look alike in both places, and only their number differs.
    Shares of people who would say an emotion are no such shares any more afterwards.

    References
    ----------
    .. [1] M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the Outputs of a Classifier to New
       a Priori Probabilities: A Simple Procedure", Neural Computation 14, 2002.

    Examples
    --------
    >>> from emotion_estimators.metrics import adjust_class_prior
    >>> adjust_class_prior([[0.75, 0.25]], [0.75, 0.25], "uniform")
    array([[0.5, 0.5]])
    """
    proba = check_probabilities("adjust_class_prior", y_proba)
    if classes is None:
        classes = np.arange(proba.shape[1])
    if np.shape(classes) != proba.shape[1:]:
        raise ValueError(
            f"adjust_class_prior expected classes of all {proba.shape[1]} columns of y_proba, got "
            f"shape {np.shape(classes)}."
        )
    prior = check_class_prior(class_prior, classes, name="adjust_class_prior")
    if prior is None:  # then that of the training does not matter
        return proba
    training = _check_training_prior(training_prior, classes, "adjust_class_prior")
    adjusted = _adjust(proba.astype(np.float64), prior / training)
    return adjusted.astype(proba.dtype)


@validate_params(
    {
        "y_proba": ["array-like"],
        "training_prior": ["array-like", StrOptions({"uniform"})],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    },
    prefer_skip_nested_validation=True,
)
def estimate_class_prior(
    y_proba: ArrayLike, training_prior: Any, *, max_iter: int = 1000, tol: float = 1e-6
) -> NDArray[np.float64]:
    """Estimate how common the classes are in data without labels, from what was predicted for it.

    By expectation maximisation: probabilities are adjusted to a prior, and the prior is their
    mean, in turns, until it stays the same.

    Parameters
    ----------
    y_proba : array-like of shape (n_samples, n_classes)
        As from ``predict_proba`` of all the data, as learned; the sum of each row is 1.
    training_prior : "uniform" or array-like of shape (n_classes,)
        How common each class was in the training, as counts or shares in the order of the columns.
    max_iter : int, default=1000
        Most turns.
    tol : float, default=1e-6
        The last turn is one that changes no share by more.

    Returns
    -------
    class_prior : ndarray of shape (n_classes,), dtype float64
        Shares whose sum is 1, for `adjust_class_prior` or ``class_prior=``. A class that is
        nowhere gets 1e-9.

    Raises
    ------
    ValueError
        If `y_proba` are no probabilities, or `training_prior` has another length or the share of
        a class at 0 (below 1e-12), negative or no finite number.

    Warns
    -----
    ConvergenceWarning
        If shares still change after `max_iter` turns.

    See Also
    --------
    adjust_class_prior : Adjust probabilities to the prior.

    Notes
    -----
    The estimate is the most likely prior if the probabilities are calibrated and faces of one
    class look alike in both places. It needs hundreds of images: of a few it is little more than
    a guess, and each prediction comes to depend on its neighbours.

    The prior of the training is the mean of the targets that were learned, with their smoothing
    and weights. With the shares of the labels instead, a network that learned smoothed labels,
    which gives every class a little, is taken to see the rarest class nearly everywhere.

    References
    ----------
    .. [1] M. Saerens, P. Latinne, C. Decaestecker, "Adjusting the Outputs of a Classifier to New
       a Priori Probabilities: A Simple Procedure", Neural Computation 14, 2002.

    Examples
    --------
    >>> from emotion_estimators.metrics import estimate_class_prior
    >>> y_proba = [[0.9, 0.1]] * 2 + [[0.1, 0.9]] * 8
    >>> estimate_class_prior(y_proba, "uniform").round(3)
    array([0.125, 0.875])
    """
    proba = check_probabilities("estimate_class_prior", y_proba).astype(np.float64)
    training = _check_training_prior(
        training_prior, np.arange(proba.shape[1]), "estimate_class_prior"
    )
    prior = training
    change = np.inf
    with np.errstate(under="ignore"):  # shares that go to 0
        for _ in range(max_iter):
            before, prior = prior, _adjust(proba, prior / training).mean(axis=0)
            change = np.abs(prior - before).max()
            if change <= tol:
                break
        else:
            warnings.warn(
                f"estimate_class_prior stopped after max_iter={max_iter} turns, the last of which "
                f"changed a share by {change:.2g}, more than tol={tol:g}.",
                ConvergenceWarning,
                stacklevel=5,
            )
    prior = np.maximum(prior, _LEAST_ESTIMATE)
    prior /= prior.sum()
    return prior


def check_probabilities(owner: str, y_proba: ArrayLike) -> NDArray[Any]:
    """Return probabilities, (n_samples, n_classes), as floats; raise if they are none."""
    check_unmasked(owner, y_proba=y_proba)
    proba = np.asarray(y_proba)
    if proba.ndim != 2 or 0 in proba.shape or proba.dtype.kind not in "biuf":
        raise ValueError(
            f"{owner} expected probabilities (n_samples, n_classes), n_samples > 0, got an array "
            f"of {proba.dtype}, shape {proba.shape}."
        )
    proba = proba if proba.dtype.kind == "f" else proba.astype(np.float64)
    is_share = (proba >= 0) & (proba <= 1)  # not NaN
    sums = proba.sum(axis=1, dtype=np.float64)
    is_good = is_share.all(axis=1) & (np.abs(sums - 1) <= _ROUNDING)
    if not is_good.all():
        row = int(is_good.argmin())
        raise ValueError(
            f"{owner} expected probabilities in 0..1 whose sum is 1 in each row, got others in "
            f"{int((~is_good).sum())} of {counted(len(proba), 'row')}, the first of them row "
            f"{row}, with a sum of {sums[row]:.6g}."
        )
    return proba


def _check_training_prior(prior: Any, classes: ArrayLike, owner: str) -> NDArray[np.float64]:
    """Return the prior of the training as shares, (n_classes,)."""
    shares = check_class_prior(prior, classes, name=owner, argument="training_prior")
    if shares is None:
        raise ValueError(f"{owner} expected training_prior to be known, got None.")
    return shares


def _adjust(proba: NDArray[np.float64], ratio: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return probabilities, (n, n_classes), multiplied by a ratio of priors, their sums 1 again."""
    weighted = proba * ratio
    weighted /= weighted.sum(axis=1, keepdims=True)
    return weighted
