"""Losses against the formulas of their papers, in NumPy; unknown labels; gradients."""

from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("torch", reason="losses are written in torch")

import torch

from emotion_estimators.training.losses import LOSSES, SoftCrossEntropy, make_loss, masked_mean

SCORES = np.random.default_rng(0).normal(0, 3, (40, 5))
TARGETS = (np.random.default_rng(1).random((40, 5)) < 0.4).astype(float)
P = 1 / (1 + np.exp(-SCORES))
# float64 keeps 15 digits; logarithms of sums lose some of them
CLOSE = {"rtol": 1e-10, "atol": 1e-14}


def ours(name, options=None, pos_weight=None, scores=SCORES, targets=TARGETS):
    weight = None if pos_weight is None else torch.tensor(pos_weight)
    loss = make_loss(partial(LOSSES[name], **options) if options else name, weight)
    return loss(torch.tensor(scores), torch.tensor(targets)).numpy()


def test_binary_cross_entropy():
    expected = -TARGETS * np.log(P) - (1 - TARGETS) * np.log(1 - P)
    assert_allclose(ours("bce"), expected, **CLOSE)


def test_binary_cross_entropy_with_weights_is_torchs():
    weight = [0.5, 1.0, 2.0, 3.0, 10.0]
    expected = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(SCORES),
        torch.tensor(TARGETS),
        pos_weight=torch.tensor(weight, dtype=torch.float64),
        reduction="none",
    )
    assert_allclose(ours("bce", pos_weight=weight), expected.numpy(), rtol=1e-6)  # weights: float32


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.25), (0.5, 0.6), (0.0, 0.5)])
def test_focal_loss(gamma, alpha):
    # equation 5 of Lin et al. (2017), with p_t and alpha_t as defined there
    p_t = np.where(TARGETS == 1, P, 1 - P)
    alpha_t = np.where(TARGETS == 1, alpha, 1 - alpha)
    expected = -alpha_t * (1 - p_t) ** gamma * np.log(p_t)
    assert_allclose(ours("focal", {"gamma": gamma, "alpha": alpha}), expected, **CLOSE)


def test_defaults_are_those_of_the_papers():
    assert_allclose(ours("focal"), ours("focal", {"gamma": 2, "alpha": 0.25}), rtol=0)
    settings = {"gamma_positive": 0, "gamma_negative": 4, "margin": 0.05}
    assert_allclose(ours("asymmetric"), ours("asymmetric", settings), rtol=0)


@pytest.mark.parametrize(("plus", "minus", "margin"), [(0, 4, 0.05), (1, 4, 0.2), (0, 0, 0)])
def test_asymmetric_loss(plus, minus, margin):
    # equations 6 and 7 of Ridnik et al. (2021)
    p_m = np.maximum(P - margin, 0)
    positive = -((1 - P) ** plus) * np.log(P)
    negative = -(p_m**minus) * np.log(1 - p_m)
    expected = TARGETS * positive + (1 - TARGETS) * negative
    options = {"gamma_positive": plus, "gamma_negative": minus, "margin": margin}
    assert_allclose(ours("asymmetric", options), expected, **CLOSE)


def test_without_focusing_the_asymmetric_loss_is_cross_entropy():
    options = {"gamma_positive": 0, "gamma_negative": 0, "margin": 0}
    assert_allclose(ours("asymmetric", options), ours("bce"), **CLOSE)


def test_easy_negatives_teach_nothing():
    easy = np.full((1, 1), -4.0)  # p = 0.018, below the margin
    assert ours("asymmetric", scores=easy, targets=np.zeros((1, 1))) == 0
    assert ours("focal", scores=easy, targets=np.zeros((1, 1))) > 0


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric"])
@pytest.mark.parametrize("far", [-200.0, 200.0])
def test_far_scores_have_finite_gradients(name, far):
    scores = torch.full((2, 1), far, requires_grad=True)
    loss = make_loss(name, None)(scores, torch.tensor([[0.0], [1.0]])).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(scores.grad).all()


