"""The learning rate in the course of a training."""

import numpy as np
import pytest

from emotion_estimators.training.schedule import Schedule


def _rates(schedule, n_steps):
    return np.array([schedule.rate(step) for step in range(n_steps)])


@pytest.mark.parametrize(("n_steps", "warmup"), [(200, 0.1), (50, 0.5), (30, 0.0), (7, 1.0)])
def test_a_rise_and_the_cosine_of_torch(n_steps, warmup):
    torch = pytest.importorskip("torch", reason="compares with the cosine of torch")
    rates = _rates(Schedule(n_steps, warmup=warmup), n_steps)
    progress = np.arange(1, n_steps + 1) / n_steps
    rising = progress < warmup
    np.testing.assert_allclose(rates[rising], progress[rising] / warmup)
    # torch's cosine over the rest; it counts steps, and the floor is ours
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
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


def test_without_a_rise_it_is_constant():
    schedule = Schedule(10, warmup=None)
    assert set(_rates(schedule, 10)) == {1.0}
    assert not schedule.is_over()


def test_it_follows_the_time_where_that_ends_first(monkeypatch):
    clock = iter(np.arange(0, 10, 0.5))
    monkeypatch.setattr("emotion_estimators.training.schedule.time.monotonic", lambda: next(clock))
    schedule = Schedule(1000, warmup=0.1, max_time=4.0)
    # half a second goes by at each step; by time 1/8, 2/8 ... of it
    expected = [0.5 * (1 + np.cos(np.pi * (i / 8 - 0.1) / 0.9)) + 1e-4 for i in range(1, 9)]
    np.testing.assert_allclose(_rates(schedule, 8), expected)
    assert schedule.is_over()


def test_all_groups_of_parameters_have_one_rate(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("emotion_estimators.training.schedule.time.monotonic", lambda: next(clock))
    schedule = Schedule(1000, warmup=0.1, max_time=100.0)
    first = schedule.rate(0)
    assert schedule.rate(0) == first
    assert schedule.rate(1) != first
