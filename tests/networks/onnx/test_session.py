"""Which execution providers of ONNX Runtime a device stands for."""

from typing import Any

import onnxruntime
import pytest

from emotion_estimators.networks.onnx.session import choose_providers

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("auto", (CUDA, CPU)),
        ("cpu", (CPU,)),
        ("cuda", (f"{CUDA}:0",)),
        ("cuda:1", (f"{CUDA}:1",)),
        ([CPU, CUDA], (CPU, CUDA)),
    ],
)
def test_devices_of_a_build_with_cuda(
    monkeypatch: pytest.MonkeyPatch, device: Any, expected: tuple[str, ...]
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    assert choose_providers(device, needed_by="A") == expected


@pytest.mark.parametrize(
    "device", ["gpu", "cuda:", "cuda:x", "cpu:0", "", [], ["cuda"], [None], [["a"]]]
)
def test_what_is_no_device(monkeypatch: pytest.MonkeyPatch, device: Any) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA, CPU])
    with pytest.raises(ValueError, match="A expected device to be 'auto', 'cpu', a CUDA device"):
        choose_providers(device, needed_by="A")


def test_auto_falls_back_to_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CPU])
    assert choose_providers("auto", needed_by="A") == (CPU,)
    with pytest.raises(ValueError, match="CUDA needs onnxruntime-gpu; device='auto' falls back"):
        choose_providers("cuda", needed_by="A")
