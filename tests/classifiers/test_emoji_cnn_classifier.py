"""EmojiCNNClassifier: both conformance suites, what it learns, keeps, refuses and leaves alone."""

import json
import os
import random
import subprocess
import sys
import threading
from functools import partial

import numpy as np
import pytest
from joblib import Parallel, delayed
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

pytest.importorskip("scikeras", reason="EmojiCNNClassifier needs scikeras")
try:
    import keras
except ModuleNotFoundError as error:
    pytest.skip(f"EmojiCNNClassifier needs a Keras backend: {error}", allow_module_level=True)

from emotion_estimators.classifiers import (
    EmojiCNNClassifier,
    PretrainedEmotionClassifier,
    emoji_cnn_classifier,
    make_emoji_classifier,
)
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import MissingDependencyError, WeightsError
from emotion_estimators.networks.pool import NetworkPool
from emotion_estimators.testing import check_sklearn_estimator, parametrize_with_image_checks
from emotion_estimators.training import keras_engine
from emotion_estimators.training.grey_augmentation import shifted_views

TINY = {
    "image_size": None,
    "network": {"filters": (4, 6)},
    "max_epochs": 2,
    "batch_size": 32,
    "n_threads": 1,
    "random_state": 0,
}
# rows of a few numbers have neither mirror images nor a place to turn around
ROWS = TINY | {
    "network": {"filters": (8, 16), "dropout": 0.0},
    "augmentation": 0.0,
    "max_epochs": 8,
    "learning_rate": 0.03,
    "test_time_augmentation": False,
}

# the original scripts' network and its training
ORIGINAL = TINY | {
    "network": "original",
    "learning_rate": 0.001,
    "warmup": None,
    "weight_decay": 0.0,
    "augmentation": 0.0,
    "label_smoothing": 0.0,
    "n_iter_no_change": None,
}
SETTINGS = {"edges": TINY, "original": ORIGINAL}


