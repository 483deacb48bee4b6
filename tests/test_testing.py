"""The conformance suite passes good estimators and catches every seeded fault."""

# ruff: noqa: ARG002 - scikit-learn passes arguments that not every estimator needs

import multiprocessing
import sys
import threading
import warnings
from fractions import Fraction
from functools import partial
from numbers import Integral

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from emotion_estimators._sklearn import (
    Interval,
    check_feature_names_in,
    fit_context,
    validate_data,
)
from emotion_estimators.datasets import make_faces
from emotion_estimators.testing import (
    _behaviour_checks,
    _input_checks,
    _lifecycle_checks,
    _output_checks,
    check_image_estimator,
    check_sklearn_estimator,
    image_estimator_checks,
    parametrize_with_image_checks,
)
from emotion_estimators.validation import check_images, compare_table, record_table


@pytest.fixture(autouse=True, scope="module")
def _worker_processes_find_this_module(pytestconfig):
    """Put the folder of ``tests.test_testing`` on the path, as ``python -m pytest`` does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(pytestconfig.rootpath)
        yield


def check_door(estimator, X, *, is_fitted=False):
    """Let X in, for all estimators of this file."""
    fitted = {
        "expected_size": getattr(estimator, "image_size_", None),
        "read_headers": False,
        "check_table": partial(compare_table, estimator),
    }
    return check_images(
        X,
        name=type(estimator).__name__,
        image_size=estimator.image_size,
        image_shape=estimator.image_shape,
        **(fitted if is_fitted else {}),
    )


def record_fit(estimator, X, images):
    estimator.image_size_ = images.image_size
    record_table(estimator, X, images)


class StripMeans(TransformerMixin, BaseEstimator):
    """The mean brightness of a few vertical strips of an image."""

    _parameter_constraints = {  # noqa: RUF012
        "n_strips": [Interval(Integral, 1, None, closed="left")],
        "image_size": [int, tuple, None],
        "image_shape": [tuple, None],
    }

    def __init__(self, *, n_strips=6, image_size=None, image_shape=None):
        self.n_strips = n_strips
        self.image_size = image_size
        self.image_shape = image_shape

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        images = check_door(self, X)
        self.n_strips_ = self.n_strips
        record_fit(self, X, images)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return self._means(self._stack(X))

    def get_feature_names_out(self, input_features=None):
        check_is_fitted(self)
        if hasattr(self, "n_features_in_"):
            check_feature_names_in(self, input_features)
        return np.array([f"strip{i}" for i in range(self.n_strips_)], dtype=object)

    def _stack(self, X):
        images = check_door(self, X, is_fitted=True)
        return np.concatenate([batch for _, batch in images.batches(16)])

    def _means(self, stack):
        strips = [np.array_split(image, self.n_strips_, axis=1) for image in stack]
        return np.array([[strip.mean() for strip in row] for row in strips])


class NearestMean(ClassifierMixin, BaseEstimator):
    """The class whose mean image is nearest in a few pixels drawn at random."""

    _parameter_constraints = {  # noqa: RUF012
        "n_pixels": [Interval(Integral, 1, None, closed="left")],
        "image_size": [int, tuple, None],
        "image_shape": [tuple, None],
        "random_state": ["random_state"],
    }

    def __init__(self, *, n_pixels=20, image_size=None, image_shape=None, random_state=None):
        self.n_pixels = n_pixels
        self.image_size = image_size
        self.image_shape = image_shape
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        images = check_door(self, X)
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = column_or_1d(check_array(y, ensure_2d=False, dtype=None, input_name="y"), warn=True)
        check_classification_targets(y)
        if len(y) != len(images):
            raise ValueError(f"NearestMean got {len(images)} images and {len(y)} labels.")
        self.classes_, codes = np.unique(y, return_inverse=True)
        stack = np.concatenate([batch for _, batch in images.batches(16)])
        size = stack.reshape(len(stack), -1).shape[1]
        self.pixels_ = self._random().randint(0, size, self.n_pixels)
        rows = self._rows(stack)
        self.means_ = np.array([rows[codes == k].mean(axis=0) for k in range(len(self.classes_))])
        record_fit(self, X, images)
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        images = check_door(self, X, is_fitted=True)
        rows = self._rows(np.concatenate([batch for _, batch in images.batches(16)]))
        return np.array([self._probabilities(row) for row in rows])

    def predict(self, X):
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def _random(self):
        return check_random_state(self.random_state)

    def _rows(self, stack):
        scale = 255.0 if stack.dtype == np.uint8 else 1.0
        return stack.reshape(len(stack), -1)[:, self.pixels_].astype(np.float64) / scale

    def _probabilities(self, row):
        scores = np.exp(-np.square(self.means_ - row).mean(axis=1))
        return scores / scores.sum()


class NearestMeans(NearestMean):
    """Of each label, whether the mean image of those with it or of those without is nearer."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y):
        images = check_door(self, X)
        targets = self._targets(y)
        if len(targets) != len(images):
            raise ValueError(f"NearestMeans got {len(images)} images and {len(targets)} labels.")
        self.classes_ = np.arange(targets.shape[1])
        stack = np.concatenate([batch for _, batch in images.batches(16)])
        size = stack.reshape(len(stack), -1).shape[1]
        self.pixels_ = self._random().randint(0, size, self.n_pixels)
        rows = self._rows(stack)
        self.means_ = [
            [rows[column == k].mean(axis=0) if (column == k).any() else np.inf for k in (0, 1)]
            for column in targets.T
        ]
        record_fit(self, X, images)
        return self

    def _targets(self, y):
        if np.ndim(y) != 2:
            raise ValueError(f"NearestMeans expected columns, got 1d targets: {np.shape(y)}.")
        return np.asarray(y)

    def predict_proba(self, X):
        check_is_fitted(self)
        images = check_door(self, X, is_fitted=True)
        rows = self._rows(np.concatenate([batch for _, batch in images.batches(16)]))
        return np.array([[self._share(row, *pair) for pair in self.means_] for row in rows])

    def predict(self, X):
        return (self.predict_proba(X) > 0.5).astype(np.int64)

    @staticmethod
    def _share(row, without, having):
        away = np.exp([-np.square(mean - row).mean() for mean in (without, having)])
        return away[1] / away.sum()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.multi_label = True
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = False
        return tags


