"""EmotionCNNClassifier: both conformance suites, what it learns, keeps, writes and refuses."""

import contextlib
import gc
import json
import multiprocessing
import os
import pickle
import subprocess
import sys
import weakref

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.class_weight import compute_sample_weight

pytest.importorskip("torch", reason="EmotionCNNClassifier needs torch")
pytest.importorskip("skorch", reason="EmotionCNNClassifier needs skorch")

import torch

from emotion_estimators.classifiers import EmotionCNNClassifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import MissingDependencyError, WeightsError
from emotion_estimators.testing import check_sklearn_estimator, parametrize_with_image_checks
from emotion_estimators.training import classifier_training, training_recipe
from emotion_estimators.training.targets import hold_out

TINY = {
    "image_size": None,
    "stem_width": 4,
    "widths": (6, 8),
    "n_blocks": (0, 1),
    "max_epochs": 3,
    "batch_size": 16,
    "device": "cpu",
    "random_state": 0,
}
# rows of a few numbers have neither mirror images nor a place to turn around
ROWS = {
    "stem_width": 8,
    "widths": (8,),
    "n_blocks": (0,),
    "dropout": 0.0,
    "augmentation": 0.0,
    "erasing": 0.0,
    "label_smoothing": 0.0,
    "max_epochs": 20,
    "learning_rate": 0.05,
    "ema_decay": 0.5,
    "early_stopping": False,
    "test_time_flip": False,
}


@pytest.fixture(scope="module")
def faces():
    return make_faces(64, emotions=["happy", "sad"], image_size=(24, 28), random_state=0)


@pytest.fixture(scope="module")
def fitted(faces):
    return EmotionCNNClassifier(**TINY).fit(*faces)


def _assert_same_weights(one, other):
    assert list(one.weights_) == list(other.weights_)
    for name, array in one.weights_.items():
        assert_array_equal(array, other.weights_[name])


@parametrize_with_image_checks([EmotionCNNClassifier(**TINY | {"max_epochs": 1})])
def test_image_contract(estimator, check):
    check(estimator)


def test_scikit_learn_contract():
    results = check_sklearn_estimator(
        EmotionCNNClassifier(**TINY | ROWS),
        expected_failed_checks={
            # what weights do is tested below and with the loss
            "check_sample_weight_equivalence_on_dense_data": (
                "batches are drawn by chance, so repeated images meet others than weighted ones"
            )
        },
    )
    assert {row["status"] for row in results} == {"passed", "xfail"}
    assert len(results) >= 50


def test_learns():
    settings = {"emotions": ["angry", "happy", "surprise"], "image_size": 40}
    X, y = make_faces(600, random_state=0, **settings)
    cnn = EmotionCNNClassifier(
        image_size=None,
        stem_width=8,
        widths=(16, 24),
        n_blocks=(0, 0),
        augmentation=0.3,
        max_epochs=20,
        batch_size=32,
        ema_decay=0.98,
        device="cpu",
        random_state=0,
    ).fit(X, y)
    # guessing is right in 1/3 of 150 faces, with a standard deviation of 0.04
    assert cnn.score(*make_faces(150, random_state=1, **settings)) > 0.6


@pytest.mark.parametrize("stem_stride", [1, 2])
def test_stem_stride(faces, stem_stride):
    settings = TINY | {"max_epochs": 1, "stem_stride": stem_stride}
    network = EmotionCNNClassifier(**settings).fit(*faces)._restore_network()
    assert network.layers[0].conv.stride == (stem_stride, stem_stride)


@pytest.mark.parametrize("n_classes", [1, 2, 9])
def test_any_number_of_classes(n_classes):
    X, _ = make_faces(36, image_size=24, random_state=0)
    y = [f"class {i % n_classes}" for i in range(36)]
    cnn = EmotionCNNClassifier(**TINY | {"max_epochs": 1}).fit(X, y)
    probabilities = cnn.predict_proba(X)
    assert probabilities.shape == (36, n_classes)
    assert probabilities.dtype == np.float64
    assert set(cnn.predict(X)) <= set(y)


