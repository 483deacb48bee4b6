"""Stopped and resumed: the same for every classifier that trains a network.

A classifier joins by a function in `FACTORIES`.
"""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from emotion_estimators import (
    EmojiCNNClassifier,
    EmotionCNNClassifier,
    FineTunedFacenetClassifier,
    LightningMultiLabelClassifier,
)
from emotion_estimators.training.progress import TrainingTask


@dataclass(frozen=True)
class Case:
    """A classifier, what it learns in four epochs of at least three steps, and its variants."""

    kind: type
    settings: dict[str, Any]
    X: Any
    y: Any
    variants: dict[str, dict[str, Any]] = field(default_factory=dict)  # each resumed to the bit
    others: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)  # each refused
    free: dict[str, Any] = field(default_factory=dict)  # changes no weights
    prepare: Callable[[pytest.MonkeyPatch], Any] = lambda _: None  # before anything else

    def make(self, **settings: Any) -> Any:
        return self.kind(**self.settings | settings)


def draw(n, size, *, seed=0):
    """Return grey images of two classes, bright and dark."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 200, (n, *size), dtype=np.uint8)
    y = np.array(["bright", "dark"])[rng.permutation(n) % 2]
    X[y == "bright"] += 55
    return X, y


def emotion_cnn():
    pytest.importorskip("skorch", reason="EmotionCNNClassifier needs skorch")
    import torch
    from torch import nn

    X, y = draw(40, (12, 14))
    settings = {
        "image_size": None,
        "network": {"stem_width": 4, "widths": (6,), "n_blocks": (1,)},
        "max_epochs": 4,
        "batch_size": 8,
        "mixup": 0.3,
        "validation_fraction": 0.2,
        "n_iter_no_change": None,
        "device": "cpu",
        "precision": "float32",
        "random_state": 0,
    }
    own = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(168, 2))
    other = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(168, 2))
    adam = {"optimizer": torch.optim.AdamW, "learning_rate": 0.01}
    return Case(
        EmotionCNNClassifier,
        settings,
        X,
        y,
        variants={
            "as it is": {},
            "bfloat16": {"precision": "bfloat16"},
            "nothing held out": {"validation_fraction": None},
            "no average, constant rate": {"ema_decay": None, "warmup": None},
            "AdamW": adam,
            "own module": {"network": own, "mixup": 0, **adam},
            "no augmentation": {"augmentation": 0, "erasing": 0, "mixup": 0},
            "patience": {"learning_rate": 1e-6, "n_iter_no_change": 3},
        },
        others={
            "rate": ({"learning_rate": 0.5}, r"learning_rate=0\.1 \(now 0\.5\)"),
            "seed": ({"random_state": 1}, "other random_state"),
            "no seed": ({"random_state": None}, "other random_state"),
            "mixup": (
                {"mixup": 0.1, "erasing": 0},
                r"erasing=0\.3 \(now 0\), parameters\.mixup",
            ),
            "average": ({"ema_decay": None}, r"ema_decay=0\.999 \(now None\)"),
            "optimizer": ({"optimizer": torch.optim.Adam}, r"optimizer=None \(now 'torch"),
            "network": ({"network": "small"}, r"architecture\.n_blocks=\[1\] \(now \[0, 1, 1\]\)"),
            "own network": ({"network": own}, r"architecture\.network=None"),
            "precision": ({"precision": "bfloat16"}, r"precision='torch\.float32' \(now 'torch\.b"),
            "teacher": ({"teacher": _Opinion(), "teacher_weight": 0.5}, "other targets"),
            "class_weight": ({"class_weight": {"bright": 3}}, "other sample_weight"),
            "all": (
                {
                    "max_epochs": 5,
                    "max_time": 1e9,
                    "n_iter_no_change": 9,
                    "label_smoothing": 0,
                    "weight_decay": 0,
                    "network": other,
                    "warmup": None,
                    "batch_size": 9,
                },
                r"architecture.* \d+ more\. Restore",
            ),
        },
        free={
            "test_time_augmentation": False,
            "verbose": 0,
            "image_shape": (12, 14),
            "device": "auto",
        },
    )


class _Opinion:
    """A teacher that does not know."""

    classes_ = np.array(["bright", "dark"])

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


def fine_tuned_facenet():
    pytest.importorskip("skorch", reason="FineTunedFacenetClassifier needs skorch")
    from emotion_estimators.features import _facenet_inputs
    from emotion_estimators.networks.facenet import layers, module

    def shrink(patch):
        """Put a network of two layers in the place of FaceNet's thirty, of 94 MB."""
        few = (
            layers._stem("conv2d_1a", 3, 8, 3, stride=2),
            layers._block("block8", "8_6", 8, [[(4, 1, 1)], [(4, 1, 1), (4, 3, 3)]], scale=1.0),
        )
        for part in (layers, module):
            patch.setattr(part, "LAYERS", few)
            patch.setattr(part, "N_POOLED", 8)
        patch.setattr(_facenet_inputs, "MIN_IMAGE_SIZE", 3)

    X, y = draw(30, (8, 8))
    settings = {
        "weights": None,
        "fine_tune_blocks": 1,
        "image_size": 8,
        "augmentation": 0.5,
        "max_epochs": 4,
        "batch_size": 8,
        "validation_fraction": 0.15,
        "n_iter_no_change": None,
        "device": "cpu",
        "precision": "float32",
        "random_state": 0,
    }
    return Case(
        FineTunedFacenetClassifier,
        settings,
        X,
        y,
        others={
            "blocks": ({"fine_tune_blocks": 0}, r"architecture\.n_trained=1 \(now 0\)"),
            "dropout": ({"dropout": 0.1}, r"dropout=0\.2 \(now 0\.1\)"),
        },
        free={"test_time_augmentation": True},
        prepare=shrink,
    )


