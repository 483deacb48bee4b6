"""Tools of other people around models of images, each given images in four forms.

What a tool does is compared with the same tool on descriptors made beforehand, where it meets
scikit-learn alone. `python tests/test_neighbours.py` writes the table that the documentation shows.
"""

import importlib.util
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

from emotion_estimators import EmotionEmbedder, HOGTransformer, PretrainedEmotionClassifier
from emotion_estimators.datasets import make_faces

TABLE = Path(__file__).parents[1] / "docs" / "guide" / "neighbours_table.txt"
FORMS = ("array", "paths", "column", "rows")
SIDE = 24  # pixels
GRID = {"classify__C": [0.1, 1.0]}

# why a tool refuses a form: what it says, and what the documentation says of it
Refusal = tuple[str, str]
_TWO_AXES = "It checks that X has two axes."
AXES: dict[str, Refusal] = {
    "array": ("Found array with dim 3|should be a 2D|has 3 dim", _TWO_AXES),
    "paths": ("Expected 2D array, got 1D|number of features from X of type list", _TWO_AXES),
}
LIST: dict[str, Refusal] = {
    "paths": (AXES["paths"][0] + "|must support list-based indexing", "It takes no lists.")
}
_NUMBERS = "It makes numbers of X before it asks the estimator."
NUMBERS: dict[str, Refusal] = {
    "array": (AXES["array"][0], _NUMBERS),
    "paths": (AXES["paths"][0], _NUMBERS),
    "column": ("could not convert string to float", _NUMBERS),
}
_WEIGHTS = "It passes `sample_weight` to the estimator, which no pipeline takes as such."
WEIGHTS: dict[str, Refusal] = {
    form: ("Expected 2D array" if form == "paths" else "doesn't support sample_weight", _WEIGHTS)
    for form in FORMS
}
_FRAMES = "It takes DataFrames only."
FRAMES: dict[str, Refusal] = dict.fromkeys(
    ("array", "paths", "rows"), ("Expecting a Pandas or Polars DataFrame, but got", _FRAMES)
)
_CONVERTERS = "It converts the estimators of scikit-learn, not `HOGTransformer`."
CONVERTERS: dict[str, Refusal] = dict.fromkeys(
    FORMS, ("Unable to find a shape calculator for type", _CONVERTERS)
)


def model(images: Any, classifier: Any = None) -> Pipeline:
    """Return a pipeline from images, or "passthrough" from descriptors, to emotions."""
    classifier = LogisticRegression(max_iter=1000) if classifier is None else classifier
    return Pipeline([("images", images), ("classify", classifier)])


def some(X: Any, rows: slice) -> Any:
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def codes_of(y: np.ndarray) -> np.ndarray:
    return np.unique(y, return_inverse=True)[1]


def search(images: Any, X: Any, y: Any) -> Any:
    return GridSearchCV(model(images), GRID, cv=3).fit(X, y).cv_results_["mean_test_score"]


def halving_search(images: Any, X: Any, y: Any) -> Any:
    from sklearn.experimental import enable_halving_search_cv  # noqa: F401
    from sklearn.model_selection import HalvingGridSearchCV

    settings = {"cv": 2, "min_resources": 20, "random_state": 0}
    found = HalvingGridSearchCV(model(images), GRID, **settings).fit(X, y)
    return found.cv_results_["mean_test_score"]


def randomized_search(images: Any, X: Any, y: Any) -> Any:
    settings = {"cv": 2, "n_iter": 2, "random_state": 0}
    found = RandomizedSearchCV(model(images), {"classify__C": [0.1, 1, 10]}, **settings)
    return found.fit(X, y).cv_results_["mean_test_score"]


def cross_validated(images: Any, X: Any, y: Any) -> Any:
    return cross_val_predict(model(images), X, y, cv=3, method="predict_proba")


def _two_models(images: Any) -> list[tuple[str, Any]]:
    return [("one", model(images)), ("other", model(images, LogisticRegression(C=0.01)))]


def voting(images: Any, X: Any, y: Any) -> Any:
    return VotingClassifier(_two_models(images), voting="soft").fit(X, y).predict_proba(X)