def test_history_and_the_weights_kept(faces):
    X, y = faces
    settings = TINY | {"max_epochs": 6, "test_time_flip": False, "mixed_precision": False}
    cnn = EmotionCNNClassifier(**settings).fit(X, y)
    assert [record["epoch"] for record in cnn.history_] == [1, 2, 3, 4, 5, 6]
    assert all(
        set(record) == {
            "epoch", "train_loss", "train_accuracy", "learning_rate", "valid_loss",
            "valid_accuracy",
        }
        for record in cnn.history_
    )  # fmt: skip
    best = max(cnn.history_, key=lambda r: (r["valid_accuracy"], -r["valid_loss"]))
    assert cnn.best_epoch_ == best["epoch"]
    codes = np.unique(y, return_inverse=True)[1]
    _, held_out = hold_out("cnn", codes, 0.1, np.random.RandomState(0))
    assert cnn.score(X[held_out], y[held_out]) == pytest.approx(best["valid_accuracy"], abs=1e-6)
    true_class = cnn.predict_proba(X[held_out])[np.arange(len(held_out)), codes[held_out]]
    # float32 keeps 7 digits; the last layer is in float32 there, in float64 here
    assert -np.log(true_class).mean() == pytest.approx(best["valid_loss"], rel=1e-5)


def test_early_stopping(faces):
    # after the first epochs nothing changes: the learning rate is too low
    cnn = EmotionCNNClassifier(
        **TINY | {"max_epochs": 40, "n_iter_no_change": 2, "learning_rate": 1e-6}
    ).fit(*faces)
    assert cnn.n_iter_ == len(cnn.history_) == cnn.best_epoch_ + 2 < 40
    patient = EmotionCNNClassifier(
        **TINY | {"max_epochs": cnn.n_iter_ + 2, "n_iter_no_change": None, "learning_rate": 1e-6}
    ).fit(*faces)
    assert patient.n_iter_ == cnn.n_iter_ + 2


def test_without_early_stopping_the_last_epoch_is_kept(faces):
    cnn = EmotionCNNClassifier(**TINY | {"early_stopping": False}).fit(*faces)
    assert cnn.best_epoch_ == cnn.n_iter_ == 3
    assert "valid_accuracy" not in cnn.history_[0]


@pytest.mark.parametrize("class_weight", [{"happy": 3.0, "sad": 0.5}, "balanced"])
def test_class_weight_is_a_sample_weight(faces, class_weight):
    X, y = faces[0][8:], faces[1][8:]
    own = np.linspace(0.5, 2, len(y))
    by_class = EmotionCNNClassifier(**TINY, class_weight=class_weight).fit(X, y, own)
    weights = own * compute_sample_weight(class_weight, y)
    by_sample = EmotionCNNClassifier(**TINY).fit(X, y, sample_weight=10 * weights)
    # weights are divided by their mean, so the factor 10 is gone but for rounding
    assert_allclose(by_class.predict_proba(X), by_sample.predict_proba(X), rtol=0, atol=1e-5)
    plain = EmotionCNNClassifier(**TINY).fit(X, y)
    assert np.abs(plain.predict_proba(X) - by_class.predict_proba(X)).max() > 1e-3


def test_images_of_no_weight_teach_nothing(faces):
    X, y = faces
    settings = TINY | {"max_epochs": 12, "label_smoothing": 0.0, "early_stopping": False}
    cnn = EmotionCNNClassifier(**settings).fit(X, y, sample_weight=y == "sad")
    assert set(cnn.predict(X)) == {"sad"}


class _Opinion(BaseEstimator):
    """A fitted teacher that holds every image for one class."""

    def __init__(self, code):
        self.code = code
        self.classes_ = np.unique(["happy", "neutral", "sad"])

    def predict_proba(self, X):
        return np.tile(np.eye(3)[self.code], (len(X), 1))