def _own_model(image_size, n_classes, activation="softmax"):
    """Return a small model with names that Keras gives and the first weights that it draws."""
    return keras.Sequential(
        [
            keras.Input((*image_size, 1)),
            keras.layers.Conv2D(3, 3, strides=2, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Flatten(),
            keras.layers.Dense(n_classes, activation=activation),
        ]
    )


def _functional(image_size, n_classes):
    """Return a model with two ways through it."""
    images = keras.Input((*image_size, 1))
    x = keras.layers.DepthwiseConv2D(3, strides=2, depth_multiplier=4)(images)
    x = keras.layers.BatchNormalization()(x)
    ways = [pool()(x) for pool in (keras.layers.GlobalMaxPooling2D, keras.layers.Flatten)]
    x = keras.layers.Dropout(0.3)(keras.layers.Concatenate()(ways))
    return keras.Model(images, keras.layers.Dense(n_classes, activation="softmax")(x))


def _nested(image_size, n_classes):
    """Return a model in a model."""
    images = keras.Input((*image_size, 1))
    return keras.Model(images, _own_model(image_size, n_classes)(images))


class Subclass(keras.Model):
    """A model that Keras can describe to nobody; TensorFlow takes no name that begins with _."""

    def __init__(self, n_classes):
        super().__init__()
        self.flatten = keras.layers.Flatten()
        self.dense = keras.layers.Dense(n_classes, activation="softmax")

    def call(self, images):
        return self.dense(self.flatten(images))


def _subclass(image_size, n_classes):  # noqa: ARG001
    return Subclass(n_classes)


def _grouped(image_size, n_classes):
    """Return a model with a layer that this library cannot write, but Keras describes."""
    images = keras.Input((*image_size, 1))
    grouped = keras.layers.GroupNormalization(groups=1)(images)
    return keras.Model(images, _own_model(image_size, n_classes)(grouped))


OWN = {
    "plain": _own_model,
    "functional": _functional,
    "nested": _nested,
    "grouped": _grouped,
    "subclass": _subclass,
}


@pytest.fixture(scope="module")
def faces():
    return make_faces(48, emotions=["happy", "sad"], image_size=(24, 28), random_state=0)


@pytest.fixture(scope="module")
def fitted(faces):
    return EmojiCNNClassifier(**TINY).fit(*faces)


def _assert_same_weights(one, other):
    assert list(one.weights_) == list(other.weights_)
    for name, array in one.weights_.items():
        assert_array_equal(array, other.weights_[name], err_msg=name)


@parametrize_with_image_checks([EmojiCNNClassifier(**TINY | {"max_epochs": 1})])
def test_image_contract(estimator, check):
    check(estimator)


def test_scikit_learn_contract():
    results = check_sklearn_estimator(
        EmojiCNNClassifier(**ROWS),
        expected_failed_checks={
            # test_learns has images
            "check_classifiers_train": (
                "its rows are two numbers, of which standardising an image leaves the order alone"
            ),
            # what weights do is tested below
            "check_sample_weight_equivalence_on_dense_data": (
                "batches are drawn by chance, so repeated images meet others than weighted ones"
            ),
        },
    )
    assert {row["status"] for row in results} == {"passed", "xfail"}
    assert len(results) >= 50


def test_learns():
    settings = {"emotions": ["angry", "happy", "surprise"], "image_size": 32}
    X, y = make_faces(300, random_state=0, **settings)
    cnn = EmojiCNNClassifier(
        image_size=None,
        network={"filters": (16, 24)},
        augmentation=0.3,
        max_epochs=12,
        random_state=0,
    ).fit(X, y)
    # guessing is right in 1/3 of 150 faces, with a standard deviation of 0.04
    assert cnn.score(*make_faces(150, random_state=1, **settings)) > 0.6


@pytest.mark.parametrize("n_classes", [1, 2, 5])
def test_any_number_of_classes(n_classes):
    X, _ = make_faces(20, image_size=24, random_state=0)
    y = [f"class {i % n_classes}" for i in range(20)]
    cnn = EmojiCNNClassifier(**TINY | {"max_epochs": 1}).fit(X, y)
    probabilities = cnn.predict_proba(X[:1])
    assert probabilities.shape == (1, n_classes)
    assert probabilities.dtype == np.float64
    assert set(cnn.predict(X)) <= set(y)


@pytest.mark.parametrize("network", SETTINGS)
def test_predictions_equal_keras(faces, network):
    X, y = faces
    settings = SETTINGS[network] | {"test_time_augmentation": False, "max_epochs": 1}
    cnn = EmojiCNNClassifier(**settings).fit(X, y)
    model = cnn.network_
    assert isinstance(model, keras.Sequential)
    assert cnn.network_ is model
    expected = keras_engine._copied(model((X / 255).astype(np.float32)[..., None]))
    # two engines add float32 in another order
    assert_allclose(cnn.predict_proba(X), expected, rtol=0, atol=2e-5)


def test_test_time_augmentation(faces, fitted):
    X, _ = faces
    padded = np.pad(X, ((0, 0), (1, 1), (1, 1)), mode="edge")  # 24 x 28 px are moved by 1
    places = [(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)]
    moved = [padded[:, y : y + 24, x : x + 28] for y, x in places]
    plain = EmojiCNNClassifier(**TINY, test_time_augmentation=False).fit(*faces)
    one_by_one = [plain.predict_proba(v) for m in moved for v in (m, m[:, :, ::-1])]
    # the order of float64 sums, and float32 probabilities that are divided by their sum
    assert_allclose(fitted.predict_proba(X), np.mean(one_by_one, axis=0), rtol=0, atol=1e-6)
    assert np.abs(fitted.predict_proba(X) - plain.predict_proba(X)).max() > 1e-4


@pytest.mark.parametrize("network", ["edges", "original", _functional, _nested])
@pytest.mark.parametrize("views", [False, True])
def test_export_onnx(network, views, faces, tmp_path):
    import onnxruntime

    X, y = faces
    cnn = EmojiCNNClassifier(**TINY | {"network": network, "max_epochs": 1}).fit(X, y)
    path = cnn.export_onnx(tmp_path / "cnn.onnx", test_time_augmentation=views)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = (X / 255).astype(np.float32)[:, np.newaxis]
    (probabilities,) = session.run(["probabilities"], {"images": images})
    expected = cnn.set_params(test_time_augmentation=views).predict_proba(X)
    # float32, added in another order
    assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
    known = {key: json.loads(text) for key, text in _metadata(session).items()}
    assert known == {
        "classes": ["happy", "sad"], "image_size": [24, 28], "color": "grey", "scaling": [0, 1]
    }  # fmt: skip
    frozen = PretrainedEmotionClassifier(model=path)
    assert_array_equal(frozen.predict(X), cnn.predict(X))
    assert_allclose(frozen.predict_proba(X), expected, rtol=0, atol=1e-5)


def _metadata(session):
    return session.get_modelmeta().custom_metadata_map


@pytest.mark.parametrize("network", [_grouped, _subclass])
def test_export_onnx_of_a_network_that_cannot_be_written(network, faces, tmp_path):
    cnn = EmojiCNNClassifier(**TINY | {"network": network, "max_epochs": 1}).fit(*faces)
    with pytest.raises(WeightsError, match=r"cannot write this network: .*network_\.export\(path"):
        cnn.export_onnx(tmp_path / "cnn.onnx")
    assert not list(tmp_path.iterdir())


def test_views_are_made_of_some_pictures_at_once(faces, fitted, monkeypatch):
    X = np.concatenate([faces[0]] * 3)
    made = []

    def watched(images):
        made.append(len(images))
        return shifted_views(images)

    monkeypatch.setattr(emoji_cnn_classifier, "shifted_views", watched)
    probabilities = fitted.predict_proba(X)
    assert sum(made) == len(X) == 144
    assert max(made) <= 32  # ten float32 views of 32 images of 256 x 256 px are 84 MB
    assert_array_equal(probabilities[96:], probabilities[:48])


def test_original_network():
    X, y = make_faces(12, emotions=["happy", "sad"], image_size=48, random_state=0)
    cnn = make_emoji_classifier(max_epochs=1, random_state=0).fit(X, y)
    layers = [
        (type(layer).__name__, layer.output.shape[1:], layer.count_params())
        for layer in cnn.network_.layers
    ]
    assert layers == [
        ("Conv2D", (46, 46, 32), 320),
        ("MaxPooling2D", (23, 23, 32), 0),
        ("Conv2D", (21, 21, 64), 18496),
        ("Flatten", (28224,), 0),
        ("Dense", (64,), 1806400),
        ("Dense", (2,), 130),
    ]
    activations = [getattr(layer, "activation", None) for layer in cnn.network_.layers]
    assert [a.__name__ for a in activations if a] == ["relu", "relu", "relu", "softmax"]
    assert cnn.history_[0]["learning_rate"] == pytest.approx(0.001)


# what Adagrad has summed up begins at 0.1
@pytest.mark.parametrize("optimizer", [None, keras.optimizers.Adagrad])
def test_original_network_trains_as_keras_does(optimizer, faces):
    X, y = faces
    settings = ORIGINAL | {"batch_size": len(y), "max_epochs": 3, "optimizer": optimizer}
    cnn = EmojiCNNClassifier(**settings).fit(X, y)
    started = EmojiCNNClassifier(**settings | {"max_epochs": 1, "learning_rate": 1e-12}).fit(X, y)
    model = started.network_
    theirs = (optimizer or keras.optimizers.Adam)(0.001)
    model.compile(optimizer=theirs, loss="sparse_categorical_crossentropy")
    codes = (y == "sad").astype(int)
    # one batch holds all images, so their order does not count
    history = model.fit(
        (X / 255).astype(np.float32)[..., None], codes, epochs=3, batch_size=len(y), verbose=0
    )
    losses = [record["train_loss"] for record in cnn.history_]
    # float32 sums in another order, three steps on
    assert_allclose(losses, history.history["loss"], rtol=1e-3)


def test_the_preset_of_the_original_scripts():
    cnn = make_emoji_classifier(batch_size=12, random_state=0)
    assert repr(cnn).split("(")[0] == "EmojiCNNClassifier"
    for shown in ("network='original'", "max_epochs=45", "batch_size=12", "warmup=None"):
        assert shown in repr(cnn)
    default = EmojiCNNClassifier()
    assert make_emoji_classifier(preset=None).get_params() == default.get_params()
    with pytest.raises(TypeError, match="unexpected keyword argument 'epochs'"):
        make_emoji_classifier(epochs=3)
    with pytest.raises(ValueError, match="The 'preset' parameter of make_emoji_classifier must"):
        make_emoji_classifier("seed")


@pytest.mark.parametrize("build", OWN.values(), ids=OWN)
def test_a_network_of_ones_own(build, faces, tmp_path):
    import joblib

    X, y = faces
    python_random = random.getstate()
    settings = TINY | {"network": build, "test_time_augmentation": False}
    cnn = EmojiCNNClassifier(**settings).fit(X, y)
    assert random.getstate() == python_random
    model = cnn.network_
    expected = keras_engine._copied(model((X / 255).astype(np.float32)[..., None]))
    probabilities = cnn.predict_proba(X)
    # two engines add float32 in another order
    assert_allclose(probabilities, expected, rtol=0, atol=2e-5)
    # where Keras predicts, a row of a batch of one size may round by its place
    assert_allclose(cnn.predict_proba(X[40:41]), probabilities[40:41], rtol=0, atol=1e-6)
    again = EmojiCNNClassifier(**settings).fit(X, y)
    _assert_same_weights(again, cnn)
    assert again.architecture_ == cnn.architecture_
    other = EmojiCNNClassifier(**settings | {"random_state": 1}).fit(X, y)
    name = next(name for name in cnn.weights_ if name.endswith("kernel"))
    assert np.abs(other.weights_[name] - cnn.weights_[name]).max() > 1e-3
    cnn.set_params(warm_start=True, learning_rate=1e-9, weight_decay=0.0).fit(X, y)
    assert len(cnn.history_) == 4
    # a learning rate of 1e-9 moves weights of about 1 by less than float32 shows
    assert_allclose(cnn.weights_[name], again.weights_[name], rtol=0, atol=1e-6)
    joblib.dump(again, tmp_path / "cnn.joblib")
    loaded = joblib.load(tmp_path / "cnn.joblib")
    assert_array_equal(loaded.predict_proba(X), probabilities)
    with_views = again.set_params(test_time_augmentation=True).predict_proba(X)
    assert np.abs(with_views - probabilities).max() > 1e-5
    assert_allclose(with_views.sum(axis=1), 1, rtol=0, atol=1e-6)


@pytest.mark.parametrize("build", OWN.values(), ids=OWN)
def test_the_live_network_is_not_the_estimator(build, faces):
    X, y = faces
    cnn = EmojiCNNClassifier(**TINY | {"network": build, "max_epochs": 1}).fit(X, y)
    before = cnn.predict_proba(X)
    for variable in cnn.network_.trainable_variables:
        variable.assign(variable * 0)
    assert_array_equal(cnn.predict_proba(X), before)


def test_a_network_of_ones_own_that_has_changed(faces):
    cnn = EmojiCNNClassifier(**TINY | {"network": partial(_wide, 4)}).fit(*faces)
    cnn.set_params(network=partial(_wide, 5))
    assert cnn.predict_proba(faces[0]).shape == (48, 2)  # on ONNX Runtime, as it was
    match = r"was fitted with network=\{'partial': .*_wide.*Set it as it was, or fit again"
    with pytest.raises(ValueError, match=match):
        cnn.network_  # noqa: B018
    cnn.set_params(network="original")
    with pytest.raises(ValueError, match=match):
        cnn.network_  # noqa: B018
    with pytest.raises(
        ValueError, match=r"with another network: keras\..*network=\{.*Set warm_start=False"
    ):
        cnn.set_params(warm_start=True).fit(*faces)


def _wide(width, image_size, n_classes):
    return keras.Sequential(
        [
            keras.Input((*image_size, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )


@pytest.mark.parametrize(
    "optimizer",
    [keras.optimizers.SGD, partial(keras.optimizers.AdamW, beta_1=0.8)],
    ids=["class", "partial"],
)
def test_an_optimizer_of_ones_own(optimizer, faces, fitted):
    settings = TINY | {"optimizer": optimizer, "warmup": None, "learning_rate": 0.01}
    cnn = EmojiCNNClassifier(**settings).fit(*faces)
    assert [record["learning_rate"] for record in cnn.history_] == [float(np.float32(0.01))] * 2
    _assert_same_weights(EmojiCNNClassifier(**settings).fit(*faces), cnn)
    kernel = "probabilities/kernel"
    assert np.abs(cnn.weights_[kernel] - fitted.weights_[kernel]).max() > 1e-3
    decayed = EmojiCNNClassifier(**settings | {"weight_decay": 5.0}).fit(*faces)
    assert np.abs(decayed.weights_[kernel]).mean() < 0.95 * np.abs(cnn.weights_[kernel]).mean()
    # a bias does not decay: it learns the same from images of no contrast
    assert "probabilities/bias" in decayed.weights_


def test_history_and_the_weights_kept(faces):
    X, y = faces
    settings = TINY | {
        "max_epochs": 4,
        "test_time_augmentation": False,
        "validation_fraction": 0.25,
    }
    cnn = EmojiCNNClassifier(**settings).fit(X, y)
    assert [record["epoch"] for record in cnn.history_] == [1, 2, 3, 4]
    names = {"train_loss", "train_accuracy", "learning_rate", "valid_loss", "valid_accuracy"}
    assert all(set(record) == names | {"epoch"} for record in cnn.history_)
    best = max(cnn.history_, key=lambda r: (r["valid_accuracy"], -r["valid_loss"]))
    assert cnn.best_epoch_ == best["epoch"]
    without = EmojiCNNClassifier(**TINY).fit(X, y)
    assert "valid_loss" not in without.history_[0]
    assert without.best_epoch_ == without.n_iter_ == 2


@pytest.mark.parametrize("validation_fraction", [None, 0.25])
def test_stops_where_nothing_gets_better(faces, validation_fraction):
    # a learning rate that changes nothing, and no augmentation by which the loss would vary
    cnn = EmojiCNNClassifier(
        **ORIGINAL
        | {
            "max_epochs": 40,
            "learning_rate": 1e-12,
            "n_iter_no_change": 2,
            "validation_fraction": validation_fraction,
        }
    ).fit(*faces)
    assert cnn.n_iter_ == len(cnn.history_) < 40


def test_images_of_no_weight_teach_nothing(faces):
    X, y = faces
    noise = np.where(
        y[:, None, None] == "sad", X, np.random.default_rng(0).integers(0, 256, X.shape)
    )
    weights = (y == "sad").astype(float)
    cnn = EmojiCNNClassifier(**TINY).fit(X, y, sample_weight=weights)
    other = EmojiCNNClassifier(**TINY).fit(noise.astype(np.uint8), y, sample_weight=weights)
    _assert_same_weights(cnn, other)
    with pytest.raises(ValueError, match="needs at least 2 images of a weight above 0"):
        EmojiCNNClassifier(**TINY).fit(X, y, sample_weight=np.eye(len(y))[0])


def test_warm_start_goes_on(faces, fitted):
    cnn = EmojiCNNClassifier(**TINY, warm_start=True).fit(*faces)
    _assert_same_weights(cnn, fitted)
    before = cnn.weights_
    cnn.set_params(learning_rate=1e-9, max_epochs=1).fit(*faces)
    assert (len(cnn.history_), cnn.n_iter_, cnn.best_epoch_) == (3, 1, 3)
    kernel = "probabilities/kernel"
    # a learning rate of 1e-9 moves weights of about 1 by less than float32 shows
    assert_allclose(cnn.weights_[kernel], before[kernel], rtol=0, atol=1e-6)
    cold = EmojiCNNClassifier(**TINY | {"learning_rate": 1e-9, "max_epochs": 1}).fit(*faces)
    assert np.abs(cold.weights_[kernel] - before[kernel]).max() > 1e-3


def test_warm_start_refuses_another_network(faces):
    X, y = faces
    cnn = EmojiCNNClassifier(**TINY, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"fitted on the classes \['happy', 'sad'\], got \['a'"):
        cnn.fit(X, np.where(y == "sad", "a", "b"))
    match = r"another network: keras.config.layers.5.config.filters=4 \(now 5\), .*network.filters"
    with pytest.raises(ValueError, match=match):
        cnn.set_params(network={"filters": (5, 6)}).fit(X, y)
    assert cnn.classes_.tolist() == ["happy", "sad"]


def test_equal_seeds_in_threads(faces, fitted):
    fits = Parallel(n_jobs=4, backend="threading")(
        delayed(lambda: EmojiCNNClassifier(**TINY).fit(*faces))() for _ in range(4)
    )
    for cnn in fits:
        _assert_same_weights(cnn, fitted)
    other = EmojiCNNClassifier(**TINY | {"random_state": 1}).fit(*faces)
    kernel = "probabilities/kernel"
    assert np.abs(other.weights_[kernel] - fitted.weights_[kernel]).max() > 1e-2


class _Watch(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.losses = []

    def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
        self.losses.append(logs["loss"])
        if len(self.losses) == 2:
            self.model.stop_training = True

    def on_train_end(self, logs=None):  # noqa: ARG002
        seen.append((self.losses, self.model))


seen = []  # by the copies of callbacks


def test_callbacks_are_copied_for_each_fit(faces):
    seen.clear()
    watch = _Watch()
    cnn = EmojiCNNClassifier(**TINY | {"max_epochs": 5, "callbacks": [watch]})
    for _ in range(2):
        cnn.fit(*faces)
        assert cnn.n_iter_ == 2
        losses, _ = seen[-1]
        assert losses == [record["train_loss"] for record in cnn.history_]
    assert watch.losses == []
    assert watch.model is None


def test_a_network_that_a_callback_holds_on_to_is_not_trained_again(faces, fitted):
    seen.clear()
    cnn = EmojiCNNClassifier(**TINY | {"callbacks": [_Watch()]}).fit(*faces)
    _, held = seen[-1]
    EmojiCNNClassifier(**TINY | {"random_state": 1}).fit(*faces)
    _assert_same_weights(cnn, fitted)
    kernel = held.get_layer("probabilities").kernel
    assert_array_equal(keras_engine._copied(kernel), cnn.weights_["probabilities/kernel"])


@pytest.mark.parametrize("validation_fraction", [None, 0.25])
def test_weights_that_a_callback_leaves_count_where_nothing_is_held_out(faces, validation_fraction):
    class Zeros(keras.callbacks.Callback):
        def on_train_end(self, logs=None):  # noqa: ARG002
            kernel = self.model.get_layer("probabilities").kernel
            kernel.assign(keras.ops.zeros_like(kernel))

    settings = TINY | {"validation_fraction": validation_fraction}
    cnn = EmojiCNNClassifier(**settings, callbacks=[Zeros()]).fit(*faces)
    assert np.any(cnn.weights_["probabilities/kernel"] != 0) == (validation_fraction is not None)


def test_a_callback_may_move_the_learning_rate(faces):
    class Halves(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):  # noqa: ARG002
            self.model.optimizer.learning_rate = 0.5 ** (8 + epoch)

    settings = TINY | {"learning_rate": 0.5**7, "max_epochs": 3, "callbacks": [Halves()]}
    cnn = EmojiCNNClassifier(**settings, warmup=None).fit(*faces)
    assert [record["learning_rate"] for record in cnn.history_] == [0.5**8, 0.5**9, 0.5**10]


def test_errors_of_a_callback_come_through(faces, fitted):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            raise RuntimeError("disk full")

    cnn = EmojiCNNClassifier(**TINY, callbacks=[Fails()])
    with pytest.raises(RuntimeError, match="disk full"):
        cnn.fit(*faces)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        cnn.predict(faces[0])
    _assert_same_weights(cnn.set_params(callbacks=None).fit(*faces), fitted)


class _Interrupt(keras.callbacks.Callback):
    """Presses Ctrl-C after so many batches, of which an epoch has two."""

    def __init__(self, n_batches):
        super().__init__()
        self.n_left = n_batches

    def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
        self.n_left -= 1
        if self.n_left == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("validation_fraction", [None, 0.25])
def test_keyboard_interrupt_keeps_the_best_weights(validation_fraction, faces):
    settings = TINY | {"validation_fraction": validation_fraction}
    cnn = EmojiCNNClassifier(**settings | {"max_epochs": 4, "callbacks": [_Interrupt(5)]})
    with pytest.raises(KeyboardInterrupt, match="keeps the weights of epoch") as raised:
        cnn.fit(*faces)
    assert f"epoch {cnn.best_epoch_}, the best of the 2 that" in raised.value.__notes__[0]
    # without an annealed rate, the first epochs of a longer training are a short one's
    assert (cnn.n_iter_, len(cnn.history_)) == (2, 2)
    assert cnn.best_epoch_ == 2 or validation_fraction
    assert cnn.classes_.tolist() == ["happy", "sad"]
    assert cnn.predict_proba(faces[0]).shape == (48, 2)


def test_keyboard_interrupt_without_held_out_pictures_keeps_the_last_epoch(faces):
    settings = ORIGINAL  # its learning rate is constant
    cnn = EmojiCNNClassifier(**settings | {"max_epochs": 4, "callbacks": [_Interrupt(5)]})
    with pytest.raises(KeyboardInterrupt, match="keeps the weights of epoch"):
        cnn.fit(*faces)
    whole = EmojiCNNClassifier(**settings | {"max_epochs": 2}).fit(*faces)
    _assert_same_weights(cnn, whole)
    assert cnn.history_ == whole.history_


@pytest.mark.parametrize("n_batches", [1, 3])
def test_keyboard_interrupt_of_a_warm_start(n_batches, faces):
    cnn = EmojiCNNClassifier(**TINY, warm_start=True).fit(*faces)
    cnn.set_params(callbacks=[_Interrupt(n_batches)])
    before, history = dict(vars(cnn)), [dict(record) for record in cnn.history_]
    with pytest.raises(
        KeyboardInterrupt, match="^$" if n_batches == 1 else "the weights of epoch 3,"
    ):
        cnn.fit(*faces)
    assert before["history_"] == history  # another object holds the new records
    if n_batches == 1:  # in the first epoch
        assert vars(cnn) == before
    else:
        assert cnn.history_[:2] == history
        assert (len(cnn.history_), cnn.n_iter_, cnn.best_epoch_) == (3, 1, 3)
        assert cnn.weights_ is not before["weights_"]


def test_a_fit_that_fails_leaves_the_former_one(faces):
    class Fails(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            raise RuntimeError("disk full")

    cnn = EmojiCNNClassifier(**TINY, warm_start=True).fit(*faces)
    cnn.set_params(callbacks=[Fails()])
    before, n_epochs = dict(vars(cnn)), len(cnn.history_)
    with pytest.raises(RuntimeError, match="disk full"):
        cnn.fit(*faces)
    with pytest.raises(ValueError, match="got 48 images and 3 labels"):
        cnn.fit(faces[0][:, ::2, ::2], [0, 1, 2])
    assert vars(cnn) == before
    assert len(cnn.history_) == n_epochs


def test_a_fit_that_a_callback_has_ended_does_not_go_on(faces, tmp_path):
    class Ends(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):  # noqa: ARG002
            self.model.stop_training = True

        def on_train_end(self, logs=None):  # noqa: ARG002
            kernel = self.model.get_layer("probabilities").kernel
            kernel.assign(keras.ops.ones_like(kernel))

    settings = TINY | {"callbacks": [Ends()], "checkpoint_dir": tmp_path, "resume": True}
    for _ in range(2):
        cnn = EmojiCNNClassifier(**settings).fit(*faces)
        assert cnn.n_iter_ == 1
        assert_array_equal(cnn.weights_["probabilities/kernel"], 1)
    (path,) = tmp_path.glob("*/last.npz")
    assert path.stat().st_size < 10 * sum(array.nbytes for array in cnn.weights_.values())


KERAS_SETTINGS = {
    "channels_first": ("image_data_format", "channels_first"),
    "float64": ("floatx", "float64"),
    "mixed": ("dtype_policy", "mixed_bfloat16"),
}


@pytest.mark.parametrize("network", SETTINGS)
@pytest.mark.parametrize("setting", KERAS_SETTINGS)
def test_settings_of_keras_change_no_bit(setting, network, faces, monkeypatch):
    monkeypatch.setattr(keras_engine, "pool", NetworkPool())  # none built before
    emoji_cnn_classifier._own_config.cache_clear()
    settings = SETTINGS[network] | {"max_epochs": 1}
    plain = EmojiCNNClassifier(**settings).fit(*faces)
    expected = plain.predict_proba(faces[0])
    monkeypatch.setattr(keras_engine, "pool", NetworkPool())
    emoji_cnn_classifier._own_config.cache_clear()
    name, value = KERAS_SETTINGS[setting]
    before = getattr(keras.config, name)()
    getattr(keras.config, f"set_{name}")(value)
    try:
        now = getattr(keras.config, name)()
        other = EmojiCNNClassifier(**settings).fit(*faces)
        probabilities = other.predict_proba(faces[0])
        assert other.network_.dtype_policy.name == "float32"
        assert getattr(keras.config, name)() is now
    finally:
        getattr(keras.config, f"set_{name}")(before)
    _assert_same_weights(other, plain)
    assert other.architecture_ == plain.architecture_
    for epoch, as_usual in zip(other.history_, plain.history_, strict=True):
        # Keras averages the losses of an epoch in floatx: float32 has 7 digits
        assert epoch == pytest.approx(as_usual, rel=1e-6)
    assert np.array_equal(probabilities, expected)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="Keras does not run on torch")
def test_on_torch_a_fit_waits_for_other_users_of_its_generator(faces):
    import torch

    from emotion_estimators.training.seeds import seeded

    trains = threading.Event()
    begun = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: trains.set())  # noqa: ARG005
    cnn = EmojiCNNClassifier(**TINY, callbacks=[begun])
    fit = threading.Thread(target=cnn.fit, args=faces)
    with seeded(0, torch.device("cpu")):
        fit.start()
        assert not trains.wait(2)
    fit.join()
    assert trains.is_set()


def test_a_process_forked_with_tensorflow_is_told_to_spawn():
    pytest.importorskip("tensorflow", reason="the Keras backend tensorflow is not installed")
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    code = """if True:
        import os, sys
        import keras
        from emotion_estimators import EmojiCNNClassifier
        if os.fork() == 0:
            try:
                EmojiCNNClassifier().fit([[[0.0]], [[1.0]]], [0, 1])
            except RuntimeError as error:
                print(error)
            sys.stdout.flush()
            os._exit(0)
        os.wait()
        """
    said = _run(code, "tensorflow")
    assert said.startswith(
        "EmojiCNNClassifier cannot use Keras on tensorflow in a process that was"
    )
    assert "multiprocessing.get_context('spawn')" in said


def test_progress_bars(faces, capsys):
    X, y = faces
    EmojiCNNClassifier(**TINY).fit(X, y).predict(X)
    assert capsys.readouterr() == ("", "")
    cnn = EmojiCNNClassifier(**TINY, verbose=1).fit(X, y)
    fitting = capsys.readouterr()
    cnn.predict(X)
    predicting = capsys.readouterr()
    assert fitting.out == predicting.out == ""
    assert "4/4" in fitting.err  # 2 epochs of 2 batches
    assert "48/48" in predicting.err


def test_state_is_arrays_and_json(fitted):
    fitted.predict(np.zeros((1, 24, 28), np.uint8))
    assert fitted.network_ is not None
    state = dict(fitted.__getstate__())
    weights = state.pop("weights_")
    assert all(type(array) is np.ndarray for array in weights.values())
    assert sum(array.size for array in weights.values()) > 300
    state.pop("classes_")
    json.dumps(state)


def test_grid_search_over_networks_and_learning_rates(faces):
    search = GridSearchCV(
        EmojiCNNClassifier(**TINY),
        {
            "network": ["original", {"filters": (3,)}, _functional],
            "learning_rate": [0.001, 0.01],
        },
        cv=2,
        n_jobs=2,
        error_score="raise",
    ).fit(*faces)
    assert len(search.cv_results_["params"]) == 6
    again = EmojiCNNClassifier(**TINY | search.best_params_).fit(*faces)
    assert_array_equal(
        search.best_estimator_.predict_proba(faces[0]), again.predict_proba(faces[0])
    )


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        (
            {"network": {"filters": ()}},
            r"expected network\['filters'\] to be ints of at least 1, .* got \(\)",
        ),
        (
            {"network": {"filters": (4, 0.5)}},
            r"expected network\['filters'\] to be ints of at least 1, .* got \(4, 0.5\)",
        ),
        (
            {"network": {"dropout": 1.0}},
            r"expected network\['dropout'\] to be a number from 0 to below 1, got 1.0",
        ),
        ({"network": {"width": 3}}, "expected network to be 'edges', 'original', a dict with"),
        ({"network": "vgg"}, "expected network to be 'edges', 'original', .* got 'vgg'"),
        ({"max_epochs": 0}, "The 'max_epochs' parameter of EmojiCNNClassifier must be"),
        ({"validation_fraction": 0.001}, "or set validation_fraction=None"),
        (
            {"network": "original", "image_size": 7},
            "needs images of at least 8 x 8 px for network='original', got 7 x 7",
        ),
        ({"network": _own_model((24, 28), 2)}, "function .* that builds a model, got a model"),
        (
            {"network": lambda image_size, n_classes: [image_size, n_classes]},
            r"returns a keras.Model from grey images \(n, 24, 28, 1\) to probabilities \(n, 2\), "
            "got one that returns list",
        ),
        (
            {"network": lambda image_size, n_classes: _own_model(image_size, n_classes + 1)},
            r"probabilities \(n, 2\), which softmax .* got outputs of shape \(2, 3\)",
        ),
        (
            {"network": lambda image_size, n_classes: _own_model(image_size, n_classes, "relu")},
            "which softmax as the last activation gives; got outputs .* whose sums are",
        ),
        ({"optimizer": "adam"}, "The 'optimizer' parameter of EmojiCNNClassifier must be"),
        ({"optimizer": keras.optimizers.Adam()}, "must be a callable or None. Got <keras"),
        (
            {"optimizer": partial(keras.optimizers.SGD, learning_rate=0.1)},
            r"without learning_rate of its own, got learning_rate=0\.1\. Pass learning_rate to",
        ),
        ({"optimizer": dict}, "expected optimizer to be a class of keras.optimizers or .* dict"),
        (
            {"optimizer": lambda learning_rate: learning_rate},
            "calls optimizer with learning_rate and weight_decay, which failed: .* Pass a class of",
        ),
    ],
)
def test_bad_parameters(faces, settings, match):
    with pytest.raises(ValueError, match=match):
        EmojiCNNClassifier(**TINY | settings).fit(*faces)


@pytest.mark.parametrize("missing", ["keras", "scikeras"])
def test_missing_library(faces, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    match = rf"EmojiCNNClassifier needs {missing}\. Install it .*emotion-estimators\[keras\]"
    with pytest.raises(MissingDependencyError, match=match):
        EmojiCNNClassifier(**TINY).fit(*faces)


def _run(code, backend=None, **environment):
    """Run code in a new process and return what it prints."""
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment
    if backend is not None:
        environment["KERAS_BACKEND"] = backend
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=280, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_missing_backend():
    code = """if True:
        import sys
        sys.modules["tensorflow"] = None
        from emotion_estimators import EmojiCNNClassifier
        try:
            EmojiCNNClassifier().fit([[[0.0]]], [0])
        except ImportError as error:
            print(type(error).__name__, error)
        """
    said = _run(code, "tensorflow")
    assert said.startswith("MissingDependencyError EmojiCNNClassifier needs the Keras backend 'ten")
    assert "choose torch, which is installed: set the environment variable KERAS_BACKEND" in said


def test_constructing_and_predicting_load_no_heavy_library(fitted, tmp_path):
    import joblib

    joblib.dump(fitted, tmp_path / "cnn.joblib")
    code = f"""if True:
        import sys, joblib, numpy as np, emotion_estimators
        emotion_estimators.EmojiCNNClassifier()
        cnn = joblib.load({str(tmp_path / "cnn.joblib")!r})
        print(cnn.predict_proba(np.zeros((1, 24, 28), np.uint8)).shape)
        print(sorted({{"torch", "keras", "scikeras", "tensorflow"}} & set(sys.modules)))
        """
    assert _run(code).split("\n")[:2] == ["(1, 2)", "[]"]


# What holds on every backend, in a process of its own: settings of a process are looked at.
_ON_ANY_BACKEND = """if True:
    import gc, os, random, sys, warnings
    import numpy as np
    from sklearn.dummy import DummyClassifier

    DummyClassifier().fit([[0]], [0])  # scikit-learn's first fit imports what draws a number
    before_numpy, before_python = np.random.get_state()[1].copy(), random.getstate()
    from emotion_estimators import EmojiCNNClassifier

    backend = os.environ["KERAS_BACKEND"]
    if backend == "torch":
        import torch

        before_torch = torch.get_rng_state()
    rng = np.random.default_rng(0)
    X, y = rng.random((12, 16, 16), dtype=np.float32), np.array(["a", "b", "c"] * 4)
    settings = {
        "image_size": None, "network": {"filters": (4, 6)}, "max_epochs": 1, "random_state": 0
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cnn = EmojiCNNClassifier(**settings, validation_fraction=0.25).fit(X, y)
    caught = [w for w in caught if "keras" in w.filename and "retrac" in str(w.message)]
    assert not caught, caught
    assert (np.random.get_state()[1] == before_numpy).all()
    assert random.getstate() == before_python
    import keras

    assert keras.backend.backend() == backend, keras.backend.backend()
    assert os.environ["KERAS_BACKEND"] == backend
    if backend == "torch":
        assert torch.equal(torch.get_rng_state(), before_torch)
        assert not torch.are_deterministic_algorithms_enabled()
    else:
        import logging

        import tensorflow as tf
        from tensorflow.python.eager import context
        from tensorflow.python.framework import config

        assert not config.is_op_determinism_enabled()
        assert context.global_seed() is None
        # raises where op determinism is on and no seed is set
        assert float(tf.random.uniform(())) != float(tf.random.uniform(()))
        messages = []
        logging.getLogger("tensorflow").addFilter(lambda r: messages.append(r.getMessage()) or True)
    plain = keras.Sequential([keras.Input((16, 16)), keras.layers.Flatten(), keras.layers.Dense(3)])
    plain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plain.fit(X, np.arange(12) % 3, verbose=0)

    model = cnn.network_
    expected = keras.ops.convert_to_numpy(model(X[..., None]))
    got = cnn.set_params(test_time_augmentation=False).predict_proba(X)
    assert np.abs(got - expected).max() < 2e-5  # float32, added in another order
    again = EmojiCNNClassifier(**settings, validation_fraction=0.25).fit(X, y)
    assert all((again.weights_[n] == a).all() for n, a in cnn.weights_.items())

    def memory():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    start = memory() if os.path.exists("/proc/self/statm") else None
    for seed in range(100):
        EmojiCNNClassifier(**settings | {"random_state": seed}).fit(X, y).predict(X[:1])
    grown = 0 if start is None else memory() - start
    assert grown < 50, f"{grown} MiB more after 100 fits"
    if backend == "tensorflow":
        assert not [m for m in messages if "retracing" in m], messages
    print(sorted(set(cnn.predict(X)) | {"done"}))
    """


@pytest.mark.parametrize("backend", ["tensorflow", "torch"])
def test_on_any_backend(backend):
    pytest.importorskip(backend, reason=f"the Keras backend {backend} is not installed")
    assert "done" in _run(_ON_ANY_BACKEND, backend)