def stacking(images: Any, X: Any, y: Any) -> Any:
    return StackingClassifier(_two_models(images), cv=2).fit(X, y).predict_proba(X)


def calibrated(images: Any, X: Any, y: Any) -> Any:
    return CalibratedClassifierCV(model(images), cv=3).fit(X, y).predict_proba(X)


def bagging(images: Any, X: Any, y: Any) -> Any:
    bag = BaggingClassifier(model(images), n_estimators=3, random_state=0)
    return bag.fit(X, y).predict_proba(X)


def _boost(classifier: Any) -> Any:
    return AdaBoostClassifier(classifier, n_estimators=3, random_state=0)


def boosting(images: Any, X: Any, y: Any) -> Any:
    return _boost(model(images)).fit(X, y).predict(X)


def boosting_behind(images: Any, X: Any, y: Any) -> Any:
    return model(images, _boost(LogisticRegression(max_iter=1000))).fit(X, y).predict(X)


def one_vs_rest(images: Any, X: Any, y: Any) -> Any:
    return OneVsRestClassifier(model(images)).fit(X, y).predict_proba(X)


def one_vs_one(images: Any, X: Any, y: Any) -> Any:
    return OneVsOneClassifier(model(images)).fit(X, y).predict(X)


def one_vs_one_behind(images: Any, X: Any, y: Any) -> Any:
    behind = OneVsOneClassifier(LogisticRegression(max_iter=1000))
    return model(images, behind).fit(X, y).predict(X)


def _every_other(y: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(y)) % 2, codes_of(y), -1)


def self_training(images: Any, X: Any, y: Any) -> Any:
    return SelfTrainingClassifier(model(images)).fit(X, _every_other(y)).predict(X)


def self_training_behind(images: Any, X: Any, y: Any) -> Any:
    behind = SelfTrainingClassifier(LogisticRegression(max_iter=1000))
    return model(images, behind).fit(X, _every_other(y)).predict(X)


def column_transformer(images: Any, X: Any, y: Any) -> Any:  # noqa: ARG001
    columns = ["face"] if hasattr(X, "columns") else slice(0, SIDE * SIDE)
    return ColumnTransformer([("images", images, columns)]).fit_transform(X)


def feature_union(images: Any, X: Any, y: Any) -> Any:  # noqa: ARG001
    embedder = EmotionEmbedder(image_shape=images.image_shape, n_threads=1)
    return FeatureUnion([("hog", images), ("embedded", embedder)]).fit_transform(X)


def importances(images: Any, X: Any, y: Any) -> Any:
    X, y = some(X, slice(12)), y[:12]
    fitted = model(images).fit(X, y)
    return permutation_importance(fitted, X, y, n_repeats=1, random_state=0).importances


def learning_curve(images: Any, X: Any, y: Any) -> Any:
    import matplotlib as mpl
    from sklearn.model_selection import LearningCurveDisplay

    with mpl.rc_context({"backend": "agg"}):
        settings = {"cv": 2, "train_sizes": [12, 24]}
        display = LearningCurveDisplay.from_estimator(model(images), X, y, **settings)
        mpl.pyplot.close(display.figure_)
    return display.test_scores


def frozen(images: Any, X: Any, y: Any) -> Any:
    fitted = FrozenEstimator(model(images).fit(X, y))
    return CalibratedClassifierCV(fitted).fit(X, y).predict_proba(X)


def threshold(images: Any, X: Any, y: Any) -> Any:
    tuned = TunedThresholdClassifierCV(model(images), cv=2, thresholds=9)
    return tuned.fit(X, y == "happy").predict(X)


def routed_weights(images: Any, X: Any, y: Any) -> Any:
    with config_context(enable_metadata_routing=True):
        classifier = LogisticRegression(max_iter=1000)
        classifier.set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        routed = GridSearchCV(model(images, classifier), GRID, cv=2)
        routed.fit(X, y, sample_weight=np.linspace(1, 9, len(y)))
    return routed.cv_results_["mean_test_score"]