def test_a_teacher_is_believed_as_far_as_asked():
    X, _ = make_faces(64, image_size=24, random_state=0)
    y = np.repeat(["happy", "sad", "neutral", "sad"], 16)
    settings = TINY | {"max_epochs": 12, "label_smoothing": 0.0, "early_stopping": False}
    taught = EmotionCNNClassifier(**settings, teacher=_Opinion(1), teacher_weight=1.0).fit(X, y)
    assert set(taught.predict(X)) == {"neutral"}
    plain = EmotionCNNClassifier(**settings).fit(X, y).predict_proba(X)
    ignored = EmotionCNNClassifier(**settings, teacher=_Opinion(1), teacher_weight=0.0).fit(X, y)
    assert np.array_equal(ignored.predict_proba(X), plain)


def test_a_teacher_of_other_classes_is_refused(faces):
    cnn = EmotionCNNClassifier(**TINY, teacher=_Opinion(0))
    with pytest.raises(ValueError, match=r"expected a fitted teacher of the classes \["):
        cnn.fit(faces[0], [f"{label}!" for label in faces[1]])


def test_a_teacher_that_answers_once_is_refused(faces):
    teacher = _Opinion(0)
    teacher.classes_ = np.unique(faces[1])
    teacher.predict_proba = lambda _: np.ones((1, len(teacher.classes_)))
    with pytest.raises(
        WeightsError, match=r"The teacher gave outputs of shape \(1, \d\) for a batch"
    ):
        EmotionCNNClassifier(**TINY, teacher=teacher).fit(*faces)


def test_keyboard_interrupt_keeps_the_best_weights(faces):
    seen = []

    def watch(cnn):
        seen.append((cnn.best_epoch_, cnn.weights_, cnn.score(*faces)))
        if len(cnn.history_) == 2:
            raise KeyboardInterrupt

    cnn = EmotionCNNClassifier(**TINY, on_epoch_end=watch)
    with pytest.raises(KeyboardInterrupt, match="keeps the weights of epoch") as raised:
        cnn.fit(*faces)
    assert f"epoch {cnn.best_epoch_}, the best of the 2 that" in raised.value.__notes__[0]
    assert len(seen) == len(cnn.history_) == cnn.n_iter_ == 2
    assert (cnn.best_epoch_, cnn.score(*faces)) == (seen[1][0], seen[1][2])
    assert cnn.weights_ is seen[1][1]


def test_keyboard_interrupt_between_epochs_keeps_one_consistent_set(faces, interrupted_step):
    interrupted_step(5)  # 3 steps an epoch
    cnn = EmotionCNNClassifier(**TINY | {"n_iter_no_change": None})
    with pytest.raises(KeyboardInterrupt, match="keeps the weights of epoch"):
        cnn.fit(*faces)
    first = EmotionCNNClassifier(**TINY).fit(*faces).history_[:1]
    assert (cnn.history_, cnn.n_iter_, cnn.best_epoch_) == (first, 1, 1)
    assert cnn.classes_.tolist() == ["happy", "sad"]
    assert set(cnn.predict(faces[0])) <= {"happy", "sad"}


def test_keyboard_interrupt_ends_a_search(faces, interrupted_step):
    fitted = []

    class Counted(EmotionCNNClassifier):
        def fit(self, X, y):
            fitted.append(self)
            return super().fit(X, y)

    interrupted_step(2)
    search = GridSearchCV(Counted(**TINY), {"learning_rate": [0.1, 0.01]}, cv=2)
    with pytest.raises(KeyboardInterrupt, match="keeps the weights of epoch"):
        search.fit(*faces)
    assert len(fitted) == 1


@pytest.fixture
def interrupted_step(monkeypatch):
    """Return a function that lets a later batch of a training raise KeyboardInterrupt."""
    calls, last = [], []
    augment = classifier_training.augment_images

    def interrupt(*args, **kwargs):
        calls.append(1)
        if len(calls) == last[0]:
            raise KeyboardInterrupt
        return augment(*args, **kwargs)

    def at(number):
        calls.clear()
        last[:] = [number]
        monkeypatch.setattr(classifier_training, "augment_images", interrupt)

    return at