class ListsProbabilities(NearestMeans):
    """As scikit-learn's forests do: two columns for each label."""

    def predict_proba(self, X):
        p = super().predict_proba(X)
        return np.stack([np.column_stack([1 - column, column]) for column in p.T])

    def predict(self, X):
        return (NearestMeans.predict_proba(self, X) > 0.5).astype(np.int64)


class PredictsProbabilities(NearestMeans):
    def predict(self, X):
        return self.predict_proba(X)


class RanksOtherwise(NearestMeans):
    def decision_function(self, X):
        return -self.predict_proba(X)


class TakesOneColumn(NearestMeans):
    def _targets(self, y):
        return np.asarray(y).reshape(len(y), -1)


class DropsLastBatch(StripMeans):
    def _means(self, stack):
        return super()._means(stack)[: max(1, len(stack) // 8 * 8)]


class SqueezesOneRow(StripMeans):
    def _means(self, stack):
        return super()._means(stack).squeeze()


class DependsOnBatch(StripMeans):
    def _means(self, stack):
        means = super()._means(stack)
        return means - means.mean(axis=0)


class WritesIntoX(StripMeans):
    def _stack(self, X):
        stack = super()._stack(X)
        if isinstance(X, np.ndarray):
            X[..., 0] = 0
        return stack


class AssignsIntoX(StripMeans):
    def _stack(self, X):
        if isinstance(X, np.ndarray):
            X[..., 0] = X[..., 0]
        return super()._stack(X)


class IgnoresLayout(StripMeans):
    def _stack(self, X):
        stack = super()._stack(X)
        return X.ravel(order="K").reshape(X.shape) if isinstance(X, np.ndarray) else stack


class IgnoresImageSize(StripMeans):
    """Records the height as the number of features, as `validate_data` does by itself."""

    def fit(self, X, y=None):
        if isinstance(X, np.ndarray):
            validate_data(self, X, allow_nd=True, reset=True)
        super().fit(X)
        del self.image_size_
        return self


class MissesColumns(StripMeans):
    """Knows paths in a list only."""

    def _stack(self, X):
        if getattr(X, "shape", ())[1:] == (1,):
            raise TypeError("no image")
        return super()._stack(X)


class KeepsFeatures(StripMeans):
    """Keeps what a fit on a table has recorded."""

    def fit(self, X, y=None):
        kept = getattr(self, "n_features_in_", None)
        super().fit(X)
        if kept is not None:
            self.n_features_in_ = kept
        return self


class SwapsSides(StripMeans):
    def fit(self, X, y=None):
        given = self.image_size
        self.image_size = given and given[::-1]
        super().fit(X)
        self.image_size = given
        return self

    def _stack(self, X):
        given = self.image_size
        self.image_size = given and given[::-1]
        stack = super()._stack(X)
        self.image_size = given
        return stack


class ReadsRowsAcross(StripMeans):
    def _stack(self, X):
        stack = super()._stack(X)
        if getattr(X, "ndim", 0) != 2:
            return stack
        return stack.swapaxes(1, 2).reshape(stack.shape)


class MissesNaN(StripMeans):
    def _stack(self, X):
        kind = getattr(getattr(X, "dtype", None), "kind", None)
        return super()._stack(np.nan_to_num(X) if kind == "f" else X)


class CastsIntegers(StripMeans):
    def _stack(self, X):
        kind = getattr(getattr(X, "dtype", None), "kind", None)
        return super()._stack(X.astype(np.uint8) if kind == "i" else X)


class AddsBatchAxis(StripMeans):
    def _stack(self, X):
        alone = isinstance(X, np.ndarray) and X.ndim == 2
        return super()._stack(X[np.newaxis] if alone else X)


class ReadsBlueFirst(StripMeans):
    def _stack(self, X):
        stack = super()._stack(X)
        if isinstance(X, list) and isinstance(X[0], str) and stack.ndim == 4:
            stack = stack[..., ::-1]
        return stack

    def _means(self, stack):
        return super()._means(stack[..., 0] if stack.ndim == 4 else stack)


class SortsPaths(StripMeans):
    def _stack(self, X):
        if isinstance(X, list) and isinstance(X[0], str):
            X = sorted(X)
        return super()._stack(X)


class DropsUnreadableFiles(StripMeans):
    def _stack(self, X):
        try:
            return super()._stack(X)
        except ValueError as error:
            bad = {row for row, _ in getattr(error, "failures", [])}
            if not bad or not isinstance(X, list):
                raise
            return super()._stack([image for row, image in enumerate(X) if row not in bad])


class NamesFirstFileOnly(StripMeans):
    def _stack(self, X):
        try:
            return super()._stack(X)
        except ValueError as error:
            failures = getattr(error, "failures", [])
            if not failures:
                raise
            raise ValueError(f"NamesFirstFileOnly: row {failures[0][0]} {failures[0][1]}") from None


class MutatesParameter(StripMeans):
    def fit(self, X, y=None):
        super().fit(X)
        self.image_size = self.image_size_
        return self


class ReadsInInit(StripMeans):
    def __init__(self, *, n_strips=6, image_size=None, image_shape=None):
        super().__init__(n_strips=n_strips, image_size=image_size, image_shape=image_shape)
        with open(__file__) as file:  # noqa: PTH123 - a fault
            file.readline()


class ImportsInInit(StripMeans):
    def __init__(self, *, n_strips=6, image_size=None, image_shape=None):
        import sklearn.svm  # noqa: F401

        super().__init__(n_strips=n_strips, image_size=image_size, image_shape=image_shape)


class BuildsInInit(StripMeans):
    def __init__(self, *, n_strips=6, image_size=None, image_shape=None):
        super().__init__(n_strips=n_strips, image_size=image_size, image_shape=image_shape)
        self.weights = np.ones(3)


class WorksUnfitted(StripMeans):
    def transform(self, X):
        self.n_strips_ = self.n_strips
        return super().transform(X)


class FitChangesStateless(StripMeans):
    def transform(self, X):
        given = getattr(self, "n_strips_", None)
        means = clone(self).fit(X)._means(self._stack(X))
        return means if given is None else means * 2

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class NamesColumnsAlike(StripMeans):
    def get_feature_names_out(self, input_features=None):
        return np.array(["strip"] * self.n_strips, dtype=object)


class PutsImagesInTables(StripMeans, auto_wrap_output_keys=None):
    def set_output(self, *, transform=None):
        self.container = transform
        return self

    def transform(self, X):
        stack = self._stack(X)
        is_table = getattr(self, "container", None) == "pandas"
        return dict.fromkeys(["image"], stack) if is_table else stack


class NamesAndBuilds(NamesColumnsAlike, BuildsInInit):
    pass


class SilencesWarnings(StripMeans):
    def fit(self, X, y=None):
        warnings.simplefilter("ignore")
        return super().fit(X)


class HoldsLock(StripMeans):
    def fit(self, X, y=None):
        self.lock_ = threading.Lock()
        return super().fit(X)


class HoldsForeignClass(StripMeans):
    def fit(self, X, y=None):
        self.share_ = Fraction(1, self.n_strips)
        return super().fit(X)


class ClonesFitted(StripMeans):
    def __sklearn_clone__(self):
        copy = type(self)(**self.get_params(deep=False))
        vars(copy).update(vars(self))
        return copy


class IndexInsteadOfLabel(NearestMean):
    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


class ClassesAsSeen(NearestMean):
    """Numbers the classes in the order in which they come."""

    def fit(self, X, y):
        super().fit(X, y)
        order = [int(np.flatnonzero(self.classes_ == one)[0]) for one in dict.fromkeys(y)]
        self.classes_, self.means_ = self.classes_[order], self.means_[order]
        return self


class RoundsScores(NearestMean):
    def predict_proba(self, X):
        return super().predict_proba(X).round(2)


class PredictsAnotherClass(NearestMean):
    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmin(axis=1)]


class Unseeded(NearestMean):
    def _random(self):
        return np.random.RandomState()


class DrawsGlobally(NearestMean):
    def _random(self):
        return np.random.mtrand._rand


class SeedsGlobally(NearestMean):
    def fit(self, X, y):
        np.random.seed(0)  # noqa: NPY002 - a fault
        return super().fit(X, y)


class PredictDrawsGlobally(NearestMean):
    def predict_proba(self, X):
        np.random.rand()  # noqa: NPY002 - a fault
        return super().predict_proba(X)


class PredictChangesObject(NearestMean):
    def predict_proba(self, X):
        self._last = len(X)
        return super().predict_proba(X)


class FitAccumulates(NearestMean):
    def fit(self, X, y):
        before = getattr(self, "means_", 0)
        super().fit(X, y)
        if np.shape(before) == self.means_.shape:
            self.means_ = self.means_ + before
        return self


class LosesPrecision(NearestMean):
    def __getstate__(self):
        state = dict(super().__getstate__())
        if "means_" in state:
            state["means_"] = state["means_"].astype(np.float16)
        return state


class FailsInWorkers(NearestMean):
    def predict(self, X):
        alone = multiprocessing.current_process().name == "MainProcess"
        return super().predict(X) if alone else self.classes_[[0] * len(X)]


FAULTS = [
    (DropsLastBatch, "check_batches", r"gives shape \(32, 6\) for 36 images"),
    (SqueezesOneRow, "check_batches", r"image 0 alone: got float64 of shape \(6,\)"),
    (DependsOnBatch, "check_batches", "other values in rows"),
    (WritesIntoX, "check_images_unchanged", "X after WritesIntoX.transform: other values"),
    (MissesColumns, "check_column_of_images", "no image"),
    (KeepsFeatures, "check_column_of_images", "keeps n_features_in_ after a fit on a stack"),
    (IgnoresLayout, "check_memory_layouts", "on a Fortran-ordered array: other values"),
    (AssignsIntoX, "check_memory_layouts", "read-only"),
    (IgnoresImageSize, "check_image_size_refused", "accepts images of 40 x 56 px"),
    (SwapsSides, "check_image_size_resized", r"with image_size=\(40, 48\): other values"),
    (ReadsRowsAcross, "check_image_rows", r"rows with image_shape=\(40, 48\): other values"),
    (MissesNaN, "check_bad_pixels_refused", "accepts float images with NaN"),
    (CastsIntegers, "check_bad_dtypes_refused", "accepts int64 images"),
    (AddsBatchAxis, "check_bad_ranks_refused", "accepts 2-D rows|accepts one image"),
    (ReadsBlueFirst, "check_same_pixels", "a list of paths as str: other values"),
    (SortsPaths, "check_same_pixels", "a list of paths as str: other values in rows 2"),
    (DropsUnreadableFiles, "check_unreadable_files_named", "accepts unreadable files"),
    (
        NamesFirstFileOnly,
        "check_unreadable_files_named",
        "does not name .*text.png.*row 18, row 34",
    ),
    (MutatesParameter, "check_parameters_unchanged", "changes the parameters image_size"),
    (ReadsInInit, "check_init_only_assigns", "__init__ opens .*test_testing.py"),
    (ImportsInInit, "check_init_only_assigns", "__init__ imports sklearn.svm"),
    (BuildsInInit, "check_init_only_assigns", "look at weights"),
    (WorksUnfitted, "check_not_fitted_error", "works before fit"),
    (FitChangesStateless, "check_stateless", "without a fit: other values"),
    (NamesColumnsAlike, "check_set_output_on_images", "names two columns alike"),
    (PutsImagesInTables, "check_set_output_on_images", "images became dict"),
    (SilencesWarnings, "check_global_settings_untouched", "warnings.filters"),
    (HoldsLock, "check_pickle", "pickle"),
    (HoldsForeignClass, "check_skops", "needs trust in fractions.Fraction"),
    (ClonesFitted, "check_clone", "other attributes than a new one: .*n_strips_"),
    (IndexInsteadOfLabel, "check_labels", r"predict gives \[0, 1, 2\]"),
    (IndexInsteadOfLabel, "check_predictions_and_probabilities", r"predict gives \[0, 1, 2\]"),
    (ClassesAsSeen, "check_labels", "classes_ is"),
    (ClassesAsSeen, "check_predictions_and_probabilities", "classes_ is not sorted"),
    (RoundsScores, "check_predictions_and_probabilities", "do not sum to 1, off by up to 0.01"),
    (PredictsAnotherClass, "check_predictions_and_probabilities", "predict against classes_"),
    (ListsProbabilities, "check_label_indicators", r"gives shape \(3, 36, 2\) for 36 images and 3"),
    (PredictsProbabilities, "check_label_indicators", "other values than the integers 0 and 1"),
    (RanksOtherwise, "check_label_indicators", "rank images otherwise"),
    (TakesOneColumn, "check_label_indicators", "accepts 1-D targets, though its tags say"),
    (Unseeded, "check_same_seed_same_fit", "after a second fit of a clone: other values"),
    (DrawsGlobally, "check_same_seed_same_fit", "after a second fit of a clone: other values"),
    (DrawsGlobally, "check_global_random_state_untouched", "fit changes .* numpy.random"),
    (SeedsGlobally, "check_global_random_state_untouched", "fit changes .* numpy.random"),
    (PredictDrawsGlobally, "check_global_random_state_untouched", "predict changes .* numpy"),
    (PredictChangesObject, "check_output_leaves_estimator_unchanged", "predict changes .*_last"),
    (FitAccumulates, "check_fit_twice", "after two equal fits: other values"),
    (LosesPrecision, "check_joblib", "after joblib: other values"),
    (FailsInWorkers, "check_grid_search", "n_jobs=2 scores"),
]


def _checks(estimator, **settings):
    return {
        check.func.__name__: check for _, check in image_estimator_checks(estimator, **settings)
    }


@parametrize_with_image_checks([StripMeans(), NearestMean(), NearestMeans()])
def test_good_estimators_pass(estimator, check):
    check(estimator)


def test_good_pipeline_passes():
    pipeline = make_pipeline(StripMeans(), StandardScaler(), LogisticRegression(max_iter=1000))
    # LogisticRegression multiplies the whole batch at once, and BLAS sums in another order for
    # other sizes: 1e-12 allows for some thousand roundings of numbers near 1
    results = check_image_estimator(pipeline, batch_tolerance=1e-12, on_skip="raise")
    assert {row["status"] for row in results} == {"passed"}
    assert len(results) >= 25


@pytest.mark.parametrize(("fault", "name", "match"), FAULTS)
def test_seeded_fault_is_caught(fault, name, match):
    with pytest.raises(Exception, match=match):
        _checks(fault())[name](fault())


def test_every_check_catches_a_seeded_fault():
    modules = (_behaviour_checks, _input_checks, _lifecycle_checks, _output_checks)
    assert {name for _, name, _ in FAULTS} == {name for one in modules for name in one.__all__}


@pytest.mark.parametrize("color", ["grey", "rgb"])
def test_images_of_the_caller(color):
    X, y = make_faces(14, emotions=["happy", "sad"], image_size=24, color=color, random_state=1)
    results = check_image_estimator(NearestMean(n_pixels=5), X, y, on_skip="raise")
    assert {row["status"] for row in results} == {"passed"}


@pytest.mark.parametrize(
    ("X", "y", "match"),
    [
        (None, ["happy"], "y without X"),
        (np.zeros((20, 8, 8)), None, "uint8 images.* got float64"),
        (np.zeros((5, 8, 8), np.uint8), None, "at least 12 uint8 images"),
        (np.zeros((20, 8, 8), np.uint8), ["happy"], "20 images and 1 targets"),
    ],
)
def test_unusable_images_of_the_caller(X, y, match):
    with pytest.raises(ValueError, match=match):
        check_image_estimator(StripMeans(), X, y)


@pytest.fixture(scope="module")
def few():
    """Return as few images as the checks take, and their labels."""
    return make_faces(12, emotions=["happy", "sad"], image_size=24, random_state=1)


def test_all_failures_are_told_together(few):
    with pytest.warns(UserWarning, match=r"does not pass 2 of \d+ checks") as caught:
        check_image_estimator(NamesAndBuilds(), *few, on_fail="warn")
    message = str(caught[0].message)
    assert "check_set_output_on_images (failed): AssertionError: NamesAndBuilds" in message
    assert "check_init_only_assigns (failed): AssertionError: NamesAndBuilds" in message


def test_declared_failures_are_strict(few):
    reason = {"check_init_only_assigns": "weights are small"}
    rows = check_image_estimator(BuildsInInit(), *few, expected_failed_checks=reason, on_fail=None)
    row = next(row for row in rows if row["check_name"] == "check_init_only_assigns")
    assert (row["status"], row["expected_to_fail_reason"]) == ("xfail", "weights are small")
    with pytest.raises(AssertionError, match=r"declared to fail \(weights are small\), but it"):
        check_image_estimator(StripMeans(), *few, expected_failed_checks=reason)


@pytest.mark.parametrize("caller", [check_image_estimator, check_sklearn_estimator])
@pytest.mark.parametrize(
    ("declared", "match"),
    [
        ({"check_lables": "a slip"}, "check_lables, which it does not run"),
        ({"check_clone": " ", "check_set_params": " "}, "which it does not run|expected a reason"),
    ],
)
def test_wrong_declarations(caller, declared, match):
    with pytest.raises(ValueError, match=match):
        caller(StripMeans(), expected_failed_checks=declared)


def test_declaration_without_reason():
    with pytest.raises(ValueError, match=r"expected a reason .* check_clone"):
        check_image_estimator(StripMeans(), expected_failed_checks={"check_clone": " "})


def test_skips_are_told(monkeypatch, few):
    monkeypatch.setitem(sys.modules, "skops", None)
    with pytest.warns(SkipTestWarning, match="check_skops for StripMeans: skops is not installed"):
        results = check_image_estimator(StripMeans(), *few)
    assert [row["check_name"] for row in results if row["status"] == "skipped"] == ["check_skops"]
    with pytest.raises(AssertionError, match=r"check_skops \(skipped\)"):
        check_image_estimator(StripMeans(), *few, on_skip="raise")


def test_parametrize_marks_declared_failures():
    mark = parametrize_with_image_checks(
        [StripMeans(), BuildsInInit()],
        expected_failed_checks=lambda estimator: (
            {"check_init_only_assigns": "small"} if isinstance(estimator, BuildsInInit) else {}
        ),
    )
    cases = mark.mark.args[1]
    marked = [case.id for case in cases if case.marks]
    assert marked == ["BuildsInInit-check_init_only_assigns"]
    assert cases[0].id == "StripMeans-check_same_pixels"


def test_estimators_are_not_changed():
    estimator = NearestMean(random_state=np.random.RandomState(0))
    state = estimator.random_state.get_state()[1].copy()
    before = set(vars(estimator))
    checks = _checks(estimator)
    for name in ("check_batches", "check_fit_twice", "check_pickle"):
        checks[name](estimator)
    assert set(vars(estimator)) == before
    assert_array_equal(estimator.random_state.get_state()[1], state)


def test_global_random_state_is_restored():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    checks = _checks(NearestMean())
    checks["check_same_seed_same_fit"](NearestMean())
    with pytest.raises(AssertionError, match="changes the global state"):
        checks["check_global_random_state_untouched"](SeedsGlobally())
    assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_sample_representations_hold_the_same_pixels(tmp_path):
    from emotion_estimators.testing._sample import representations

    X, _ = make_faces(12, image_size=24, color="rgb", random_state=0)
    forms = dict(representations(X, tmp_path))
    assert len(forms) == 12
    for form in ("a list of paths", "a list of PIL images"):
        images = [image if isinstance(image, Image.Image) else Image.open(image)
                  for image in forms[form]]  # fmt: skip
        assert_array_equal(np.stack([np.asarray(image) for image in images]), X)
    assert_array_equal(np.stack(list(forms["an object array of arrays"])), X)


@pytest.mark.parametrize("estimator", [StripMeans(n_strips=1), NearestMean(n_pixels=3)])
def test_sklearn_checks_pass(estimator):
    results = check_sklearn_estimator(estimator)
    assert len(results) >= 50
    assert estimator.image_shape is None


class NoRows(StripMeans):
    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


class LooseParameters(StripMeans):
    _parameter_constraints = {  # noqa: RUF012
        "n_strips": [int],
        "image_size": "no_validation",
        "image_shape": [tuple, None],
    }

    def fit(self, X, y=None):
        images = check_door(self, X)
        self.n_strips_ = self.n_strips
        record_fit(self, X, images)
        return self


def test_sklearn_checks_must_have_run():
    with pytest.raises(AssertionError, match=r"ran \d+ checks on NoRows, expected at least 40"):
        check_sklearn_estimator(NoRows(n_strips=1), on_fail=None)


def test_what_fails_of_sklearn_checks_is_told_together(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    declared = {"check_fit2d_1sample": "it does not fail"}
    with pytest.raises(AssertionError, match=r"LooseParameters does not pass \d+ of") as caught:
        check_sklearn_estimator(LooseParameters(n_strips=1), expected_failed_checks=declared)
    for told in (
        "check_param_validation (failed)",  # which scikit-learn leaves out
        "check_set_output_transform_pandas (skipped)",
        "check_fit2d_1sample (failed): AssertionError: declared to fail (it does not fail)",
    ):
        assert told in str(caught.value)