def emoji_cnn():
    pytest.importorskip("scikeras", reason="EmojiCNNClassifier needs scikeras")
    keras = pytest.importorskip("keras", reason="EmojiCNNClassifier needs Keras")
    X, y = draw(40, (12, 14))
    settings = {
        "image_size": None,
        "network": {"filters": (4,)},
        "max_epochs": 4,
        "batch_size": 8,
        "validation_fraction": 0.2,
        "n_iter_no_change": None,
        "random_state": 0,
    }
    return Case(
        EmojiCNNClassifier,
        settings,
        X,
        y,
        variants={
            "as it is": {},
            "nothing held out": {"validation_fraction": None},
            "original": {"network": "original", "warmup": None, "learning_rate": 0.001},
            "SGD": {"optimizer": partial(keras.optimizers.SGD, momentum=0.9)},
            "own function": {"network": _own_keras_model},
        },
        others={
            "rate": ({"learning_rate": 0.5}, r"learning_rate=0\.003 \(now 0\.5\)"),
            "seed": ({"random_state": 1}, "other random_state"),
            "augmentation": ({"augmentation": 0}, r"augmentation=1 \(now 0\)"),
            "optimizer": ({"optimizer": keras.optimizers.SGD}, r"optimizer=None \(now 'keras"),
            "network": (
                {"network": {"filters": (5,)}},
                r"architecture\.keras\.config\.layers\.5\.",
            ),
            "own function": ({"network": _own_keras_model}, r"architecture\.network"),
            "class_weight": ({"class_weight": {"bright": 3}}, "other sample_weight"),
        },
        free={"test_time_augmentation": False, "verbose": 0, "n_threads": 1},
    )


def _own_keras_model(image_size, n_classes):
    import keras

    return keras.Sequential(
        [
            keras.Input((*image_size, 1)),
            keras.layers.Flatten(),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(n_classes, activation="softmax"),
        ]
    )


