"""Devices, precisions and cuDNN's settings, as far as a machine without CUDA shows them."""

import numpy as np
import pytest

pytest.importorskip("torch", reason="tests torch devices")

import torch
from torch import nn

from emotion_estimators import EmotionCNNClassifier
from emotion_estimators.networks.layers import StridedConv2d
from emotion_estimators.training.device import (
    autocast_dtype,
    choose_device,
    exact_convolutions,
    training_dtype,
)


@pytest.fixture
def two_cuda_devices(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)


@pytest.fixture
def no_cuda_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("two_cuda_devices")
@pytest.mark.parametrize(
    ("name", "expected"),
    [("auto", "cuda:1"), ("cuda", "cuda:1"), ("cuda:0", "cuda:0"), ("cpu", "cpu")],
)
def test_with_cuda(name, expected):
    assert choose_device(name, needed_by="Net") == torch.device(expected)


@pytest.mark.usefixtures("two_cuda_devices")
def test_a_cuda_device_too_many():
    with pytest.raises(ValueError, match=r"Net got device='cuda:2', but torch finds 2 CUDA dev"):
        choose_device("cuda:2", needed_by="Net")


@pytest.mark.usefixtures("no_cuda_device")
def test_without_cuda():
    assert choose_device("auto", needed_by="Net") == torch.device("cpu")
    with pytest.raises(ValueError, match="Net got device='cuda', but torch finds no CUDA devices"):
        choose_device("cuda", needed_by="Net")


@pytest.mark.parametrize("name", ["abacus", "meta", "", "cuda:x"])
def test_other_names(name):
    match = f"Net expected device to be 'auto', 'cpu' or a CUDA device .* got '{name}'"
    with pytest.raises(ValueError, match=match):
        choose_device(name, needed_by="Net")


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({}, None), ({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16)],
)
def test_precision_on_the_cpu(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    cpu = torch.device("cpu")
    assert autocast_dtype("auto", cpu) == expected
    assert autocast_dtype("bfloat16", cpu) == torch.bfloat16
    assert autocast_dtype("float32", cpu) is None


def test_precision_on_a_cpu_that_torch_does_not_describe(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert autocast_dtype("auto", torch.device("cpu")) is None


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), None), ((9, 0), torch.bfloat16)])
def test_precision_on_cuda(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)  # noqa: ARG005
    assert autocast_dtype("auto", torch.device("cuda", 0)) == expected


def _settings():
    cudnn = torch.backends.cudnn
    return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32


@pytest.mark.parametrize("full_precision", [False, True])
def test_settings_inside_and_after(full_precision):
    before = _settings()
    inside = []

    def look_and_fail():
        with exact_convolutions(torch.device("cuda", 0), full_precision=full_precision):
            cudnn = torch.backends.cudnn
            newer = hasattr(cudnn, "conv")
            tf32 = cudnn.conv.fp32_precision != "ieee" if newer else cudnn.allow_tf32
            inside.append((cudnn.deterministic, cudnn.benchmark, tf32))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        look_and_fail()
    assert inside == [(True, False, not full_precision)]
    assert _settings() == before


def test_settings_of_blocks_that_overlap():
    before = _settings()
    one = exact_convolutions(torch.device("cuda", 0), full_precision=False)
    other = exact_convolutions(torch.device("cuda", 0), full_precision=True)
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)  # as in threads: the first to begin ends first
    cudnn = torch.backends.cudnn
    assert (cudnn.deterministic, cudnn.benchmark) == (True, False)
    other.__exit__(None, None, None)
    assert _settings() == before


def test_settings_of_the_cpu():
    before = _settings()
    with exact_convolutions(torch.device("cpu"), full_precision=True):
        assert _settings() == before


def strided(*, own=False, stride=2):
    kind = StridedConv2d if own else nn.Conv2d
    return nn.Sequential(kind(1, 4, 3, stride=2, padding=1), kind(4, 4, 3, stride, padding=1))


@pytest.mark.parametrize(
    ("network", "size", "is_left"),
    [
        (strided(), (8, 4), True),  # the second gets maps of 4 x 2
        (strided(), (4, 6), False),
        (strided(own=True), (8, 4), False),
        (strided(stride=1), (8, 4), False),
        (strided(stride=1), (8, 2), True),
        (nn.Flatten(), (8, 2), False),
    ],
)
def test_bfloat16_is_left_where_convolutions_would_read_unset_memory(network, size, is_left):
    cpu, shape = torch.device("cpu"), (1, *size)
    network.train()
    expected = None if is_left else torch.bfloat16
    assert training_dtype(network, shape, "bfloat16", cpu) == expected
    assert network.training
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert training_dtype(network, shape, "bfloat16", torch.device("cuda", 0)) == torch.bfloat16
    assert training_dtype(network, shape, "float32", cpu) is None


def test_a_fit_leaves_bfloat16_then():
    pytest.importorskip("skorch", reason="EmotionCNNClassifier needs skorch")
    network = nn.Sequential(
        strided(stride=4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )
    X = np.random.default_rng(0).integers(0, 256, (20, 9, 8), dtype=np.uint8)
    y = np.arange(20) % 2
    settings = {"image_size": None, "network": network, "max_epochs": 1, "batch_size": 8}
    settings |= {"random_state": 0, "device": "cpu"}

    def weights(images, precision):
        net = EmotionCNNClassifier(**settings, precision=precision).fit(images, y)
        return np.concatenate([array.ravel() for array in net.weights_.values()])

    wide = np.repeat(X, 2, axis=2)
    assert not np.array_equal(weights(wide, "float32"), weights(wide, "bfloat16"))
    np.testing.assert_array_equal(weights(X, "float32"), weights(X, "bfloat16"))
