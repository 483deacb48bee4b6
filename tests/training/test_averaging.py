"""The moving average of weights: by hand, and of a copy."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="the average of weights needs torch")

import torch

from emotion_estimators.training.averaging import averaged_model


@pytest.mark.parametrize("decay", [0.0, 0.15, 0.9])
def test_average_of_weights_and_statistics(decay):
    rng = np.random.default_rng(0)
    module = torch.nn.BatchNorm2d(3)
    average = averaged_model(module, decay=decay)
    expected = module.state_dict()["running_mean"].numpy().astype(float).copy()
    for step in range(20):
        values = rng.normal(size=3).astype(np.float32)
        module.running_mean.copy_(torch.from_numpy(values))
        module.num_batches_tracked += 1
        average.update_parameters(module)
        share = min(decay, (1 + step) / (10 + step))
        expected = share * expected + (1 - share) * values
    state = average.module.state_dict()
    # 20 roundings of float32
    np.testing.assert_allclose(state["running_mean"].numpy(), expected, rtol=0, atol=1e-5)
    assert int(state["num_batches_tracked"]) == 20
    assert not average.module.training


def test_is_a_copy():
    module = torch.nn.Linear(2, 2)
    average = averaged_model(module, decay=0.9)
    before = average.module.weight.clone()
    with torch.no_grad():
        module.weight += 1
    assert torch.equal(average.module.weight, before)