def lightning_multilabel():
    pytest.importorskip("pytorch_lightning", reason="LightningMultiLabelClassifier needs Lightning")
    import torch
    from pytorch_lightning import Callback
    from torch import nn

    from emotion_estimators.training.losses import focal_loss

    X, y = draw(40, (12, 14, 3))
    Y = np.stack([y == "bright", np.arange(40) % 3 == 0], axis=1).astype(int)
    settings = {
        "network": {"widths": (4, 8)},
        "head_hidden": 8,
        "max_epochs": 4,
        "batch_size": 8,
        "validation_fraction": 0.2,
        "device": "cpu",
        "precision": "float32",
        "random_state": 0,
    }
    own = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(504, 4))
    return Case(
        LightningMultiLabelClassifier,
        settings,
        X,
        Y,
        variants={
            "as it is": {},
            "bfloat16": {"precision": "bfloat16"},
            "nothing held out": {"validation_fraction": None},
            "average, constant rate": {"ema_decay": 0.9, "warmup": None},
            "SGD": {"optimizer": partial(torch.optim.SGD, momentum=0.9, nesterov=True)},
            "own module": {"network": own},
            "gradients of two batches": {"trainer": {"accumulate_grad_batches": 2}},
            "patience": {"learning_rate": 1e-6, "n_iter_no_change": 3},
            "decoded by workers": {"num_workers": 1},
        },
        others={
            "rate": ({"learning_rate": 0.5}, r"learning_rate=0\.002 \(now 0\.5\)"),
            "seed": ({"random_state": 1}, "other random_state"),
            "loss": ({"loss": "focal"}, r"loss='bce' \(now 'focal'\)"),
            "pos_weight": ({"pos_weight": {0: 3}}, "pos_weight=None"),
            "network": ({"network": {"widths": (5, 8)}}, r"architecture\.network\.widths=\[4, 8\]"),
            "trainer": ({"trainer": {"accumulate_grad_batches": 2}}, "trainer"),
            "own network": ({"network": own}, r"architecture\.network\.given=None"),
            "partial loss": (
                {"loss": partial(focal_loss, gamma=3)},
                r"loss='bce' \(now .*losses\.focal_los",
            ),
            "labels": ({"labels": ["a", "b"]}, "other classes"),
            "workers": ({"num_workers": 1}, r"num_workers='0' \(now 'above 0'\)"),
            "size": ({"image_size": 10}, r"architecture\.image_size=\[12, 14\].*other images"),
            "callbacks": ({"callbacks": [Callback()]}, "callbacks="),
        },
        free={
            "test_time_augmentation": True,
            "threshold": 0.1,
            "trainer": {"log_every_n_steps": 7},
            "image_shape": (12, 14, 3),
            "device": "auto",
        },
    )


FACTORIES = {
    "EmotionCNN": emotion_cnn,
    "FineTunedFacenet": fine_tuned_facenet,
    "EmojiCNN": emoji_cnn,
    "LightningMultiLabel": lightning_multilabel,
}


# ---- what the tests below need


@pytest.fixture(params=FACTORIES)
def name(request):
    return request.param


@pytest.fixture
def case(name, monkeypatch):
    made = FACTORIES[name]()
    made.prepare(monkeypatch)
    return made


@pytest.fixture(autouse=True)
def one_thread():
    """Let torch work on one thread, where results are the same to the bit."""
    torch = pytest.importorskip("torch", reason="networks are trained with torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def at_step(n_epochs, act, n_steps=2):
    """Call a function in a later step of an epoch of each training, which all count on a bar."""
    make = TrainingTask.bar

    def watched(task, *arguments):
        bar, seen = make(task, *arguments), []
        update = bar.update

        def count(n=1):
            update(n)
            if len(task.progress.history) == n_epochs:
                seen.append(n)
                if len(seen) == n_steps:
                    act()

        bar.update = count
        return bar

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingTask, "bar", watched)
        yield


def interrupt():
    raise KeyboardInterrupt


def stopped(net, X, y, *, n_epochs=2):
    """Return an estimator whose fit was interrupted in the middle of the next epoch."""
    with at_step(n_epochs, interrupt), pytest.raises(KeyboardInterrupt):
        net.fit(X, y)
    assert net.n_iter_ == n_epochs
    return net


def assert_same_fit(one, other):
    assert one.history_ == other.history_
    assert (one.best_epoch_, one.n_iter_) == (other.best_epoch_, other.n_iter_)
    assert list(one.weights_) == list(other.weights_)
    for key, array in one.weights_.items():
        assert_array_equal(array, other.weights_[key])


def files_in(folder):
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def train_until_killed(name, folder):
    """Train in a process that waits in the middle of the third epoch."""
    import time

    def wait():
        print("third epoch", flush=True)  # noqa: T201
        time.sleep(1000)

    case = FACTORIES[name]()
    case.prepare(pytest.MonkeyPatch())
    with at_step(2, wait):
        case.make(checkpoint_dir=folder).fit(case.X, case.y)


# ---- tests


