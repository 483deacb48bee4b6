"""Backbones with the weights of a file."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="backbones are modules of torch")
import torch

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.backbones import make_backbone


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_a_file(tmp_path, prefix):
    """Also of a network that was wrapped in DataParallel, as a whole with its head."""
    saved = make_backbone("resnet6-tiny", (32, 32))
    state = saved.state_dict() | {"head.weight": torch.ones(3)}
    path = tmp_path / "weights.pth"
    torch.save({f"{prefix}{name}": tensor for name, tensor in state.items()}, path)

    loaded = make_backbone("resnet6-tiny", (32, 32), weights=path)

    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, got = saved.eval()(images), loaded.eval()(images)
    np.testing.assert_array_equal(got, expected)
    with pytest.raises(WeightsError, match=r"weights\.pth: has no layers"):
        make_backbone("resnet10", (32, 32), weights=path)
