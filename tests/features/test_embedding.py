"""What embedders share, on a small one of a file: contracts, the cache, files of weights."""

import os
from functools import partial
from numbers import Integral

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emotion_estimators import FacenetEmbedder
from emotion_estimators._sklearn import Interval
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.features._embedding import BaseEmbedder, network_weights
from emotion_estimators.images import resize_images
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.onnx.graph import OnnxGraph
from emotion_estimators.testing import check_image_estimator, check_sklearn_estimator

PROJECTION = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


class MeanColorEmbedder(BaseEmbedder):
    """Project the mean colour of an image to four numbers, by a network in a file."""

    _parameter_constraints = {  # noqa: RUF012
        **BaseEmbedder._parameter_constraints,
        "weights": [str, os.PathLike],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple, list, None],
    }
    _version = 1
    _n_features_out = 4

    def __init__(
        self,
        *,
        weights="",
        image_size=None,
        image_shape=None,
        normalize=False,
        batch_size=2,
        cache=None,
        n_threads=1,
        verbose=0,
    ):
        super().__init__(
            image_shape=image_shape,
            normalize=normalize,
            batch_size=batch_size,
            cache=cache,
            n_threads=n_threads,
            verbose=verbose,
        )
        self.weights = weights
        self.image_size = image_size

    def _find_weights(self):
        return network_weights(type(self).__name__, self.weights)

    def _standardize(self, images):
        scale = np.float32(255 if images.dtype == np.uint8 else 1)
        return images.astype(np.float32) / scale

    def _open(self, weights):
        network = weights.read()
        return partial(
            network.run,
            batch_size=network.default_batch_size(),
            n_threads=count_threads(self.n_threads),
        )


class DarkColorEmbedder(MeanColorEmbedder):
    def _standardize(self, images):
        return super()._standardize(images) / np.float32(2)


class ScaledColorEmbedder(MeanColorEmbedder):
    """Has one parameter more, and says nothing of it to the cache."""

    def __init__(self, *, weights="", factor=1.0, cache=None):
        super().__init__(weights=weights, cache=cache)
        self.factor = factor

    def _standardize(self, images):
        return super()._standardize(images) * np.float32(self.factor)


def write_network(path, projection):
    graph = OnnxGraph()
    mean = graph.node("GlobalAveragePool", ["images"])  # (n, 3, 1, 1)
    kernel = graph.constant("projection", projection[:, :, None, None])
    vectors = graph.node("Flatten", [graph.node("Conv", [mean, kernel])])
    n_features = len(projection)
    path.write_bytes(
        graph.serialise(
            "MeanColor",
            ("images", ["n", 3, "height", "width"]),
            (vectors, "vectors", ["n", n_features]),
            opset=17,
        )
    )
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("network") / "colors.onnx", PROJECTION)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)


def test_contracts(file):
    results = check_image_estimator(MeanColorEmbedder(weights=str(file)), on_skip="raise")
    assert {row["status"] for row in results} == {"passed"}
    results = check_sklearn_estimator(MeanColorEmbedder(weights=str(file)))
    assert {row["status"] for row in results} == {"passed"}


def test_vectors(file, images):
    embedder = MeanColorEmbedder(weights=file)
    expected = images.mean(axis=(1, 2)) / 255 @ PROJECTION.T
    got = embedder.transform(images)
    assert got.dtype == np.float32
    # sums of 48 float32 numbers in 0..1
    assert_allclose(got, expected, rtol=0, atol=1e-5)
    unit = embedder.set_params(normalize=True).transform(images)
    assert_allclose(unit, got / np.linalg.norm(got, axis=1)[:, None], rtol=1e-6)
    assert list(embedder.get_feature_names_out()) == [f"meancolor{i}" for i in range(4)]
    small = embedder.set_params(image_size=3).preprocess(images)
    resized = resize_images(images, (3, 3), channels=True)
    assert_array_equal(small, resized / np.float32(255))


def test_embedders_of_the_same_file_share_a_folder(file, images, tmp_path, monkeypatch):
    others = np.random.default_rng(2).normal(size=(4, 3)).astype(np.float32)
    embedders = [
        MeanColorEmbedder(weights=file),
        DarkColorEmbedder(weights=file),
        ScaledColorEmbedder(weights=file, factor=3.0),
        ScaledColorEmbedder(weights=file, factor=5.0),
        MeanColorEmbedder(weights=write_network(tmp_path / "colors.onnx", others)),
        MeanColorEmbedder(weights=file, image_size=4),
        FacenetEmbedder(weights=None, image_size=75, device="cpu", n_threads=1),
    ]
    expected = [embedder.transform(images) for embedder in embedders]
    for i, vectors in enumerate(expected):
        assert not any(np.array_equal(vectors, other) for other in expected[:i])
    for embedder, vectors in zip(embedders, expected, strict=True):
        assert_array_equal(embedder.set_params(cache=tmp_path).transform(images), vectors)

    def fail(_, __):
        raise AssertionError("all vectors are in the folder")

    for kind in (MeanColorEmbedder, FacenetEmbedder):
        monkeypatch.setattr(kind, "_open", fail)
    for embedder, vectors in zip(embedders, expected, strict=True):
        assert_array_equal(embedder.transform(images), vectors)
    monkeypatch.setattr(MeanColorEmbedder, "_version", 2)
    with pytest.raises(AssertionError, match="all vectors are in the folder"):
        embedders[0].transform(images)


def test_weights_in_a_second_file_count(images, tmp_path):
    onnx = pytest.importorskip("onnx", reason="it writes weights into a second file")
    path = tmp_path / "colors.onnx"

    def write(projection):
        model = onnx.load(write_network(path, projection))
        onnx.save_model(
            model, path, save_as_external_data=True, location="weights", size_threshold=0
        )

    write(PROJECTION)
    embedder = MeanColorEmbedder(weights=path, cache=tmp_path / "cache").fit(images)
    vectors = embedder.transform(images)
    model = path.read_bytes()
    (tmp_path / "weights").unlink()
    write(-PROJECTION)
    assert path.read_bytes() == model
    with pytest.raises(WeightsError, match=r"MeanColorEmbedder was fitted with .*Call fit again"):
        embedder.transform(images)
    assert_array_equal(embedder.fit(images).transform(images), -vectors)


def test_a_network_of_other_vectors(images, tmp_path):
    path = write_network(tmp_path / "colors.onnx", PROJECTION[:3])
    with pytest.raises(WeightsError, match=r"network of MeanColorEmbedder gave .*shape \(2, 3\)"):
        MeanColorEmbedder(weights=path).transform(images)
