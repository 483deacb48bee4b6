"""The skorch engine: precision, what a net predicts, the training without a classifier."""

from threading import Event

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

pytest.importorskip("torch", reason="the skorch engine needs torch")
pytest.importorskip("skorch", reason="the skorch engine needs skorch")

import torch

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.training.batches import LabelledImages, OrderedBatches
from emotion_estimators.training.checkpoints import Checkpoints
from emotion_estimators.training.losses import SoftCrossEntropy
from emotion_estimators.training.progress import TrainingTask
from emotion_estimators.training.skorch_engine import ImageNeuralNet, train_with_skorch
from emotion_estimators.validation import check_images


def _network(*_):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return EmotionCNN(3, stem_width=4, widths=(5,), n_blocks=(1,))


def _net(module, precision=None):
    return ImageNeuralNet(
        module,
        criterion=SoftCrossEntropy,
        criterion__shares={"labels": 1.0},
        optimizer=torch.optim.SGD,
        iterator_valid=lambda data, batch_size: OrderedBatches(
            data, batch_size=batch_size, device=torch.device("cpu")
        ),
        train_split=None,
        device="cpu",
        owner="Net",
        precision=precision,
        weight_decay=0.0,
        stop=Event(),
    ).initialize()


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_precision_of_convolutions(precision):
    network = _network()
    seen = []
    network.layers[0].conv.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    scores = _net(network, precision).infer(torch.rand(4, 1, 12, 10))
    assert seen == [precision or torch.float32]
    assert scores.dtype == torch.float32


def test_a_net_predicts_by_its_own_batches():
    rng = np.random.default_rng(0)
    pixels = torch.from_numpy(rng.integers(0, 256, (20, 12, 10), dtype=np.uint8))
    data = LabelledImages(pixels, {"labels": torch.eye(3)[:1].expand(20, 3)}, {})
    network = _network()
    got = _net(network).set_params(batch_size=7).predict(data)
    with torch.no_grad():
        expected = network.eval()(pixels[:, None].float() / 255).numpy()
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)  # float32


def _task(n, n_held_out, max_epochs=2, **settings):
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, n)
    pixels = rng.integers(0, 256, (n, 12, 10), dtype=np.uint8)
    known = {
        "owner": "Net",
        "images": check_images(pixels),
        "pixels": pixels,
        "classes": np.arange(3),
        "columns": {"labels": np.eye(3, dtype=np.float32)[codes]},
        "weights": {"labels": rng.uniform(0, 2, n).astype(np.float32)},
        "train": np.arange(n_held_out, n),
        "held_out": np.arange(n_held_out) if n_held_out else None,
        "seed": 0,
        "first_weights": None,
        "max_epochs": max_epochs,
        "batch_size": 10,
        "learning_rate": 0.01,
        "weight_decay": 0.0,
        "warmup": 0.1,
        "optimizer": None,
        "n_iter_no_change": None,
        "callbacks": [],
        "augmentation": 0.0,
        "verbose": False,
        "checkpoints": Checkpoints("Net", None, {}),
    }
    return TrainingTask(**known | settings), codes


def _train(task, **settings):
    known = {
        "device": "cpu",
        "precision": "float32",
        "ema_decay": 0.9,
        "label_smoothing": 0.1,
        "erasing": 0.0,
        "mixup": 0.0,
        "max_time": None,
        "shares": {"labels": 1.0},
    }
    train_with_skorch(task, _network, **known | settings)
    return task.progress


@pytest.mark.parametrize("n_held_out", [5, 513])  # 512 are looked at together
def test_figures_of_the_held_out_part(n_held_out):
    task, codes = _task(n_held_out + 20, n_held_out, max_epochs=1)
    progress = _train(task)
    network = _network().eval()
    network.load_state_dict({k: torch.tensor(v) for k, v in progress.best_weights.items()})
    rows = task.held_out
    with torch.no_grad():
        x = torch.from_numpy(task.pixels[rows])[:, None].float() / 255
        proba = torch.softmax(network(x).double(), dim=1).numpy()
    settings = {"sample_weight": task.weights["labels"][rows]}
    (row,) = progress.history
    expected = log_loss(codes[rows], proba, labels=[0, 1, 2], **settings)
    assert row["valid_loss"] == pytest.approx(expected, rel=1e-5)  # float32 against float64
    expected = accuracy_score(codes[rows], proba.argmax(axis=1), **settings)
    assert row["valid_accuracy"] == pytest.approx(expected, rel=1e-12)
    assert progress.best_score == pytest.approx(expected - 1e-9 * row["valid_loss"], rel=1e-12)


def test_held_out_images_of_no_weight():
    task, _ = _task(30, 5)
    task.weights["labels"][:5] = 0
    assert [row["valid_accuracy"] for row in _train(task).history] == [0, 0]


def test_the_first_weights_and_the_steps():
    task, _ = _task(30, 0, max_epochs=3, learning_rate=1e-12)
    first = {k: v.numpy() + 1 for k, v in _network().state_dict().items()}
    task.first_weights = first
    progress = _train(task)
    assert progress.n_steps == 9
    # nothing is learned at this rate
    np.testing.assert_allclose(progress.best_weights["head.weight"], first["head.weight"], 1e-6)


def test_a_rate_of_its_own_for_no_group():
    task, _ = _task(30, 0, optimizer=torch.optim.Adam)
    assert [row["learning_rate"] for row in _train(task).history] == pytest.approx(
        [0.01 * (0.5 * (1 + np.cos(np.pi * (4 / 6 - 0.1) / 0.9)) + 1e-4), 0.01 * 1e-4]
    )
