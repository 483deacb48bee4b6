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
from functools import partial

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn import config_context
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.class_weight import compute_sample_weight

pytest.importorskip("torch", reason="EmotionCNNClassifier needs torch")
pytest.importorskip("skorch", reason="EmotionCNNClassifier needs skorch")

import torch
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochTimer,
    GradientNormClipping,
    LRScheduler,
    PrintLog,
)
from torch import nn

from emotion_estimators.classifiers import EmotionCNNClassifier, PretrainedEmotionClassifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import MissingDependencyError, WeightsError
from emotion_estimators.testing import check_sklearn_estimator, parametrize_with_image_checks
from emotion_estimators.training import skorch_engine
from emotion_estimators.training.averaging import averaged_model
from emotion_estimators.training.progress import TrainingTask
from emotion_estimators.training.targets import Targets, hold_out

TINY = {
    "image_size": None,
    "network": {"stem_width": 4, "widths": (6, 8), "n_blocks": (0, 1)},
    "max_epochs": 3,
    "batch_size": 16,
    "device": "cpu",
    "random_state": 0,
}
# rows of a few numbers have neither mirror images nor a place to turn around
ROWS = {
    "network": {"stem_width": 8, "widths": (8,), "n_blocks": (0,), "dropout": 0.0},
    "augmentation": 0.0,
    "erasing": 0.0,
    "label_smoothing": 0.0,
    "max_epochs": 20,
    "learning_rate": 0.05,
    "ema_decay": 0.5,
    "validation_fraction": None,
    "n_iter_no_change": None,
    "test_time_augmentation": False,
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
        network={"stem_width": 8, "widths": (16, 24), "n_blocks": (0, 0)},
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
    network = TINY["network"] | {"stem_stride": stem_stride}
    cnn = EmotionCNNClassifier(**TINY | {"max_epochs": 1, "network": network}).fit(*faces)
    assert cnn.network_.layers[0].conv.stride == (stem_stride, stem_stride)


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
    settings = TINY | {"max_epochs": 6, "test_time_augmentation": False, "precision": "float32"}
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
    targets = Targets(np.unique(y), codes, {"labels": np.eye(2)[codes]}, {})
    _, held_out = hold_out("cnn", targets, 0.1, np.random.RandomState(0))
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


def test_where_nothing_is_held_out_the_last_epoch_is_kept(faces):
    cnn = EmotionCNNClassifier(**TINY | {"validation_fraction": None}).fit(*faces)
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
    settings = TINY | {"max_epochs": 12, "label_smoothing": 0.0, "validation_fraction": None}
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
    settings = TINY | {"max_epochs": 12, "label_smoothing": 0.0, "validation_fraction": None}
    taught = EmotionCNNClassifier(**settings, teacher=_Opinion(1), teacher_weight=1.0).fit(X, y)
    assert set(taught.predict(X)) == {"neutral"}
    plain = EmotionCNNClassifier(**settings).fit(X, y).predict_proba(X)
    ignored = EmotionCNNClassifier(**settings, teacher=_Opinion(1), teacher_weight=0.0).fit(X, y)
    assert np.array_equal(ignored.predict_proba(X), plain)


def test_a_fit_without_a_seed_goes_on_with_its_teacher(tmp_path):
    rng = np.random.default_rng(0)
    X, codes = rng.random((40, 12, 14)), np.arange(40) % 3
    y = np.array(["happy", "neutral", "sad"])[codes]
    settings = TINY | {"random_state": None, "max_epochs": 2, "validation_fraction": 0.25}
    cnn = EmotionCNNClassifier(
        **settings, teacher=_Opinion(1), teacher_weight=1.0, checkpoint_dir=tmp_path, resume=True
    )
    columns, save = [], TrainingTask.end_epoch

    def stop(task, *arguments, **named):
        save(task, *arguments, **named)
        columns.append((task.columns["labels"], task.train, task.held_out))
        if len(columns) == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingTask, "end_epoch", stop)
        with pytest.raises(KeyboardInterrupt):
            cnn.fit(X, y)
        cnn.fit(X, y)
    assert len(columns) == 2  # the second fit took the second epoch only
    for targets, train, held_out in columns:
        assert_array_equal(targets[train], np.tile([0, 1, 0], (30, 1)))  # the teacher's
        assert_array_equal(targets[held_out], np.eye(3)[codes[held_out]])  # the labels
    assert_array_equal(columns[0][0], columns[1][0])


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


class Judge(Callback):
    """A callback of skorch that stops or fails after some epochs, or a batch."""

    def __init__(self, error, epoch, batch=None):
        self.error, self.epoch, self.batch = error, epoch, batch

    def on_batch_end(self, net, training=None, **_):
        n_batches = len(net.history[-1]["batches"])
        if training and (len(net.history), n_batches) == (self.epoch, self.batch):
            raise self.error

    def on_epoch_end(self, net, **_):
        if self.batch is None and len(net.history) == self.epoch:
            raise self.error


