"""EmotionEmbedder: both conformance suites, its numbers, the cache."""

import pickle

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from emotion_estimators import EmotionEmbedder
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.features import _cache
from emotion_estimators.images import resize_images
from emotion_estimators.testing import check_image_estimator, check_sklearn_estimator
from emotion_estimators.weights import fetch_weights


@pytest.fixture(scope="module")
def faces():
    return make_faces(9, emotions=["happy", "sad"], image_size=48, random_state=0)


@pytest.fixture
def passes(monkeypatch):
    """Count the images of each call of the network."""
    counts = []
    opening = EmotionEmbedder._open

    def open_counted(embedder, weights):
        network = opening(embedder, weights)

        def embed(images):
            counts.append(len(images))
            return network(images)

        return embed

    monkeypatch.setattr(EmotionEmbedder, "_open", open_counted)
    monkeypatch.setattr(_cache, "_of_this_process", _cache.MemoryCache(2**24))
    return counts


def test_image_contract():
    reason = "the network takes 48 x 48 px: images of all other sizes are resized"
    results = check_image_estimator(
        EmotionEmbedder(),
        expected_failed_checks={"check_image_size_refused": reason},
        on_skip="raise",
    )
    failing = {row["check_name"] for row in results if row["status"] != "passed"}
    assert failing == {"check_image_size_refused"}


def test_scikit_learn_contract():
    results = check_sklearn_estimator(EmotionEmbedder())
    assert {row["status"] for row in results} == {"passed"}
    assert len(results) >= 45


@pytest.mark.parametrize("precision", [None, "float32", "int8"])
def test_features_are_an_output_of_the_network(faces, precision):
    X, _ = faces
    file = str(fetch_weights("embedded", precision=precision))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def features(images):
        inputs = {"images": images[:, np.newaxis].astype(np.float32) / 255}
        return session.run(["features"], inputs)[0]

    alone = EmotionEmbedder(precision=precision, test_time_augmentation=False).transform(X)
    assert (alone.shape, alone.dtype) == ((9, 256), np.float32)
    # single precision; batches of other sizes may sum in another order
    assert_allclose(alone, features(X), rtol=1e-4, atol=1e-5)
    both = EmotionEmbedder(precision=precision).transform(X)
    expected = (features(X) + features(X[:, :, ::-1])) / 2
    assert_allclose(both, expected, rtol=1e-4, atol=1e-5)
    unit = EmotionEmbedder(precision=precision, normalize=True).transform(X)
    assert_allclose(unit, both / np.linalg.norm(both, axis=1)[:, None], rtol=1e-6)


def test_images_of_other_sizes_and_colours(faces):
    X, _ = faces
    embedder = EmotionEmbedder()
    color = np.repeat(X[..., np.newaxis], 3, axis=3)
    assert_array_equal(embedder.transform(color), embedder.transform(X))
    large, _ = make_faces(3, image_size=90, random_state=1)
    resized = resize_images(large, (48, 48))
    assert_array_equal(embedder.transform(list(large)), embedder.transform(resized))
    assert_array_equal(embedder.preprocess(X), X / np.float32(255))


def test_a_vector_depends_on_its_image_alone(faces):
    X, _ = faces
    many = np.concatenate([X] * 9)
    for precision in ("float32", "int8"):
        embedder = EmotionEmbedder(precision=precision, n_threads=2)
        expected = embedder.transform(many)
        assert_array_equal(expected[:9], embedder.transform(X))
        assert_array_equal(np.concatenate([embedder.transform(X[i : i + 1]) for i in range(9)]),
                           expected[:9])  # fmt: skip
        assert_array_equal(embedder.set_params(n_threads=1).transform(many), expected)


def test_tables(faces):
    pytest.importorskip("pandas", reason="the table is a frame of pandas")
    X, _ = faces
    frame = EmotionEmbedder().set_output(transform="pandas").fit(X).transform(X)
    assert frame.columns.tolist() == [f"emotion{i}" for i in range(256)]
    assert_array_equal(frame.to_numpy(), EmotionEmbedder().transform(X))


def test_cache(faces, passes, tmp_path):
    X, _ = faces
    for cache in ("memory", tmp_path):
        expected = EmotionEmbedder(cache=cache).transform(X)
        n_seen = sum(passes)
        assert_array_equal(EmotionEmbedder(cache=cache, n_threads=1).transform(X[::-1]),
                           expected[::-1])  # fmt: skip
        EmotionEmbedder(cache=cache, precision="int8").transform(X)  # what None is
        assert sum(passes) == n_seen
        for changed in (
            {"precision": "float32"}, {"test_time_augmentation": False},
        ):  # fmt: skip
            other = EmotionEmbedder(cache=cache, **changed).transform(X)
            assert not np.array_equal(other, expected)
    assert max(passes) == 9


def test_a_search_takes_each_face_through_the_network_once(faces, passes):
    X, y = faces
    learner = LogisticRegression()
    pipeline = make_pipeline(EmotionEmbedder(cache="memory"), learner)
    grid = {"logisticregression__C": [0.01, 1]}
    GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert sum(passes) == len(X)


def test_other_weights_are_refused(faces):
    X, _ = faces
    embedder = EmotionEmbedder(precision="float32").fit(X)
    assert embedder.image_size_ == (48, 48)
    restored = pickle.loads(pickle.dumps(embedder))
    assert_array_equal(restored.transform(X), embedder.transform(X))
    with pytest.raises(WeightsError, match=r"was fitted with weights of hash .*Call fit again"):
        embedder.set_params(precision="int8").transform(X)
    assert clone(embedder).fit(X).weights_hash_ != restored.weights_hash_


def test_wrong_parameters(faces):
    for settings, match in (
        ({"precision": "bfloat16"}, "The 'precision' parameter of EmotionEmbedder"),
        ({"test_time_augmentation": None}, "The 'test_time_augmentation' parameter"),
        ({"cache": 3}, "The 'cache' parameter"),
    ):
        with pytest.raises(ValueError, match=match):
            EmotionEmbedder(**settings).transform(faces[0])
