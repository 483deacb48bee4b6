"""TrainingRecipe and ImageNet: the schedule, the loss, the precision, the validation."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

pytest.importorskip("torch", reason="ImageNet needs torch")
pytest.importorskip("skorch", reason="ImageNet needs skorch")

import torch

from emotion_estimators.networks.emotion import EmotionCNN
from emotion_estimators.training.image_net import ImageNet, infer
from emotion_estimators.training.labelled_images import LabelledImages
from emotion_estimators.training.training_recipe import TrainingRecipe, evaluate

CPU = torch.device("cpu")


def _network(n_classes=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return EmotionCNN(n_classes, stem_width=4, widths=(5,), n_blocks=(1,))


def _images(n, n_classes=3):
    rng = np.random.default_rng(0)
    return LabelledImages(
        torch.from_numpy(rng.integers(0, 256, (n, 12, 10), dtype=np.uint8)),
        torch.eye(n_classes)[torch.from_numpy(rng.integers(0, n_classes, n))],
        torch.from_numpy(rng.uniform(0, 2, n).astype(np.float32)),
    )


def _recipe(n_steps, warmup, max_time=None):
    return TrainingRecipe(
        n_steps=n_steps,
        max_time=max_time,
        warmup=warmup,
        ema_decay=0.9,
        validation=None,
        patience=None,
        on_epoch=lambda record, best: None,  # noqa: ARG005
        verbose=False,
    )


def _rates(recipe, n_steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, recipe._rate)
    rates = []
    for _ in range(n_steps):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize(("n_steps", "warmup"), [(200, 0.1), (50, 0.5), (30, 0.0), (7, 1.0)])
def test_schedule(n_steps, warmup):
    rates = _rates(_recipe(n_steps, warmup), n_steps)
    progress = np.arange(1, n_steps + 1) / n_steps
    rising = progress < warmup
    np.testing.assert_allclose(rates[rising], progress[rising] / warmup)
    # torch's cosine over the rest; it counts steps, and the floor is ours
    parameter = [torch.nn.Parameter(torch.zeros(1))]
    optimizer = torch.optim.SGD(parameter, lr=1.0)
    rest = round(n_steps * (1 - warmup))
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(rest, 1))
    expected = []
    for _ in range(rest + 1):
        expected.append(cosine.get_last_lr()[0] + 1e-4)
        optimizer.step()
        cosine.step()
    falling = rates[~rising]
    # torch multiplies ratio after ratio, which rounds
    np.testing.assert_allclose(falling, expected[len(expected) - len(falling) :], atol=1e-9)


def test_schedule_follows_the_time_where_that_ends_first(monkeypatch):
    clock = iter(np.arange(0, 10, 0.5))
    recipe = _recipe(1000, 0.1, max_time=4.0)
    recipe.start_ = 0.0
    monkeypatch.setattr(
        "emotion_estimators.training.training_recipe.time.monotonic", lambda: next(clock)
    )
    rates = _rates(recipe, 9)
    # progress 0.001, then by time 1/8, 2/8 ... of which the first 0.1 is the warm-up
    expected = [0.001 / 0.1] + [
        0.5 * (1 + np.cos(np.pi * (i / 8 - 0.1) / 0.9)) + 1e-4 for i in range(1, 9)
    ]
    np.testing.assert_allclose(rates, expected)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_loss(smoothing):
    net = ImageNet(
        _network(),
        criterion=torch.nn.CrossEntropyLoss,
        criterion__reduction="none",
        criterion__label_smoothing=smoothing,
        optimizer=torch.optim.SGD,
        device="cpu",
    ).initialize()
    images, (targets, weights) = _images(20)[:]
    scores = net.infer(images)
    got = float(net.get_loss(scores, (targets, weights)).detach())
    logs = torch.log_softmax(scores.double(), dim=1).detach().numpy()
    smooth = targets.numpy() * (1 - smoothing) + smoothing / 3
    expected = np.mean(-(smooth * logs).sum(axis=1) * weights.numpy())
    assert got == pytest.approx(expected, rel=1e-5)  # float32 against float64


@pytest.mark.parametrize("precision", [None, torch.bfloat16])
def test_precision_of_convolutions(precision):
    network = _network()
    seen = []
    network.layers[0].conv.register_forward_hook(lambda *args: seen.append(args[2].dtype))
    scores = infer(network, _images(4)[:][0], precision)
    assert seen == [precision or torch.float32]
    assert scores.dtype == torch.float32


@pytest.mark.parametrize("n", [5, 513])  # 512 are looked at together
def test_evaluate(n):
    network = _network().train()
    data = _images(n)
    loss, accuracy = evaluate(network, data, None, CPU)
    assert network.training
    network.eval()
    images, (targets, weights) = data[:]
    codes = targets.argmax(dim=1).numpy()
    with torch.no_grad():
        proba = torch.softmax(network(images).double(), dim=1).numpy()
    settings = {"sample_weight": weights.numpy()}
    expected = log_loss(codes, proba, labels=[0, 1, 2], **settings)
    assert loss == pytest.approx(expected, rel=1e-5)  # float32 against float64
    expected = accuracy_score(codes, proba.argmax(axis=1), **settings)
    assert accuracy == pytest.approx(expected, rel=1e-5)