@pytest.mark.parametrize(("epoch", "batch"), [(2, None), (2, 1), (1, 2)])
def test_a_callback_ends_the_training_as_in_skorch(faces, epoch, batch):
    stop = Judge(KeyboardInterrupt(), epoch, batch)
    cnn = EmotionCNNClassifier(**TINY, callbacks=[("judge", stop), PrintLog(sink=list)])
    cnn.fit(*faces)
    assert cnn.n_iter_ == len(cnn.history_) == epoch
    if batch is None:
        assert cnn.history_ == EmotionCNNClassifier(**TINY).fit(*faces).history_[:epoch]
    assert set(cnn.predict(faces[0])) <= {"happy", "sad"}


def test_callbacks_of_skorch(faces, tmp_path):
    rows = []

    class Notes(Callback):
        def on_train_begin(self, _net, X=None, **_):
            self.n_images = len(X)

        def on_epoch_end(self, net, dataset_valid=None, **_):
            probabilities = net.predict(dataset_valid)
            rows.append((net.history[-1], probabilities, net.evaluated_module.training))

        def on_train_end(self, _net, **_):
            rows.append(self.n_images)

    callbacks = [
        Notes(),
        Checkpoint(monitor="valid_loss_best", dirname=tmp_path),
        GradientNormClipping(1e9),
        EpochTimer,
        ("judge", EarlyStopping("valid_accuracy", lower_is_better=False, patience=99, sink=list)),
    ]
    before = [dict(vars(each)) for each in callbacks[:3]]
    cnn = EmotionCNNClassifier(**TINY, callbacks=callbacks).fit(*faces)
    assert [vars(each) for each in callbacks[:3]] == before  # copies were used
    *epochs, n_images = rows
    assert n_images == 58
    plain = EmotionCNNClassifier(**TINY).fit(*faces)
    assert plain.history_ == cnn.history_
    for record, (row, probabilities, is_training) in zip(cnn.history_, epochs, strict=True):
        assert {name: row[name] for name in record if name != "learning_rate"} == {
            name: value for name, value in record.items() if name != "learning_rate"
        }
        assert {"dur", "score", "event_cp", "valid_loss_best"} <= set(row)
        assert_allclose(probabilities.sum(axis=1), np.ones(6), rtol=1e-6)  # float32
        assert not is_training
    assert (tmp_path / "params.pt").is_file()


def test_what_is_no_callback_of_skorch(faces):
    cnn = EmotionCNNClassifier(**TINY, callbacks=[print])
    with pytest.raises(TypeError, match="expected callbacks of skorch, got <built-in function pr"):
        cnn.fit(*faces)


def test_a_callback_may_set_the_learning_rate(faces):
    halved = LRScheduler("StepLR", step_size=1, gamma=0.5)
    cnn = EmotionCNNClassifier(**TINY, warmup=None, callbacks=[halved]).fit(*faces)
    assert [row["learning_rate"] for row in cnn.history_] == [0.05, 0.025, 0.0125]
    constant = EmotionCNNClassifier(**TINY, warmup=None).fit(*faces)
    assert [row["learning_rate"] for row in constant.history_] == [0.1] * 3


@pytest.mark.parametrize(
    "optimizer", [torch.optim.AdamW, partial(torch.optim.SGD, momentum=0.5, nesterov=True)]
)
def test_optimizer(faces, optimizer):
    groups = []

    class Watch(Callback):
        def on_train_begin(self, net, **_):
            groups.extend(net.optimizer_.param_groups)
            assert isinstance(net.optimizer_, getattr(optimizer, "func", optimizer))

    settings = TINY | {"learning_rate": 0.01, "max_epochs": 1, "weight_decay": 0.25}
    cnn = EmotionCNNClassifier(**settings, optimizer=optimizer, callbacks=[Watch()]).fit(*faces)
    assert [group["weight_decay"] for group in groups] == [0.25, 0.0]
    assert {each.ndim for each in groups[0]["params"]} == {2, 4}
    assert {each.ndim for each in groups[1]["params"]} == {1}
    assert [group.get("momentum") for group in groups] == (
        [None, None] if optimizer is torch.optim.AdamW else [0.5, 0.5]
    )
    plain = EmotionCNNClassifier(**settings).fit(*faces)
    assert np.abs(plain.weights_["head.weight"] - cnn.weights_["head.weight"]).max() > 1e-4


@pytest.mark.parametrize(
    ("optimizer", "match"),
    [
        (partial(torch.optim.SGD, lr=0.5), "without lr of its own, got lr=0.5. Pass learning_rate"),
        (partial(torch.optim.AdamW, weight_decay=1), "weight_decay=1. Pass weight_decay to Emot"),
        (torch.optim.SGD([torch.zeros(1)], lr=1), "The 'optimizer' parameter of EmotionCNNClassi"),
    ],
)
def test_an_optimizer_with_a_rate_of_its_own_is_refused(faces, optimizer, match):
    with pytest.raises(ValueError, match=match):
        EmotionCNNClassifier(**TINY, optimizer=optimizer).fit(*faces)