def _table_of(images: Any, X: Any, container: str) -> Any:
    pipeline = make_pipeline(images, StandardScaler()).set_output(transform=container)
    return pipeline.fit_transform(X)


def pandas_output(images: Any, X: Any, y: Any) -> Any:  # noqa: ARG001
    table = _table_of(images, X, "pandas")
    if hasattr(X, "index") and not isinstance(X, list):
        assert_array_equal(table.index, X.index)
    return table.to_numpy()


def polars_output(images: Any, X: Any, y: Any) -> Any:  # noqa: ARG001
    import polars as pl

    frame = pl.DataFrame({"face": X["face"].tolist()}) if hasattr(X, "iloc") else X
    table = _table_of(images, frame, "polars")
    assert isinstance(table, pl.DataFrame)
    return table.to_numpy()


def oversampling(images: Any, X: Any, y: Any) -> Any:
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.pipeline import make_pipeline

    pipeline = make_pipeline(RandomOverSampler(random_state=0), model(images))
    return pipeline.fit(some(X, slice(40)), y[:40]).predict_proba(X)


def smote(images: Any, X: Any, y: Any) -> Any:
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import Pipeline

    steps = [("images", images), ("smote", SMOTE(k_neighbors=2, random_state=0))]
    pipeline = Pipeline([*steps, ("classify", LogisticRegression(max_iter=1000))])
    return pipeline.fit(X, y).predict_proba(X)


def conformal(images: Any, X: Any, y: Any) -> Any:
    from mapie.classification import SplitConformalClassifier

    fitted = model(images).fit(X, y)
    sets = SplitConformalClassifier(fitted, prefit=True, confidence_level=0.9)
    return sets.conformalize(X, y).predict_set(X)[1]


def cross_conformal(images: Any, X: Any, y: Any) -> Any:
    from mapie.classification import CrossConformalClassifier

    settings = {"cv": 2, "confidence_level": 0.9, "random_state": 0}
    sets = CrossConformalClassifier(model(images), **settings)
    return sets.fit_conformalize(X, y).predict_set(X)[1]


def applied_to_columns(images: Any, X: Any, y: Any) -> Any:  # noqa: ARG001
    import skrub

    return skrub.ApplyToCols(images).fit_transform(X)


def label_issues(images: Any, X: Any, y: Any) -> Any:
    from cleanlab.classification import CleanLearning

    learning = CleanLearning(model(images), cv_n_folds=2, seed=0)
    return learning.find_label_issues(X, codes_of(y))["label_quality"].to_numpy()


def fair_scores(images: Any, X: Any, y: Any) -> Any:
    from fairlearn.metrics import MetricFrame

    classifier = PretrainedEmotionClassifier(image_shape=images.image_shape, n_threads=1)
    predicted = classifier.predict(X)
    groups = {"sensitive_features": np.arange(len(y)) % 2}
    return MetricFrame(metrics=accuracy_score, y_true=y, y_pred=predicted, **groups).by_group


def fair_thresholds(images: Any, X: Any, y: Any) -> Any:
    from fairlearn.postprocessing import ThresholdOptimizer

    groups = {"sensitive_features": np.arange(len(y)) % 2}
    fair = ThresholdOptimizer(estimator=model(images), predict_method="predict_proba")
    return fair.fit(X, y == "happy", **groups).predict(X, **groups, random_state=0)


def saved_by_skops(images: Any, X: Any, y: Any) -> Any:
    import skops.io

    data = skops.io.dumps(model(images).fit(X, y))
    trusted = skops.io.get_untrusted_types(data=data)
    assert all(name.startswith("emotion_estimators.") for name in trusted)
    return skops.io.loads(data, trusted=trusted).predict_proba(X)


def in_processes(images: Any, X: Any, y: Any) -> Any:
    fitted = model(images).fit(X, y)
    parts = [some(X, slice(0, 20)), some(X, slice(20, None))]
    calls = [joblib.delayed(fitted.predict_proba)(part) for part in parts]
    return np.concatenate(joblib.Parallel(n_jobs=2, backend="loky")(calls))