@pytest.mark.parametrize("name", ["bce", "focal", "asymmetric"])
def test_unknown_labels_are_left_out(name):
    loss = make_loss(name, None)
    unknown = TARGETS.copy()
    unknown[::3, 1] = np.nan
    unknown[5] = np.nan
    weights = np.linspace(0.5, 2, 40)
    scores = torch.tensor(SCORES, requires_grad=True)
    got = masked_mean(loss, scores, (torch.tensor(unknown), torch.tensor(weights)))
    known = ~np.isnan(unknown)
    expected = (ours(name) * weights[:, None])[known].sum() / known.sum()
    assert_allclose(got.item(), expected, **CLOSE)
    got.backward()
    assert (scores.grad.numpy()[~known] == 0).all()
    assert (scores.grad.numpy()[known] != 0).mean() > 0.5  # easy negatives have none


def test_a_batch_without_known_labels():
    scores = torch.zeros(3, 2, requires_grad=True)
    nothing = torch.full((3, 2), torch.nan)
    loss = masked_mean(make_loss("bce", None), scores, (nothing, torch.ones(3)))
    loss.backward()
    assert loss.item() == 0
    assert (scores.grad == 0).all()


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_cross_entropy(smoothing):
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=(20, 3)))
    targets = torch.from_numpy(rng.dirichlet(np.ones(3), 20))
    weights = torch.from_numpy(rng.uniform(0, 2, 20))
    logs = torch.log_softmax(scores, dim=1).numpy()
    loss = SoftCrossEntropy(shares={"labels": 1.0}, label_smoothing=smoothing)
    for is_training in (True, False):  # what judges is not smoothed
        shares = targets.numpy()
        if is_training:
            shares = shares * (1 - smoothing) + smoothing / 3
        got = float(loss.train(is_training)(scores, ({"labels": targets}, {"labels": weights})))
        expected = np.mean(-(shares * logs).sum(axis=1) * weights.numpy())
        assert got == pytest.approx(expected, rel=1e-12)


def test_a_loss_of_ones_own():
    def squared(scores, targets, *, pos_weight=None):
        weight = 1 if pos_weight is None else torch.where(targets == 1, pos_weight, 1)
        return weight * (torch.sigmoid(scores) - targets) ** 2

    scores, targets = torch.tensor(SCORES), torch.tensor(TARGETS)
    expected = (P - TARGETS) ** 2
    assert_allclose(make_loss(squared, None)(scores, targets), expected, **CLOSE)
    weighted = make_loss(squared, torch.tensor([2.0] * 5))(scores, targets)
    assert_allclose(weighted, expected * np.where(TARGETS == 1, 2, 1), **CLOSE)
    batch = targets, torch.ones(40)
    with pytest.raises(ValueError, match=r"each score, \(40, 5\), got \(\)\. .* reduction='none'"):
        masked_mean(torch.nn.BCEWithLogitsLoss(), scores, batch)


def test_soft_cross_entropy_of_two_outputs():
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.normal(size=(20, 6)))
    labels, votes = (torch.from_numpy(rng.dirichlet(np.ones(3), 20)) for _ in range(2))
    ones, weights = torch.ones(20), torch.from_numpy(rng.uniform(0, 1, 20))
    loss = SoftCrossEntropy(shares={"labels": 0.25, "votes": 0.75}, label_smoothing=0.1)
    targets = {"labels": labels, "votes": votes}
    got = float(loss(scores, (targets, {"labels": ones, "votes": weights})))
    parts = [
        SoftCrossEntropy(shares={name: 1.0}, label_smoothing=smoothing)(
            part, ({name: targets}, {name: weight})
        )
        for name, smoothing, part, targets, weight in (
            ("labels", 0.1, scores[:, :3], labels, ones),
            ("votes", 0.0, scores[:, 3:], votes, weights),  # people are unsure as it is
        )
    ]
    assert got == pytest.approx(0.25 * float(parts[0]) + 0.75 * float(parts[1]), rel=1e-12)