def test_without_an_average_the_weights_themselves_are_kept(faces):
    kept = []

    class Watch(Callback):
        def on_train_end(self, net, **_):
            kept.append({k: v.numpy().copy() for k, v in net.module_.state_dict().items()})

    settings = TINY | {"ema_decay": None, "validation_fraction": None, "callbacks": [Watch()]}
    cnn = EmotionCNNClassifier(**settings).fit(*faces)
    for name, array in kept[0].items():
        assert_array_equal(cnn.weights_[name], array)
    averaged = EmotionCNNClassifier(**settings | {"ema_decay": 0.99}).fit(*faces)
    assert np.abs(averaged.weights_["head.weight"] - kept[1]["head.weight"]).max() > 1e-4


# ---- networks of one's own


class Average(nn.Module):
    """Classes by one convolution; counts what it sees."""

    def __init__(self, n_classes, width=4):
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Linear(width, n_classes)
        self.width = width

    def forward(self, x):
        return self.head(torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3)))


def build(image_size, n_classes, width=4):
    assert image_size == (24, 28)
    return Average(n_classes, width)


def build_wide(image_size, n_classes):
    return build(image_size, n_classes, width=9)


def _module(seed, n_classes=2):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Average(n_classes)


def _own(network, **settings):
    return EmotionCNNClassifier(**TINY | {"network": network} | settings)


def test_names_of_networks():
    X, y = make_faces(8, emotions=["happy", "sad"], image_size=24, random_state=0)
    settings = {"max_epochs": 1, "validation_fraction": None, "image_size": None}
    small = _own("small", **settings).fit(X, y)
    assert small.architecture_ == {
        "n_classes": 2,
        "stem_width": 32,
        "stem_stride": 2,
        "widths": [48, 96, 192],
        "n_blocks": [0, 1, 1],
        "dropout": 0.3,
    }
    _assert_same_weights(_own({}, **settings).fit(X, y), small)
    large = _own("large", **settings).fit(X, y).architecture_
    assert (large["stem_stride"], large["widths"]) == (1, [32, 64, 128, 256])
    slim = _own({"widths": np.array([8, 8, 8])}, **settings).fit(X, y).architecture_
    assert slim == small.architecture_ | {"widths": [8, 8, 8]}
    assert json.loads(json.dumps(slim)) == slim


@pytest.mark.parametrize("network", [build, partial(build, width=5), _module(0)])
def test_a_network_of_ones_own(faces, network):
    X, y = faces
    settings = {"ema_decay": None, "validation_fraction": None, "learning_rate": 1e-9}
    cnn = _own(network, **settings, max_epochs=1).fit(X, y)
    assert json.loads(json.dumps(cnn.architecture_)) == cnn.architecture_
    assert cnn.network is network
    live = cnn.network_
    assert type(live.network) is Average
    assert live.network is not network
    standardized = (X / 255 - (X / 255).mean()) / (X / 255).std()
    with torch.no_grad():
        x = torch.tensor(X[:, None] / 255, dtype=torch.float32)
        scores = live(x)
        inner = live.network(torch.tensor(standardized[:, None], dtype=torch.float32))
    assert_allclose(scores.numpy(), inner.numpy(), atol=1e-5)  # float32
    both = softmax(scores.numpy(), axis=1) + softmax(live(x.flip(3)).detach().numpy(), axis=1)
    assert_allclose(cnn.predict_proba(X), both / 2, atol=1e-6)
    if isinstance(network, nn.Module):  # its weights are the first ones
        assert_allclose(
            cnn.weights_["network.conv.weight"], network.conv.weight.detach(), atol=1e-6
        )
    loaded = pickle.loads(pickle.dumps(cnn))
    assert_array_equal(loaded.predict_proba(X), cnn.predict_proba(X))
    before = cnn.history_
    cnn.set_params(warm_start=True).fit(X, y)
    assert cnn.history_[:1] == before
    assert len(cnn.history_) == 2


def test_the_live_network_is_not_the_estimator(faces, tmp_path):
    X, y = faces
    cnn = EmotionCNNClassifier(**TINY | {"max_epochs": 1}).fit(X, y)
    before = cnn.predict_proba(X), cnn.export_onnx(tmp_path / "before.onnx").read_bytes()
    with torch.no_grad():
        cnn.network_.head.weight.zero_()
    after = cnn.predict_proba(X), cnn.export_onnx(tmp_path / "after.onnx").read_bytes()
    assert_array_equal(after[0], before[0])
    assert after[1] == before[1]


@pytest.mark.parametrize("views", [True, False])
def test_export_of_a_network_of_ones_own(faces, tmp_path, views):
    pytest.importorskip("onnxscript", reason="torch exports by onnxscript")
    X, y = faces
    cnn = _own(build, max_epochs=1).fit(X, y)
    path = cnn.export_onnx(tmp_path / "own.onnx", test_time_augmentation=views)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"images": (X / 255).astype(np.float32)[:, None]})
    expected = cnn.set_params(test_time_augmentation=views).predict_proba(X)
    assert_allclose(got, expected, rtol=0, atol=1e-5)  # float32
    model = PretrainedEmotionClassifier(model=path)
    assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-5)