def on_dask(images: Any, X: Any, y: Any) -> Any:
    from distributed import Client

    settings = {"processes": False, "n_workers": 1, "threads_per_worker": 1}
    with Client(dashboard_address=None, **settings), joblib.parallel_config("dask"):
        return cross_val_predict(model(images), X, y, cv=2, method="predict_proba")


def study(images: Any, X: Any, y: Any) -> Any:
    import optuna

    def objective(trial: Any) -> float:
        candidate = model(images).set_params(classify__C=trial.suggest_float("C", 0.1, 1))
        return cross_val_score(candidate, X, y, cv=2).mean()

    found = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
    found.optimize(objective, n_trials=2)
    return [trial.value for trial in found.trials]


def logged_by_mlflow(images: Any, X: Any, y: Any) -> Any:
    import mlflow.sklearn

    mlflow.set_tracking_uri("sqlite:///mlflow.db")
    trusted = ["emotion_estimators.features.hog.hog_transformer.HOGTransformer"]
    settings = {"pip_requirements": ["scikit-learn"], "skops_trusted_types": trusted}
    with mlflow.start_run():
        logged = mlflow.sklearn.log_model(model(images).fit(X, y), name="faces", **settings)
    return mlflow.sklearn.load_model(logged.model_uri).predict_proba(X)


def as_onnx(images: Any, X: Any, y: Any) -> Any:
    from skl2onnx import to_onnx

    return to_onnx(model(images).fit(X, y), np.zeros((1, 1), np.float32))


def as_onnx_behind(images: Any, X: Any, y: Any) -> Any:
    import onnxruntime
    from skl2onnx import to_onnx

    fitted = model(images).fit(X, y)
    if images == "passthrough":
        return fitted.predict_proba(X)
    numbers = np.asarray(fitted[:1].transform(X), np.float32)
    converted = to_onnx(fitted[1:], numbers[:1], options={"zipmap": False}).SerializeToString()
    session = onnxruntime.InferenceSession(converted, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: numbers})[1]


@dataclass(frozen=True)
class Neighbour:
    """A tool, what is done with it, and which forms it refuses."""

    name: str
    run: Callable[[Any, Any, Any], Any]
    package: str = "sklearn"
    # these forms it gets as a column of images
    as_column: Mapping[str, Refusal] = field(default_factory=dict)
    # for these it stands behind what turns images into numbers, as `behind` has it
    as_numbers: Mapping[str, Refusal] = field(default_factory=dict)
    behind: Callable[[Any, Any, Any], Any] | None = None
    expected: Callable[[Mapping[str, Any], Any, str], Any] | None = None
    ignored: tuple[str, ...] = ()  # its own warnings

    def cell(self, form: str) -> tuple[str, str]:
        """Return how it is given a form, and why."""
        if form in self.as_column:
            how = "as a frame" if form == "rows" else "as a column"
            return how, self.as_column[form][1]
        return ("behind", self.as_numbers[form][1]) if form in self.as_numbers else ("yes", "")


def _hog() -> HOGTransformer:
    return HOGTransformer(cells_per_block=(1, 1), n_threads=1)


def _union_expected(forms: Mapping[str, Any], y: Any, form: str) -> Any:  # noqa: ARG001
    embedded = EmotionEmbedder(n_threads=1).transform(forms["array"])
    return np.column_stack([_hog().transform(forms["array"]), embedded])


def _descriptors(forms: Mapping[str, Any], y: Any, form: str) -> Any:  # noqa: ARG001
    return _hog().transform(forms["array"])


def _importances_expected(forms: Mapping[str, Any], y: Any, form: str) -> Any:
    """One column is permuted as a whole, in rows each pixel is: scikit-learn around a function."""
    if form == "rows":
        read = FunctionTransformer(lambda rows: _hog().transform(rows.reshape(-1, SIDE, SIDE)))
        return importances(read, forms["rows"], y)
    import pandas as pd

    column = pd.DataFrame({"face": list(_hog().transform(forms["array"]))})
    read = FunctionTransformer(lambda frame: np.stack(frame["face"]))
    return importances(read, column, y)


