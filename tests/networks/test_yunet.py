import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from emotion_estimators.networks.yunet import open_yunet


def resident_bytes() -> int:
    with Path("/proc/self/status").open() as file:
        return int(file.read().partition("VmRSS:")[2].split()[0]) * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_what_a_large_photograph_takes_is_given_back(data_dir):
    detector = open_yunet(data_dir / "weights/face_detection_yunet_2026may.onnx", "test")
    detector.candidates(np.zeros((1000, 1000, 3), np.uint8), 0.7)
    large = np.zeros((3000, 3200, 3), np.uint8)
    before = resident_bytes()
    detector.candidates(large, 0.7)
    gc.collect()
    assert resident_bytes() - before < 100e6  # ONNX Runtime's arena kept 45 bytes a pixel


def test_the_same_faces_whether_memory_is_kept_or_not(data_dir, monkeypatch):
    detector = open_yunet(data_dir / "weights/face_detection_yunet_2026may.onnx", "test")
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    expected = detector.candidates(image, 0.01)
    monkeypatch.setattr(sys.modules[open_yunet.__module__], "_LARGE", 0)
    assert len(expected) > 0
    np.testing.assert_array_equal(detector.candidates(image, 0.01), expected)
