"""Thresholds of multi-label classifiers, given or learned."""

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.metrics import f1_score, precision_recall_curve

from emotion_estimators.training.thresholds import tune_thresholds


def draw_answers(n, seed, shares=(0.1, 0.3, 0.5)):
    """Return true probabilities of labels that are as frequent as `shares`, and draws from them."""
    rng = np.random.default_rng(seed)
    p = expit(3 * rng.standard_normal((n, len(shares))) + 2 * logit(shares))
    return p, (rng.random(p.shape) < p).astype(np.float32)


@pytest.mark.parametrize(("slope", "offset"), [(1, 0), (0.4, -1), (3, 2), (1, 3)])
def test_thresholds_are_near_the_best_that_there_are(slope, offset):
    p, y = draw_answers(20_000, seed=0)
    distorted = expit(slope * logit(p) + offset)  # what a badly calibrated network would say
    thresholds = tune_thresholds(distorted, y)
    for j in range(3):
        precision, recall, _ = precision_recall_curve(y[:, j], distorted[:, j])
        best = (2 * precision * recall / (precision + recall + 1e-12)).max()
        got = f1_score(y[:, j], distorted[:, j] >= thresholds[j])
        # the best of 20,000 cuts has luck, one standard deviation of the F1 of 2,500 positives
        assert best - 0.01 < got <= best
        # of true probabilities it is half of the F1, up to the same luck; the distortion moves it
        assert expit((logit(thresholds[j]) - offset) / slope) == pytest.approx(best / 2, abs=0.02)


def test_thresholds_of_few_images_help_on_others():
    others, truth = draw_answers(20_000, seed=1)
    gains, gains_of_best_cuts = [], []
    for seed in range(20):
        p, y = draw_answers(100, seed=2 + seed)
        tuned = tune_thresholds(p, y)
        best = []
        for j in range(3):
            precision, recall, cuts = precision_recall_curve(y[:, j], p[:, j])
            best.append(
                cuts[np.nanargmax((precision * recall / (precision + recall + 1e-12))[:-1])]
            )
        at_half = f1_score(truth, others >= 0.5, average="macro")
        gains.append(f1_score(truth, others >= tuned, average="macro") - at_half)
        gains_of_best_cuts.append(f1_score(truth, others >= best, average="macro") - at_half)
    assert np.mean(gains) > 0
    assert np.mean(gains) > np.mean(gains_of_best_cuts)


def test_thresholds_without_evidence():
    p = np.array([[0.2, 0.7, 0.6], [0.3, 0.8, 0.9]])
    y = np.array([[0, 1, np.nan], [0, 1, np.nan]], dtype=np.float32)
    assert tune_thresholds(p, y).tolist() == [0.5, 0.5, 0.5]


def test_thresholds_of_one_positive_stay_near_a_half():
    p = np.array([[0.02], [0.04], [0.9], [0.03]])
    y = np.array([[0], [0], [1], [0]], dtype=np.float32)
    (threshold,) = tune_thresholds(p, y)
    assert 0.25 < threshold < 0.75


def test_thresholds_of_certain_and_equal_probabilities():
    p = np.array([[0.0, 0.5, 1.0], [1.0, 0.5, 0.0]] * 4)
    y = np.array([[0, 0, 0], [1, 1, 1]] * 4, dtype=np.float32)  # the last ones are all wrong
    thresholds = tune_thresholds(p, y)
    assert ((thresholds >= 0) & (thresholds <= 1)).all()
    assert 0 < thresholds[0] < 1