def test_keyboard_interrupt_in_the_first_epoch_changes_nothing(faces, interrupted_step):
    interrupted_step(3)
    cnn = EmotionCNNClassifier(**TINY)
    with pytest.raises(KeyboardInterrupt, match=r"^$") as raised:
        cnn.fit(*faces)
    assert not hasattr(raised.value, "__notes__")
    assert vars(cnn) == cnn.get_params(deep=False)


@pytest.mark.parametrize("step", [3, 5])
def test_keyboard_interrupt_of_a_warm_start(step, faces, interrupted_step):
    cnn = EmotionCNNClassifier(**TINY, warm_start=True).fit(*faces)
    before, history = dict(vars(cnn)), [dict(record) for record in cnn.history_]
    kept = r"^$" if step == 3 else "the weights of epoch 4,"
    interrupted_step(step)
    with pytest.raises(KeyboardInterrupt, match=kept):
        cnn.fit(*faces)
    assert before["history_"] == history  # another object holds the new records
    if step == 3:  # in the first epoch
        assert vars(cnn) == before
    else:
        assert cnn.history_[:3] == history
        assert (len(cnn.history_), cnn.n_iter_, cnn.best_epoch_) == (4, 1, 4)
        assert cnn.weights_ is not before["weights_"]


@contextlib.contextmanager
def _default_dtype(dtype):
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def _deterministic():
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "setting",
    [
        lambda: _default_dtype(torch.float64),
        lambda: _default_dtype(torch.bfloat16),
        lambda: torch.device("meta"),
        lambda: torch.autocast("cpu", torch.bfloat16),
        torch.inference_mode,
        _deterministic,
    ],
    ids=["float64", "bfloat16", "meta", "autocast", "inference_mode", "deterministic"],
)
def test_settings_of_torch_change_no_bit(setting, faces):
    # in one step of training all kinds of layers, augmentation and losses take part
    settings = TINY | {"max_epochs": 1, "mixup": 0.2}
    plain = EmotionCNNClassifier(**settings).fit(*faces)
    expected = pickle.loads(pickle.dumps(plain)).predict_proba(faces[0])
    with setting():
        other = EmotionCNNClassifier(**settings).fit(*faces)
        loaded = pickle.loads(pickle.dumps(plain))  # builds its network under the setting
        assert np.array_equal(loaded.predict_proba(faces[0]), expected)
    _assert_same_weights(other, plain)
    assert other.history_ == plain.history_
    assert np.array_equal(loaded.predict_proba(faces[0]), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_forked_after_a_prediction_predicts_and_trains(faces, fitted):
    expected = fitted.predict_proba(faces[0])
    context = multiprocessing.get_context("fork")
    queue = context.Queue()

    def work():
        queue.put(fitted.predict_proba(faces[0]))
        queue.put(EmotionCNNClassifier(**TINY | {"max_epochs": 1}).fit(*faces).n_iter_)

    child = context.Process(target=work)
    child.start()
    # one thread may round differently
    assert_allclose(queue.get(timeout=60), expected, rtol=0, atol=1e-5)
    assert queue.get(timeout=60) == 1
    child.join()


def test_a_prediction_draws_nothing_from_the_generator_of_torch(faces, fitted):
    state = torch.get_rng_state()
    copied = pickle.loads(pickle.dumps(fitted))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.random, "fork_rng", None)  # not even for a while
        copied.predict_proba(faces[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_teacher_that_clone_has_left_unfitted(faces):
    cnn = EmotionCNNClassifier(**TINY, teacher=EmotionCNNClassifier(**TINY))
    with pytest.raises(ValueError, match=r"one that is not fitted.*FrozenEstimator\(teacher\)"):
        cnn.fit(*faces)


def test_an_export_that_cannot_be_written_leaves_nothing(fitted, tmp_path):
    (tmp_path / "cnn.onnx").mkdir()
    with pytest.raises(OSError, match="The ONNX file of EmotionCNNClassifier cannot be written"):
        fitted.export_onnx(tmp_path / "cnn.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["cnn.onnx"]


def test_other_errors_of_a_callback_come_through_and_leave_the_former_fit(faces):
    def fail(cnn):
        raise RuntimeError(f"disk full after {cnn.n_iter_} epoch")

    cnn = EmotionCNNClassifier(**TINY, warm_start=True).fit(*faces).set_params(on_epoch_end=fail)
    before, n_epochs = dict(vars(cnn)), len(cnn.history_)
    with pytest.raises(RuntimeError, match="disk full after 1 epoch"):
        cnn.fit(*faces)
    assert vars(cnn) == before
    assert len(cnn.history_) == n_epochs


def test_a_wrong_y_does_not_change_the_size_of_images(faces):
    cnn = EmotionCNNClassifier(**TINY | {"image_size": None}).fit(*faces)
    expected = cnn.predict_proba(faces[0])
    with pytest.raises(ValueError, match="got 64 images and 3 labels"):
        cnn.fit(faces[0][:, ::2, ::2], [0, 1, 2])
    assert np.array_equal(cnn.predict_proba(faces[0]), expected)


def test_warm_start_goes_on(faces, fitted):
    cnn = EmotionCNNClassifier(**TINY, warm_start=True).fit(*faces)
    _assert_same_weights(cnn, fitted)
    before = cnn.weights_
    cnn.set_params(learning_rate=1e-9, max_epochs=1).fit(*faces)
    assert (len(cnn.history_), cnn.n_iter_, cnn.best_epoch_) == (4, 1, 4)
    assert [record["epoch"] for record in cnn.history_] == [1, 2, 3, 4]
    for name, array in before.items():
        if "running" not in name and "batches" not in name:  # statistics move on all the same
            # a learning rate of 1e-9 moves weights of about 1 by less than float32 shows
            assert_allclose(cnn.weights_[name], array, rtol=0, atol=1e-6)
    cold = EmotionCNNClassifier(**TINY | {"learning_rate": 1e-9, "max_epochs": 1}).fit(*faces)
    assert np.abs(cold.weights_["head.weight"] - before["head.weight"]).max() > 1e-2


def test_warm_start_refuses_another_network(faces):
    X, y = faces
    cnn = EmotionCNNClassifier(**TINY, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"fitted on the classes \['happy', 'sad'\], got \['a'"):
        cnn.fit(X, np.where(y == "sad", "a", "b"))
    with pytest.raises(ValueError, match=r"warm_start=True was fitted with .*'stem_width': 4"):
        cnn.set_params(stem_width=5).fit(X, y)
    assert cnn.classes_.tolist() == ["happy", "sad"]
    assert cnn.set_params(stem_width=4, warm_start=False).fit(X, y == "sad").n_iter_ == 3


def test_a_failed_fit_leaves_no_mixture(faces, fitted):
    X, y = faces
    cnn = EmotionCNNClassifier(**TINY).fit(X, y)
    with pytest.raises(ValueError, match=r"the training loss is (nan|inf)"):
        cnn.set_params(learning_rate=1e30).fit(X, np.arange(len(y)) % 3)
    if not hasattr(cnn, "weights_"):  # the first epoch failed
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            cnn.predict(X)
    _assert_same_weights(cnn.set_params(learning_rate=0.1).fit(X, y), fitted)


@pytest.mark.parametrize("test_time_flip", [False, True])
def test_test_time_flip(faces, fitted, test_time_flip):
    X, _ = faces
    fitted.set_params(test_time_flip=test_time_flip)
    one, mirrored = fitted.predict_proba(X), fitted.predict_proba(X[:, :, ::-1])
    # the order of the two terms is exchanged, which floats do not see
    assert (np.abs(one - mirrored).max() < 1e-15) == test_time_flip
    if test_time_flip:
        fitted.set_params(test_time_flip=False)
        both = (fitted.predict_proba(X) + fitted.predict_proba(X[:, :, ::-1])) / 2
        assert_allclose(one, both, rtol=0, atol=1e-15)
    fitted.set_params(test_time_flip=True)


@pytest.mark.parametrize("flip", [None, False])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_export_onnx_equals_predict_proba(faces, tmp_path, flip, kind):
    X, y = faces
    images = X if kind == "uint8" else (X / 255).astype(np.float32)
    cnn = EmotionCNNClassifier(**TINY).fit(images, y)
    path = cnn.export_onnx(tmp_path / "cnn.onnx", flip=flip)
    assert list(tmp_path.iterdir()) == [path]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    scaled = (X / 255).astype(np.float32)[:, None]
    expected = cnn.set_params(test_time_flip=flip is None).predict_proba(images)
    for n in (1, len(X)):
        (got,) = session.run(None, {"images": scaled[:n]})
        # the graph multiplies in float32 and folds the normalisation into the kernels
        assert_allclose(got, expected[:n], rtol=0, atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(value) for key, value in metadata.items()} == {
        "classes": ["happy", "sad"],
        "image_size": [24, 28],
        "color": "grey",
        "scaling": [0, 1],
    }


def test_mixed_precision(faces):
    exact = EmotionCNNClassifier(**TINY, mixed_precision=False).fit(*faces)
    mixed = EmotionCNNClassifier(**TINY, mixed_precision=True).fit(*faces)
    assert {array.dtype for array in mixed.weights_.values()} == {np.dtype(t) for t in "fl"}
    difference = np.abs(mixed.weights_["head.weight"] - exact.weights_["head.weight"]).max()
    # bfloat16 keeps 8 bits: other weights, but not by much after so few steps
    assert 0 < difference < 0.1


def test_max_time_ends_the_training(faces):
    cnn = EmotionCNNClassifier(**TINY | {"max_time": 1e-6}).fit(*faces)
    assert cnn.n_iter_ == 1
    # the schedule is over with the time: it ends at 1e-4 of the highest rate
    assert cnn.history_[0]["learning_rate"] == pytest.approx(1e-4 * 0.1)


def test_prints_nothing_unless_asked(faces, capsys):
    X, y = faces
    EmotionCNNClassifier(**TINY).fit(X, y).predict(X)
    assert capsys.readouterr() == ("", "")
    cnn = EmotionCNNClassifier(**TINY, verbose=1).fit(X, y)
    fitting = capsys.readouterr()
    cnn.predict(X)
    predicting = capsys.readouterr()
    assert fitting.out == predicting.out == ""
    assert "9/9" in fitting.err  # 3 epochs of 3 batches
    assert "64/64" in predicting.err  # images


def test_state_is_arrays_and_json(fitted):
    def walk(value):
        if isinstance(value, dict):
            assert all(isinstance(key, str) for key in value)
            return [leaf for item in value.values() for leaf in walk(item)]
        if isinstance(value, (list, tuple)):
            return [leaf for item in value for leaf in walk(item)]
        return [value]

    state = fitted.__getstate__()
    allowed = (np.ndarray, int, float, str, bool, type(None))
    assert all(isinstance(leaf, allowed) for leaf in walk(state))
    assert sum(array.size for array in state["weights_"].values()) > 1000


def test_random_state_instance(faces):
    rng = np.random.RandomState(5)
    one = EmotionCNNClassifier(**TINY | {"random_state": rng}).fit(*faces)
    other = EmotionCNNClassifier(**TINY | {"random_state": rng}).fit(*faces)
    assert not np.array_equal(one.weights_["head.weight"], other.weights_["head.weight"])
    again = EmotionCNNClassifier(**TINY | {"random_state": 5}).fit(*faces)
    _assert_same_weights(again, one)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"widths": ()}, r"EmotionCNNClassifier expected widths to be ints of at least 1, .* \(\)"),
        ({"widths": (6, 0)}, r"expected widths to be ints of at least 1, .* got \(6, 0\)"),
        ({"n_blocks": (0, 1.5)}, r"expected n_blocks to be ints of at least 0, .* \(0, 1.5\)"),
        ({"n_blocks": (0,)}, r"one entry per stage, got widths=\(6, 8\), n_blocks=\(0,\)"),
        ({"batch_size": 1}, "The 'batch_size' parameter of EmotionCNNClassifier must be"),
        ({"mixed_precision": "half"}, "The 'mixed_precision' parameter of EmotionCNNClassifier"),
        ({"validation_fraction": 0.001}, "cannot hold out validation_fraction=0.001 of 64 images"),
        ({"device": "abacus"}, "EmotionCNNClassifier expected device to be 'auto', 'cpu' or a"),
        ({"class_weight": {"happy": 1, "sad": -1}}, "weights .* non-negative .* got -1 in row"),
        ({"image_size": (0, 4)}, r"EmotionCNNClassifier expected image_size .* got \(0, 4\)"),
    ],
)
def test_bad_parameters(faces, settings, match):
    with pytest.raises(ValueError, match=match):
        EmotionCNNClassifier(**TINY | settings).fit(*faces)