def test_what_exports_a_network_of_ones_own_is_missing(faces, tmp_path, monkeypatch):
    cnn = _own(build, max_epochs=1).fit(*faces)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(MissingDependencyError, match="export_onnx of a network of one's own needs"):
        cnn.export_onnx(tmp_path / "own.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_ones_own_that_has_changed_since_the_fit(faces, fitted):
    X, y = faces
    cnn = _own(build).fit(X, y)
    expected = cnn.predict_proba(X)
    cnn = pickle.loads(pickle.dumps(cnn))  # has no live network
    for other in (partial(build, width=5), build_wide, _module(0), "small"):
        with pytest.raises(ValueError, match=r"was fitted with network=.*Set it as it was"):
            cnn.set_params(network=other).predict(X)
    assert_array_equal(cnn.set_params(network=build).predict_proba(X), expected)
    with pytest.raises(ValueError, match=r"another network: network='.*build' \(now"):
        cnn.set_params(network=build_wide, warm_start=True).fit(X, y)
    # what was fitted with our own needs nothing more
    mine = pickle.loads(pickle.dumps(fitted)).set_params(network=build)
    assert_array_equal(mine.predict_proba(X), fitted.predict_proba(X))


def test_a_module_may_be_trained_further_outside(faces):
    module = _module(0)
    cnn = _own(module, max_epochs=1).fit(*faces)
    expected = cnn.predict_proba(faces[0])
    with torch.no_grad():
        module.head.weight += 1
    loaded = pickle.loads(pickle.dumps(cnn))
    assert_array_equal(loaded.predict_proba(faces[0]), expected)


@pytest.mark.parametrize(
    ("network", "error", "match"),
    [
        (lambda *_: "net", ValueError, "network expected to build a torch.nn.Module, got a str"),
        (_module(0, n_classes=3), ValueError, r"shape \(n, n_classes\), \(16, 2\) .* \(16, 3\)"),
        (
            nn.Sequential(nn.Conv2d(1, 1, 1), nn.Flatten()),
            ValueError,
            r"expected a network that gives scores .* got \(16, 672\)",
        ),
        (lambda *_: Pair(), TypeError, "gives a tensor of scores, .* got a tuple"),
    ],
)
def test_networks_that_do_not_fit(faces, network, error, match):
    with pytest.raises(error, match=match):
        _own(network).fit(*faces)


class Pair(Average):
    """A network that gives two things."""

    def __init__(self):
        super().__init__(2)

    def forward(self, x):
        return super().forward(x), x


def test_a_search_over_networks(faces):
    X, y = faces
    networks = [
        "small", {"widths": (4,), "n_blocks": (0,)}, partial(build, width=3), build, _module(0)
    ]  # fmt: skip
    grid = {"network": networks}
    net = EmotionCNNClassifier(**TINY | {"max_epochs": 1, "validation_fraction": None})
    search = GridSearchCV(net, grid, cv=2, error_score="raise", n_jobs=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 5
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (64,)


# ---- what people voted


def _voted(y, *, sure=0.75):
    """Return votes of ten that name the other class."""
    codes = (y == "happy").astype(int)  # of happy and sad
    return np.where(np.eye(2)[codes] == 1, 10 * sure, 10 * (1 - sure))


VOTES = TINY | {
    "max_epochs": 12, "label_smoothing": 0.0, "validation_fraction": None, "augmentation": 0,
    "erasing": 0,
}  # fmt: skip


def test_outputs(faces):
    X, y = faces
    cnn = EmotionCNNClassifier(**VOTES).fit(X, y, votes=np.tile([1, 3], (len(y), 1)))
    assert cnn.architecture_["has_votes"]
    labels = cnn.predict_proba(X)
    assert_array_equal(cnn.set_params(output="labels").predict_proba(X), labels)
    votes = cnn.set_params(output="votes").predict_proba(X)
    assert np.abs(votes - labels).max() > 0.01
    # all faces were voted on alike
    assert_allclose(votes.mean(axis=0), [0.25, 0.75], atol=0.1)
    assert cnn.score(X, y) == (y == "sad").mean()
    with torch.no_grad():
        scores = cnn.network_(torch.from_numpy(X[:, None] / 255).float())
    assert scores.shape == (len(X), 4)
    both = cnn.set_params(test_time_augmentation=False).predict_proba(X)
    assert_allclose(softmax(scores[:, 2:].numpy(), axis=1), both, atol=1e-6)


def test_rows_without_votes_teach_none(faces):
    X, y = faces
    votes = np.zeros((len(y), 2))
    votes[:8] = [0, 4]
    one = EmotionCNNClassifier(**VOTES | {"max_epochs": 2}).fit(X, y, votes=votes)
    frame = pd.DataFrame({"unknown": 0, "sad": votes[:, 1], "happy": votes[:, 0]})
    other = EmotionCNNClassifier(**VOTES | {"max_epochs": 2}).fit(X, y, votes=frame)
    _assert_same_weights(one, other)
    frame["unknown"] = 4  # half of the people could not say
    unsure = EmotionCNNClassifier(**VOTES | {"max_epochs": 2}).fit(X, y, votes=frame)
    assert not np.array_equal(unsure.weights_["votes.bias"], one.weights_["votes.bias"])


def test_the_share_of_the_votes_in_the_loss(faces):
    X, y = faces
    settings = VOTES | {"max_epochs": 2, "weight_decay": 0.0}
    none = EmotionCNNClassifier(**settings, votes_weight=0.0)
    votes_teach_nothing = none.fit(X, y, votes=_voted(y)).weights_
    none.fit(X, y, votes=np.ones((64, 2)))
    for name, array in votes_teach_nothing.items():
        assert_array_equal(none.weights_[name], array)
    only = EmotionCNNClassifier(**settings, votes_weight=1.0).fit(X, y, votes=_voted(y))
    again = EmotionCNNClassifier(**settings, votes_weight=1.0).fit(X, y[::-1], votes=_voted(y))
    # labels teach nothing at a share of 0
    _assert_same_weights(only, again)


def test_votes_go_through_routing(faces):
    X, y = faces
    votes = np.c_[np.arange(len(y)), np.ones(len(y))]
    with config_context(enable_metadata_routing=True):
        seen = []

        class Watched(EmotionCNNClassifier):
            def fit(self, X, y, votes=None):
                seen.append((X, votes))
                return super().fit(X, y, votes=votes)

        cnn = Watched(**VOTES | {"max_epochs": 1}).set_fit_request(votes=True)
        pipeline = make_pipeline(FunctionTransformer(), cnn)
        cross_validate(pipeline, X, y, params={"votes": votes}, cv=2, error_score="raise")
        grid = GridSearchCV(pipeline, {"watched__output": ["labels", "votes"]}, cv=2, refit=False)
        grid.fit(X, y, votes=votes)
    assert len(seen) == 6
    for images, given in seen:
        rows = given[:, 0].astype(int)
        assert_array_equal(images, X[rows])


@pytest.mark.parametrize(
    ("settings", "votes", "match"),
    [
        ({}, np.ones((63, 2)), "EmotionCNNClassifier"),
        ({}, np.zeros((64, 2)), "expected votes for one of the classes in a row at least"),
        ({"output": "votes"}, None, "output='votes' learns them from votes, which fit got none"),
        ({"output": "features"}, None, "got 'features': .* EmotionEmbedder gives"),
        ({"output": "other"}, None, "expected output to be 'labels' or 'votes', got 'other'"),
        ({"network": build}, np.ones((64, 2)), "learns votes with its own networks only"),
    ],
)
def test_votes_and_outputs_that_do_not_fit(faces, settings, votes, match):
    with pytest.raises(ValueError, match=match):
        EmotionCNNClassifier(**TINY | settings).fit(*faces, votes=votes)


def test_an_output_that_was_not_trained(faces, fitted):
    loaded = pickle.loads(pickle.dumps(fitted)).set_params(output="votes")
    with pytest.raises(ValueError, match="output='votes' learns them from votes, which fit got"):
        loaded.predict(faces[0])


def test_export_with_votes(faces, tmp_path):
    X, y = faces
    cnn = EmotionCNNClassifier(**VOTES | {"max_epochs": 2}).fit(X, y, votes=_voted(y))
    session = onnxruntime.InferenceSession(str(cnn.export_onnx(tmp_path / "cnn.onnx")))
    votes, labels, features = session.run(None, {"images": (X / 255).astype(np.float32)[:, None]})
    assert [each.name for each in session.get_outputs()] == ["votes", "labels", "features"]
    assert features.shape == (64, 8)
    for output, got in (("votes", votes), ("labels", labels)):
        expected = cnn.set_params(output=output).predict_proba(X)
        assert_allclose(got, expected, rtol=0, atol=1e-5)  # float32
        model = PretrainedEmotionClassifier(model=cnn.export_onnx(tmp_path / f"{output}.onnx"))
        assert_allclose(model.predict_proba(X), expected, rtol=0, atol=1e-5)


# ---- how common the classes are


def test_the_prior_is_the_mean_of_the_targets(faces):
    X, y = faces
    weights = np.where(y == "happy", 3.0, 1.0)
    settings = VOTES | {"max_epochs": 1, "label_smoothing": 0.2}
    cnn = EmotionCNNClassifier(**settings).fit(X, y, weights, votes=_voted(y))
    happy = 3 * (y == "happy").sum() / weights.sum()
    assert_allclose(cnn.class_prior_, 0.8 * np.array([happy, 1 - happy]) + 0.1, rtol=1e-6)
    # shares of people are not smoothed; 2.5 of ten name the class
    said = cnn.set_params(output="votes").class_prior_
    assert_allclose(said, happy * np.array([0.25, 0.75]) + (1 - happy) * np.array([0.75, 0.25]))
    few = EmotionCNNClassifier(**settings | {"validation_fraction": 0.5}).fit(X, y)
    n_held_out = 32
    assert abs(few.class_prior_[0] - 0.1 - 0.8 * (y == "happy").mean()) <= 0.8 / n_held_out


def test_the_prior_counts_a_teacher(faces):
    X, y = faces[0], np.repeat(["happy", "sad", "neutral", "sad"], 16)
    settings = VOTES | {"max_epochs": 1, "teacher": _Opinion(1), "teacher_weight": 0.5}
    cnn = EmotionCNNClassifier(**settings).fit(X, y)
    assert_allclose(cnn.class_prior_, [0.125, 0.625, 0.25])


@pytest.mark.parametrize("output", ["labels", "votes", None])
def test_class_prior_is_that_of_the_file(faces, tmp_path, output):
    X, y = faces
    kept = np.r_[np.flatnonzero(y == "happy")[:8], np.flatnonzero(y == "sad")]
    X, y = X[kept], y[kept]
    votes = None if output is None else _voted(y, sure=0.9) + [4, 0]
    cnn = EmotionCNNClassifier(**VOTES | {"max_epochs": 2}, output=output).fit(X, y, votes=votes)
    path = cnn.export_onnx(tmp_path / "cnn.onnx")
    read = PretrainedEmotionClassifier(model=path).fit(X)
    as_learned = cnn.predict_proba(X)
    assert_allclose(read.predict_proba(X), as_learned, rtol=0, atol=1e-5)  # float32
    assert_allclose(read.class_prior_, cnn.class_prior_, rtol=1e-6)
    for prior in ("uniform", [1, 3], {"sad": 1, "happy": 3}):
        cnn.set_params(class_prior=prior)
        read = PretrainedEmotionClassifier(model=path, class_prior=prior)
        assert_allclose(read.predict_proba(X), cnn.predict_proba(X), rtol=0, atol=1e-5)
        assert np.abs(cnn.predict_proba(X) - as_learned).max() > 0.01


@pytest.mark.parametrize(
    ("prior", "match"),
    [
        ([1, 2, 3], r"class_prior to have 2 numbers, one for each of .*, got shape \(3,\)"),
        ({"happy": 1, "bored": 2}, "expected class_prior with the classes"),
        ([1, 0], "expected class_prior to give each class a finite share"),
        ("flat", "The 'class_prior' parameter of EmotionCNNClassifier must be"),
    ],
)
def test_class_priors_that_do_not_fit(faces, prior, match):
    with pytest.raises(ValueError, match=match):
        EmotionCNNClassifier(**TINY, class_prior=prior).fit(*faces)


def test_class_prior_of_a_class_that_had_no_targets(faces, tmp_path):
    X, y = faces
    votes = np.tile([0, 1], (len(y), 1))  # all say sad
    cnn = EmotionCNNClassifier(**VOTES | {"max_epochs": 1}, output="votes").fit(X, y, votes=votes)
    assert_array_equal(cnn.class_prior_, [0, 1])
    as_learned = cnn.predict_proba(X)
    with pytest.raises(ValueError, match=r"had no targets of the classes \['happy'\]"):
        cnn.set_params(class_prior="uniform").predict(X)
    read = PretrainedEmotionClassifier(model=cnn.export_onnx(tmp_path / "cnn.onnx"))
    assert_allclose(read.predict_proba(X), as_learned, rtol=0, atol=1e-5)
    assert read.fit(X).class_prior_ is None


# ---- weights of a file


STILL = {
    "max_epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0, "validation_fraction": None,
    "ema_decay": None, "batch_size": 64, "test_time_augmentation": False,
}  # fmt: skip


@pytest.fixture(scope="module")
def exported(faces, tmp_path_factory):
    """Return a network with two outputs, and its file."""
    X, y = faces
    cnn = EmotionCNNClassifier(**VOTES, test_time_augmentation=False).fit(X, y, votes=_voted(y))
    return cnn, cnn.export_onnx(tmp_path_factory.mktemp("weights") / "cnn.onnx")


def test_weights_of_a_file(faces, exported):
    X, y = faces
    cnn, path = exported
    settings = TINY | STILL | {"weights": path, "augmentation": 0, "erasing": 0}
    settings["network"] = TINY["network"] | {"dropout": 0.0}
    again = EmotionCNNClassifier(**settings).fit(X, y, votes=_voted(y))
    for output in ("labels", "votes"):
        expected = cnn.set_params(output=output).predict_proba(X)
        # in a step of no length the normalisation takes a tenth of the variance of this batch,
        # divided by n - 1 in place of n
        assert_allclose(again.set_params(output=output).predict_proba(X), expected, atol=1e-3)
    # the network that was trained is the one of the file, too: its batches are normalised alike
    cnn.set_params(output=None)
    losses = -np.log(cnn.predict_proba(X)[np.arange(len(y)), (y == "sad").astype(int)])
    only = EmotionCNNClassifier(**settings, label_smoothing=0).fit(X, y)
    assert only.history_[0]["train_loss"] == pytest.approx(losses.mean(), rel=1e-2)
    assert EmotionCNNClassifier(**settings | {"weights": None}, label_smoothing=0).fit(
        X, y
    ).history_[0]["train_loss"] != pytest.approx(losses.mean(), rel=5e-2)


def test_other_classes_get_a_new_last_layer(faces, exported):
    X, y = faces
    settings = TINY | STILL | {"weights": exported[1]}
    cnn = EmotionCNNClassifier(**settings).fit(X, np.where(y == "sad", "b", "a"))
    assert_allclose(cnn.predict_proba(X), 0.5, atol=1e-6)
    kernel = exported[0].weights_["layers.0.conv.weight"]  # with the normalisation in it
    assert cnn.weights_["layers.0.conv.weight"].shape == kernel.shape
    assert np.corrcoef(cnn.weights_["layers.0.conv.weight"].ravel(), kernel.ravel())[0, 1] > 0.5


def test_the_embedded_network_is_where_the_training_begins():
    X, _ = make_faces(24, image_size=48, random_state=1)
    expected = PretrainedEmotionClassifier(
        output="labels", precision="float32", test_time_augmentation=False
    )
    settings = TINY | STILL | {
        "image_size": 48, "network": "large", "weights": "embedded", "augmentation": 0,
        "erasing": 0, "batch_size": 24,
    }  # fmt: skip
    y = np.array([*expected.classes_, *expected.predict(X)[7:]])
    cnn = EmotionCNNClassifier(**settings).fit(X, y)
    # a step of no length changes the statistics by a tenth of n / (n - 1), n of 36 upwards
    assert_allclose(cnn.predict_proba(X), expected.predict_proba(X), atol=2e-2)


@pytest.mark.parametrize(
    ("settings", "error", "match"),
    [
        ({"network": "small"}, ValueError, r"than the one that it has: .* Set network='large'\."),
        ({"network": build}, ValueError, 'for a network of one\'s own. Set network="large"'),
        ({"weights": "vggface2"}, ValueError, "weights to be 'embedded', the path of an .onnx"),
        ({"weights": "no.onnx"}, FileNotFoundError, "or None; there is no file no.onnx"),
        ({"weights": 3}, ValueError, "The 'weights' parameter of EmotionCNNClassifier must be"),
    ],
)
def test_weights_that_do_not_fit(faces, settings, error, match):
    with pytest.raises(error, match=match):
        EmotionCNNClassifier(**TINY | {"weights": "embedded"} | settings).fit(*faces)


def test_a_file_of_another_network_as_weights(faces, exported, tmp_path):
    X, y = faces
    wider = TINY | {"network": {"stem_width": 4, "widths": (6, 9), "n_blocks": (0, 1)}}
    with pytest.raises(ValueError, match=r"Set network={'stem_width': 4, 'stem_stride': 2, 'wid"):
        EmotionCNNClassifier(**wider, weights=exported[1]).fit(X, y)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported[1].read_bytes().replace(b"0.layers.0.shift", b"0.layers.0.shirt"))
    with pytest.raises(WeightsError, match=r"expected an array '0.layers.0.shift' of shape \(4,\)"):
        EmotionCNNClassifier(**TINY, weights=damaged).fit(X, y)


def test_a_file_of_a_network_of_ones_own_as_weights(faces, tmp_path):
    pytest.importorskip("onnxscript", reason="torch exports by onnxscript")
    X, y = faces
    own = EmotionCNNClassifier(**TINY | {"network": build, "max_epochs": 1}).fit(X, y)
    with pytest.raises(WeightsError, match="metadata do not have 'network' and 'classes'"):
        EmotionCNNClassifier(**TINY, weights=own.export_onnx(tmp_path / "own.onnx")).fit(X, y)


def test_a_warm_start_goes_on_with_its_own_weights(faces, exported):
    X, y = faces
    cnn = EmotionCNNClassifier(**TINY | {"max_epochs": 1}, weights=exported[1], warm_start=True)
    before = cnn.fit(X, y).weights_
    after = cnn.set_params(**STILL).fit(X, y).weights_
    assert_allclose(after["head.weight"], before["head.weight"], atol=1e-6)


def test_a_warm_start_with_votes_needs_them_again(faces):
    X, y = faces
    cnn = EmotionCNNClassifier(**TINY | {"max_epochs": 1}, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match=r"another network: has_votes=None \(now True\)"):
        cnn.fit(X, y, votes=_voted(y))


def test_patience_counts_on_the_training_loss_where_nothing_is_held_out(faces):
    settings = {"validation_fraction": None, "learning_rate": 1e-9, "max_epochs": 40}
    off = {"augmentation": 0, "erasing": 0, "network": TINY["network"] | {"dropout": 0.0}}
    cnn = EmotionCNNClassifier(**TINY | settings | off | {"n_iter_no_change": 3}).fit(*faces)
    losses = [row["train_loss"] for row in cnn.history_]
    best = int(np.argmin(losses)) + 1
    assert cnn.n_iter_ == best + 3 < 40
    assert cnn.best_epoch_ == cnn.n_iter_  # all the same the last is kept


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
    augment = skorch_engine.augment_images

    def interrupt(*args, **_):
        calls.append(1)
        if len(calls) == last[0]:
            raise KeyboardInterrupt
        return augment(*args, **_)

    def at(number):
        calls.clear()
        last[:] = [number]
        monkeypatch.setattr(skorch_engine, "augment_images", interrupt)

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
    cnn = EmotionCNNClassifier(**TINY, warm_start=True).fit(*faces)
    cnn.set_params(callbacks=[Judge(RuntimeError("disk full after 2 epochs"), 2)])
    before, n_epochs = dict(vars(cnn)), len(cnn.history_)
    with pytest.raises(RuntimeError, match="disk full after 2 epochs"):
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
    with pytest.raises(ValueError, match=r"another network: stem_width=4 \(now 5\)"):
        cnn.set_params(network=TINY["network"] | {"stem_width": 5}).fit(X, y)
    assert cnn.classes_.tolist() == ["happy", "sad"]
    cnn.set_params(network=TINY["network"], warm_start=False)
    assert cnn.fit(X, y == "sad").n_iter_ == 3


def test_a_failed_fit_leaves_no_mixture(faces, fitted):
    X, y = faces
    cnn = EmotionCNNClassifier(**TINY).fit(X, y)
    with pytest.raises(ValueError, match=r"the training loss is (nan|inf)"):
        cnn.set_params(learning_rate=1e30).fit(X, np.arange(len(y)) % 3)
    if not hasattr(cnn, "weights_"):  # the first epoch failed
        with pytest.raises(NotFittedError, match="is not fitted yet"):
            cnn.predict(X)
    _assert_same_weights(cnn.set_params(learning_rate=0.1).fit(X, y), fitted)


@pytest.mark.parametrize("test_time_augmentation", [False, True])
def test_test_time_augmentation(faces, fitted, test_time_augmentation):
    X, _ = faces
    fitted.set_params(test_time_augmentation=test_time_augmentation)
    one, mirrored = fitted.predict_proba(X), fitted.predict_proba(X[:, :, ::-1])
    # the order of the two terms is exchanged, which floats do not see
    assert (np.abs(one - mirrored).max() < 1e-15) == test_time_augmentation
    if test_time_augmentation:
        fitted.set_params(test_time_augmentation=False)
        both = (fitted.predict_proba(X) + fitted.predict_proba(X[:, :, ::-1])) / 2
        assert_allclose(one, both, rtol=0, atol=1e-15)
    fitted.set_params(test_time_augmentation=True)


@pytest.mark.parametrize("views", [None, False])
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_export_onnx_equals_predict_proba(faces, tmp_path, views, kind):
    X, y = faces
    images = X if kind == "uint8" else (X / 255).astype(np.float32)
    cnn = EmotionCNNClassifier(**TINY).fit(images, y)
    path = cnn.export_onnx(tmp_path / "cnn.onnx", test_time_augmentation=views)
    assert list(tmp_path.iterdir()) == [path]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    scaled = (X / 255).astype(np.float32)[:, None]
    expected = cnn.set_params(test_time_augmentation=views is None).predict_proba(images)
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
        "network": {"stem_width": 4, "stem_stride": 2, "widths": [6, 8], "n_blocks": [0, 1]},
        "class_prior": [0.5, 0.5],
    }


