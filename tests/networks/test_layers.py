"""The layers of torch networks against torch's own, also where torch's are wrong."""

import pytest

pytest.importorskip("torch", reason="the layers need torch")

import torch
from torch.testing import assert_close

from emotion_estimators.networks.layers import StridedConv2d


def _soil_memory(value):
    """Leave freed blocks of many sizes behind that are full of a value."""
    for n in (16, 64, 256, 1024, 4096, 16384, 65536):
        _ = [torch.full((n,), value) for _ in range(20)]


def _gradients(x, value):
    torch.manual_seed(0)
    layer = StridedConv2d(x.shape[1], 8, 3, 2, 1, bias=False).to(memory_format=torch.channels_last)
    x = x.clone().requires_grad_()
    _soil_memory(value)
    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        maps = layer(x)
    _soil_memory(value)
    maps.float().square().sum().backward()
    return maps, x.grad, layer.weight.grad


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (5, 1), (5, 2), (4, 3)])
@pytest.mark.parametrize("n_in", [1, 8])
def test_memory_of_before_has_no_influence(size, n_in):
    # with AMX, oneDNN's gradient for maps of one column is made of what lay in memory before
    x = torch.rand(10, n_in, *size, generator=torch.Generator().manual_seed(0))
    x = x.contiguous(memory_format=torch.channels_last)
    for clean, soiled in zip(_gradients(x, 0.0), _gradients(x, float("nan")), strict=True):
        assert_close(clean, soiled, rtol=0, atol=0)


@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (5, 2), (4, 3), (7, 8)])
def test_same_as_torch(kernel, stride, size):
    torch.manual_seed(0)
    ours = StridedConv2d(2, 3, kernel, stride, kernel // 2).double()
    theirs = torch.nn.Conv2d(2, 3, kernel, stride, kernel // 2).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.rand(4, 2, *size, dtype=torch.float64)
    # float64 knows no oneDNN; sums in another order
    assert_close(ours(x), theirs(x), rtol=1e-12, atol=1e-12)