@pytest.mark.parametrize(
    ("weights", "match"),
    [
        ([1.0] * 63, r"expected sample_weight of shape \(64,\), one for each image, got \(63,\)"),
        ([1.0] * 63 + [-2.0], "that are non-negative and not all zero, got -2 in row 63"),
        ([0.0] * 64, "not all zero, got 0 in row 0"),
    ],
)
def test_bad_sample_weights(faces, weights, match):
    with pytest.raises(ValueError, match=match):
        EmotionCNNClassifier(**TINY).fit(*faces, sample_weight=weights)


def test_a_training_leaves_nothing_behind(faces, monkeypatch):
    made = []

    class Watched(training_recipe.AveragedNetwork):
        def __init__(self, module, *, decay):
            super().__init__(module, decay=decay)
            made.extend(weakref.ref(network) for network in (module, self.module))

    monkeypatch.setattr(training_recipe, "AveragedNetwork", Watched)
    gc.collect()
    gc.disable()  # or it might come by, and find what holds itself
    try:
        cnn = EmotionCNNClassifier(**TINY).fit(*faces)
        assert len(made) == 2
        assert [network() for network in made] == [None, None]
        cnn.predict(faces[0])
        estimator = weakref.ref(cnn)
        del cnn
        assert estimator() is None
    finally:
        gc.enable()