def test_mixed_precision(faces):
    exact = EmotionCNNClassifier(**TINY, precision="float32").fit(*faces)
    mixed = EmotionCNNClassifier(**TINY, precision="bfloat16").fit(*faces)
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
        ({"network": "tiny"}, r"expected network to be 'small' or 'large', a dict .* got 'tiny'"),
        (
            {"network": {"width": 3}},
            r"dict with some of stem_width, .* {'width': 3}",
        ),
        (
            {"network": {"widths": ()}},
            r"widths of network to be ints of at least 1.* \(\)",
        ),
        ({"network": {"widths": (6, 0, 1)}}, r"be ints of at least 1, .* got \(6, 0, 1\)"),
        ({"network": {"widths": "abc"}}, r"be ints of at least 1, .* got 'abc'"),
        ({"network": {"n_blocks": (0, 1.5)}}, r"n_blocks of .* at least 0, .* \(0, 1.5\)"),
        ({"network": {"n_blocks": (0,)}}, r"one entry per stage, got widths=.*, n_blocks=\(0,\)"),
        ({"network": {"stem_width": 0}}, "stem_width of network to be an int of at least 1, got 0"),
        ({"network": {"dropout": 1}}, r"dropout of network to be in the range \[0, 1\), got 1"),
        ({"network": 3}, "The 'network' parameter of EmotionCNNClassifier must be"),
        ({"batch_size": 1}, "The 'batch_size' parameter of EmotionCNNClassifier must be"),
        ({"precision": "half"}, "The 'precision' parameter of EmotionCNNClassifier"),
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

    def watched(module, *, decay):
        average = averaged_model(module, decay=decay)
        made.extend(weakref.ref(network) for network in (module, average, average.module))
        return average

    monkeypatch.setattr(skorch_engine, "averaged_model", watched)
    gc.collect()
    gc.disable()  # or it might come by, and find what holds itself
    try:
        cnn = EmotionCNNClassifier(**TINY).fit(*faces)
        assert [network() for network in made] == [None] * 3
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
        EmotionCNNClassifier(**TINY, validation_fraction=None).fit(X[:1], y[:1])


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