def _fair_expected(forms: Mapping[str, Any], y: Any, form: str) -> Any:  # noqa: ARG001
    is_right = PretrainedEmotionClassifier(n_threads=1).predict(forms["array"]) == y
    return is_right[::2].mean(), is_right[1::2].mean()


NEIGHBOURS = (
    Neighbour("GridSearchCV", search),
    Neighbour("HalvingGridSearchCV", halving_search),
    Neighbour("RandomizedSearchCV", randomized_search),
    Neighbour("cross_val_predict", cross_validated),
    Neighbour("VotingClassifier", voting),
    Neighbour("StackingClassifier", stacking),
    Neighbour("CalibratedClassifierCV", calibrated),
    Neighbour("BaggingClassifier", bagging, as_column=AXES),
    Neighbour("AdaBoostClassifier", boosting, as_numbers=WEIGHTS, behind=boosting_behind),
    Neighbour("OneVsRestClassifier", one_vs_rest),
    Neighbour("OneVsOneClassifier", one_vs_one, as_numbers=NUMBERS, behind=one_vs_one_behind),
    Neighbour(
        "SelfTrainingClassifier", self_training, as_numbers=NUMBERS, behind=self_training_behind
    ),
    Neighbour("ColumnTransformer", column_transformer, as_column=AXES),
    Neighbour("FeatureUnion", feature_union, expected=_union_expected),
    Neighbour(
        "permutation_importance", importances, as_column=AXES, expected=_importances_expected
    ),
    Neighbour("LearningCurveDisplay", learning_curve, "matplotlib"),
    Neighbour("FrozenEstimator", frozen),
    Neighbour("TunedThresholdClassifierCV", threshold),
    Neighbour("metadata routing", routed_weights),
    Neighbour("set_output, pandas", pandas_output, "pandas"),
    Neighbour("set_output, polars", polars_output, "polars"),
    Neighbour("imbalanced-learn: RandomOverSampler", oversampling, "imblearn", as_column=AXES),
    Neighbour("imbalanced-learn: SMOTE", smote, "imblearn"),
    Neighbour("MAPIE: SplitConformalClassifier", conformal, "mapie", as_column=LIST),
    Neighbour("MAPIE: CrossConformalClassifier", cross_conformal, "mapie", as_column=LIST),
    Neighbour(
        "skrub: ApplyToCols",
        applied_to_columns,
        "skrub",
        as_column=FRAMES,
        expected=_descriptors,
    ),
    Neighbour("cleanlab: CleanLearning", label_issues, "cleanlab", as_column=LIST),
    Neighbour("fairlearn: MetricFrame", fair_scores, "fairlearn", expected=_fair_expected),
    Neighbour("fairlearn: ThresholdOptimizer", fair_thresholds, "fairlearn", as_column=LIST),
    Neighbour("skops", saved_by_skops, "skops"),
    Neighbour("joblib, loky", in_processes),
    Neighbour("Dask, through joblib", on_dask, "distributed"),
    Neighbour("optuna: a study", study, "optuna"),
    Neighbour(
        "mlflow: sklearn.log_model",
        logged_by_mlflow,
        "mlflow",
        # at its import, and SQLAlchemy's
        ignored=(".*Any type hint is inferred as", "The ``noload`` loader strategy is"),
    ),
    Neighbour("skl2onnx", as_onnx, "skl2onnx", as_numbers=CONVERTERS, behind=as_onnx_behind),
)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return the same images in each form."""
    pd = pytest.importorskip("pandas", reason="a column is one of pandas")
    from PIL import Image

    X, _ = _faces()
    folder = tmp_path_factory.mktemp("faces")
    paths = [str(folder / f"{row}.png") for row in range(len(X))]
    for path, image in zip(paths, X, strict=True):
        Image.fromarray(image).save(path)
    column = pd.DataFrame({"face": paths})
    return dict(zip(FORMS, (X, paths, column, X.reshape(len(X), -1)), strict=True))


def _faces() -> tuple[np.ndarray, np.ndarray]:
    emotions = ["happy", "sad", "surprise"]
    return make_faces(48, emotions=emotions, image_size=SIDE, random_state=0)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=lambda neighbour: neighbour.name)
def test_neighbour(
    neighbour: Neighbour,
    form: str,
    forms: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if importlib.util.find_spec(neighbour.package) is None:
        assert "NEIGHBOURS_REQUIRED" not in os.environ, f"{neighbour.package} is not installed"
        pytest.skip(f"{neighbour.package} is not installed: make test-neighbours")
    monkeypatch.chdir(Path(forms["paths"][0]).parent)  # one database of mlflow for all forms
    _, y = _faces()
    images, X = _hog(), forms[form]
    if form == "rows":
        images.set_params(image_shape=(SIDE, SIDE))
    how, _ = neighbour.cell(form)
    run = neighbour.run
    with warnings.catch_warnings():
        for text in neighbour.ignored:
            warnings.filterwarnings("ignore", text)
        if how != "yes":
            message, _ = {**neighbour.as_column, **neighbour.as_numbers}[form]
            with pytest.raises(Exception, match=message):
                run(clone(images), X, y)
        if how.startswith("as a"):
            import pandas as pd

            X = pd.DataFrame(X).add_prefix("pixel") if form == "rows" else None
            X = pd.DataFrame({"face": list(forms[form])}) if X is None else X
        if how == "behind":
            assert neighbour.behind is not None
            run = neighbour.behind
        found = run(clone(images), X, y)
        if neighbour.expected is not None:
            expected = neighbour.expected(forms, y, form)
        else:
            expected = run("passthrough", _descriptors(forms, y, form), y)
    found, expected = np.asarray(found), np.asarray(expected)
    if found.dtype.kind == "f":
        # tools that make float64 of pixels have descriptors that differ by 1e-6; what is fitted
        # on them differs by more
        assert_allclose(found, expected, rtol=0, atol=1e-4)
    else:
        assert_array_equal(found, expected)


def table() -> str:
    """Return the table of the documentation, of what the tests declare, as reStructuredText."""
    reasons: list[str] = []
    lines = [
        ".. list-table::",
        "   :header-rows: 1",
        "",
        "   * - tool",
        *(f"     - {form}" for form in ("array", "list of paths", "column", "rows")),
    ]
    for neighbour in NEIGHBOURS:
        lines.append(f"   * - {neighbour.name}")
        for form in FORMS:
            how, reason = neighbour.cell(form)
            if reason and reason not in reasons:
                reasons.append(reason)
            lines.append(f"     - {how}" + (f" ({reasons.index(reason) + 1})" if reason else ""))
    notes = [f"{number}. {reason}" for number, reason in enumerate(reasons, 1)]
    return "\n".join([*lines, "", *notes, ""]).replace("`", "``")


def test_the_documentation_shows_what_is_tested() -> None:
    assert TABLE.read_text(encoding="utf-8") == table()


def test_nearly_all_tools_are_given_the_images_themselves() -> None:
    ways = {neighbour.name: [neighbour.cell(form)[0] for form in FORMS] for neighbour in NEIGHBOURS}
    assert len(ways) >= 20
    cells = [way for of_a_tool in ways.values() for way in of_a_tool]
    assert cells.count("behind") <= 0.1 * len(cells)
    always = "GridSearchCV cross_val_predict VotingClassifier StackingClassifier BaggingClassifier"
    always += " CalibratedClassifierCV ColumnTransformer permutation_importance"
    assert not any("behind" in ways[name] for name in [*always.split(), "joblib, loky"])


def test_skrub_sorts_out_which_column_holds_images(forms: dict[str, Any]) -> None:
    skrub = pytest.importorskip("skrub", reason="skrub is not installed: make test-neighbours")
    table = forms["column"].assign(age=np.linspace(20, 60, len(forms["column"])))
    vectorizer = skrub.TableVectorizer(low_cardinality=_hog(), high_cardinality=_hog())
    found = vectorizer.fit_transform(table).to_numpy()
    expected = np.column_stack([_descriptors(forms, None, "column"), table["age"]])
    assert_allclose(found, expected, rtol=1e-6, atol=1e-6)  # it gives float32


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
