"""How ONNX Runtime is started, and which of its providers a device stands for."""

import os
import subprocess
import sys
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


def test_nothing_is_told_about_the_user(tmp_path):
    code = """
    import sys
    from emotion_estimators import PretrainedEmotionClassifier
    from emotion_estimators.datasets import make_faces
    X, _ = make_faces(1, random_state=0)
    PretrainedEmotionClassifier().predict(X)
    assert "onnxruntime" in sys.modules
    """
    environment = {**os.environ, "HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    for name in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY"):
        environment.pop(name, None)
    lines = "\n".join(line[4:] for line in code.splitlines())
    subprocess.run([sys.executable, "-c", lines], env=environment, check=True)
    # ONNX Runtime 1.32 keeps an identifier of the machine there, and events to be sent
    assert list(tmp_path.rglob("*")) == []