def test_bad_targets(faces):
    X, y = faces
    with pytest.raises(ValueError, match="expected one label per image, got 64 images and 60"):
        EmotionCNNClassifier(**TINY).fit(X, y[:60])
    with pytest.raises(ValueError, match="needs at least 2 images to train, got n_samples = 1"):
        EmotionCNNClassifier(**TINY, early_stopping=False).fit(X[:1], y[:1])


@pytest.mark.parametrize("missing", ["torch", "skorch"])
def test_missing_library_in_fit(faces, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    match = (
        rf"EmotionCNNClassifier needs {missing}\. Install it with: pip install "
        r'"emotion-estimators\[torch\]"'
    )
    with pytest.raises(MissingDependencyError, match=match):
        EmotionCNNClassifier(**TINY).fit(*faces)


def test_missing_library_after_fit(faces, fitted, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for call in (lambda: fitted.predict(faces[0]), lambda: fitted.export_onnx(tmp_path / "a.onnx")):
        with pytest.raises(MissingDependencyError, match="EmotionCNNClassifier needs torch"):
            call()


def test_constructing_loads_no_heavy_library():
    code = (
        "import sys; import emotion_estimators; emotion_estimators.EmotionCNNClassifier(); "
        "print(sorted({'torch', 'skorch', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"
