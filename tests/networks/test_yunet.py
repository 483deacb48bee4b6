import gc
import sys
from pathlib import Path

import numpy as np
import pytest

from emotion_estimators.networks import yunet
from emotion_estimators.networks.onnx.reader import stored_arrays
from emotion_estimators.networks.yunet import open_yunet
from emotion_estimators.networks.yunet_graph import write_yunet


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


def test_the_graph_that_is_written_finds_what_the_file_finds(data_dir, monkeypatch):
    path = data_dir / "weights/face_detection_yunet_2026may.onnx"
    written = open_yunet(path, "written")
    monkeypatch.setattr(yunet, "write_yunet", lambda _: None)
    as_it_is = open_yunet(path, "as it is")
    for height, width in ((64, 96), (75, 130), (33, 31)):
        image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        expected = as_it_is.candidates(image, 0)
        assert len(expected) > 10
        # sums in another order: places are coordinates of up to some hundred pixels
        np.testing.assert_allclose(written.candidates(image, 0), expected, rtol=1e-5, atol=1e-3)


def test_weights_that_are_not_all_of_the_detectors_are_run_as_they_are(data_dir):
    path = data_dir / "weights/face_detection_yunet_2026may.onnx"
    arrays, _ = stored_arrays(path.read_bytes(), path)
    assert write_yunet(arrays) is not None
    for name in ("420", "421", "462", "neck.lateral_convs.1.conv1.bias"):
        assert write_yunet({key: arrays[key] for key in arrays if key != name}) is None


def test_the_same_weights_in_another_graph_are_not_taken_for_the_detector(data_dir, tmp_path):
    onnx = pytest.importorskip("onnx", reason="changes a graph")
    path = data_dir / "weights/face_detection_yunet_2026may.onnx"
    model = onnx.load(path)
    source = model.graph.input[0].name
    for node in model.graph.node:
        node.input[:] = ["halved" if name == source else name for name in node.input]
    half = onnx.numpy_helper.from_array(np.array(0.5, np.float32), "half")
    model.graph.initializer.append(half)
    model.graph.node.insert(0, onnx.helper.make_node("Mul", [source, "half"], ["halved"]))
    other = tmp_path / "other.onnx"
    onnx.save(model, other)
    image = np.random.default_rng(0).integers(0, 128, (64, 96, 3), dtype=np.uint8) * 2
    expected = open_yunet(path, "the file").candidates(image // 2, 0)
    found = open_yunet(other, "another").candidates(image, 0)
    # sums in another order: places are coordinates of up to some hundred pixels
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-3)
