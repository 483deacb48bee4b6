"""MultiLabelNetwork: scores that do not depend on where in a batch an image stands."""

import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="MultiLabelNetwork needs torch")

from torch import nn  # noqa: E402

from emotion_estimators.networks.multi_label import MultiLabelNetwork  # noqa: E402


@pytest.mark.parametrize("head_hidden", [None, 6, 30, 256])
@pytest.mark.parametrize("n_features", [5, 30, 64])  # 5 and 30 floats: rows begin anywhere
def test_independent_scores(head_hidden, n_features):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MultiLabelNetwork(
            nn.Flatten(), n_features=n_features, n_labels=8, head_hidden=head_hidden
        )
        features = torch.randn(32, n_features)
    with torch.inference_mode():
        scores = network.independent_scores(features)
        assert scores.shape == (32, 8)
        for shift in range(1, 32):
            moved = network.independent_scores(features.roll(shift, 0))
            assert torch.equal(moved.roll(-shift, 0), scores)
        # sums of at most 256 float32 numbers of about 1, in another order
        assert_allclose(scores, network.head(features), rtol=1e-4, atol=1e-5)