@pytest.mark.timeout(900)  # three trainings, one of them in a process of its own
def test_resumed_after_a_kill(name, case, tmp_path):
    folder = tmp_path / "run"
    code = (
        f"import test_checkpoints; test_checkpoints.train_until_killed({name!r}, {str(folder)!r})"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent,
        # as torch here; TensorFlow has the threads of the machine here, which cannot be changed
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdout.readline() == "third epoch\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (file,) = files_in(folder)
    assert file.name == "last.npz"
    epochs = []
    with at_step(2, lambda: epochs.append(3)), at_step(0, lambda: epochs.append(1)):
        resumed = case.make(checkpoint_dir=folder, resume=True).fit(case.X, case.y)
    assert epochs == [3]
    assert_same_fit(resumed, case.make().fit(case.X, case.y))
    for resume in (True, file, str(file.parent), folder):  # over: nothing is trained
        with at_step(2, interrupt), at_step(0, interrupt):
            over = case.make(checkpoint_dir=folder, resume=resume).fit(case.X, case.y)
        assert_same_fit(over, resumed)
    assert files_in(folder) == [file]


@pytest.mark.parametrize(
    ("name", "variant"),
    [("EmotionCNN", variant) for variant in (
        "as it is", "bfloat16", "nothing held out", "no average, constant rate", "AdamW",
        "own module", "no augmentation", "patience",
    )]
    + [("EmojiCNN", variant) for variant in (
        "as it is", "nothing held out", "original", "SGD", "own function",
    )]
    + [("LightningMultiLabel", variant) for variant in (
        "as it is", "bfloat16", "nothing held out", "average, constant rate", "SGD", "own module",
        "gradients of two batches", "patience", "decoded by workers",
    )],
)  # fmt: skip
def test_resumed_after_ctrl_c(case, variant, tmp_path):
    settings = case.variants[variant]
    net = stopped(case.make(checkpoint_dir=tmp_path, **settings), case.X, case.y)
    whole = case.make(**settings).fit(case.X, case.y)
    assert whole.history_[:2] == net.history_
    assert_same_fit(net.set_params(resume=True).fit(case.X, case.y), whole)


def test_every_variant_is_tested():
    parameters = test_resumed_after_ctrl_c.pytestmark[0].args[1]
    for name in {name for name, _ in parameters}:
        tested = {variant for one, variant in parameters if one == name}
        assert tested == set(FACTORIES[name]().variants)


def test_a_warm_start_is_resumed(tmp_path):
    case = emotion_cnn()
    settings = {"warm_start": True, "checkpoint_dir": tmp_path}
    whole = case.make(warm_start=True).fit(case.X, case.y).fit(case.X, case.y)
    net = case.make(**settings).fit(case.X, case.y)
    first = net.weights_
    with at_step(2, interrupt), pytest.raises(KeyboardInterrupt):
        net.fit(case.X, case.y)
    assert len(files_in(tmp_path)) == 2  # another start, another training
    again = case.make(**settings, resume=True).fit(case.X, case.y)
    for key, array in first.items():
        assert_array_equal(array, again.weights_[key])
    assert_same_fit(again.fit(case.X, case.y), whole)


def test_where_there_is_nothing_to_resume(tmp_path):
    case = emotion_cnn()
    net = case.make(max_epochs=1, resume=True)
    with pytest.raises(ValueError, match=f"{case.kind.__name__} with resume=True needs check"):
        net.fit(case.X, case.y)
    net.set_params(checkpoint_dir=str(tmp_path / "new")).fit(case.X, case.y)  # none yet: starts
    assert [path.name for path in files_in(tmp_path)] == ["last.npz"]
    with pytest.raises(FileNotFoundError, match=r"found no checkpoint .*other\.npz"):
        net.set_params(resume=tmp_path / "other.npz").fit(case.X, case.y)
    (tmp_path / "bad.npz").write_bytes(b"no checkpoint")
    with pytest.raises(ValueError, match=r"cannot read the checkpoint .*bad\.npz"):
        net.set_params(resume=tmp_path / "bad.npz").fit(case.X, case.y)


def test_another_training_is_refused_with_what_differs(case, tmp_path):
    net = case.make(max_epochs=1, checkpoint_dir=tmp_path).fit(case.X, case.y)
    (file,) = files_in(tmp_path)
    for settings, match in case.others.values():
        with pytest.raises(ValueError, match=f"cannot go on from .*{match}") as caught:
            case.make(**{"max_epochs": 1, "resume": file} | settings).fit(case.X, case.y)
        assert len(str(caught.value)) < 1500
    one_pixel, weights = case.X.copy(), np.ones(len(case.X))
    one_pixel[3, 4, 5] ^= 1
    weights[0] = 2
    for change, args in {
        "other images": (one_pixel, case.y),
        "other images[.]": (case.X[::-1], case.y),
        "other (random_state, other )?targets": (case.X, case.y[::-1]),
        "other sample_weight": (case.X, case.y, weights),
    }.items():
        with pytest.raises(ValueError, match=f"of a training with {change}"):
            case.make(max_epochs=1, resume=file).fit(*args)
    free = case.make(max_epochs=1, resume=file, **case.free).fit(case.X, case.y)
    assert_same_fit(free, net)
    for seed in (np.int64(0), np.random.RandomState(0)):
        same = case.make(max_epochs=1, resume=file, random_state=seed).fit(case.X, case.y)
        assert_same_fit(same, net)


def test_a_fit_without_a_seed_goes_on_unless_it_was_over(tmp_path):
    case = emotion_cnn()
    settings = {"random_state": None, "checkpoint_dir": tmp_path}
    _, *state = np.random.get_state()  # noqa: NPY002
    net = stopped(case.make(**settings), case.X, case.y)
    nets = [case.make(**settings, resume=True).fit(case.X, case.y) for _ in range(2)]
    assert nets[0].history_[:2] == net.history_
    assert nets[1].history_[0] != nets[0].history_[0]  # the first was over: another seed
    assert nets[0].n_iter_ == nets[1].n_iter_ == 4
    for before, now in zip(state, np.random.get_state()[1:], strict=True):  # noqa: NPY002
        assert_array_equal(now, before)  # NumPy's global state is nobody's seed


def test_a_search_shares_a_folder(tmp_path):
    case = emotion_cnn()
    grid = {"learning_rate": [1e-9, 1e-2], "max_epochs": [1]}
    settings = {"cv": 3, "n_jobs": 2, "error_score": "raise", "refit": False}
    alone = GridSearchCV(case.make(), grid, **settings).fit(case.X, case.y)
    net = case.make(checkpoint_dir=tmp_path, resume=True)
    for _ in range(2):  # trained, and taken from the files
        shared = GridSearchCV(net, grid, **settings).fit(case.X, case.y)
        for split in ("split0_test_score", "split1_test_score", "split2_test_score"):
            assert_array_equal(shared.cv_results_[split], alone.cv_results_[split])
    assert [path.name for path in files_in(tmp_path)] == ["last.npz"] * 6


def test_functions_that_are_called_alike_are_two_trainings(tmp_path):
    case = emotion_cnn()
    from torch.optim import AdamW

    slowly, fast = (
        lambda parameters, lr: AdamW(parameters, lr=1e-9 * lr),
        lambda parameters, lr: AdamW(parameters, lr=lr),
    )
    settings = {"max_epochs": 1, "checkpoint_dir": tmp_path, "resume": True}
    nets = [case.make(optimizer=each, **settings).fit(case.X, case.y) for each in (slowly, fast)]
    assert len(files_in(tmp_path)) == 2
    assert nets[0].history_ != nets[1].history_


def test_a_stop_of_the_users_is_the_end(tmp_path):
    case = emotion_cnn()
    from skorch.callbacks import EarlyStopping

    stop = EarlyStopping("valid_loss", patience=1, threshold=10, threshold_mode="abs", sink=list)
    settings = {"checkpoint_dir": tmp_path, "callbacks": [stop]}
    net = case.make(**settings).fit(case.X, case.y)
    assert net.n_iter_ == 2
    with at_step(2, interrupt), at_step(0, interrupt):
        over = case.make(**settings, resume=True).fit(case.X, case.y)
    assert_same_fit(over, net)


@pytest.mark.parametrize("n_saved", [0, 2])
def test_a_full_disk(case, tmp_path, n_saved):
    files = []

    def refuse(file):
        files.append(file)
        if len(files) > n_saved:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    net = case.make(checkpoint_dir=tmp_path)
    match = r"The checkpoint of .*No space left .*Free some space there.*last\.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match=match) as caught:
            net.fit(case.X, case.y)
    assert caught.value.__notes__[0].endswith(f"of the {n_saved + 1} that this fit had finished.")
    assert net.n_iter_ == len(net.history_) == n_saved + 1
    assert net.predict(case.X).shape == case.y.shape
    assert len(files_in(tmp_path)) == bool(n_saved)
    if n_saved:
        resumed = net.set_params(resume=True).fit(case.X, case.y)
        assert_same_fit(resumed, case.make().fit(case.X, case.y))


def test_a_folder_that_cannot_be_made_is_said_before_any_training(case, tmp_path):
    (tmp_path / "file").touch()
    net = case.make(checkpoint_dir=tmp_path / "file")
    before = dict(vars(net))
    with (
        at_step(0, interrupt),
        pytest.raises(OSError, match="cannot make a folder for its checkpoint"),
    ):
        net.fit(case.X, case.y)
    assert vars(net) == before
