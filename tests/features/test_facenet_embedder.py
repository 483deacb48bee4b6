"""FacenetEmbedder: both conformance suites, its numbers, the cache in searches, what it loads."""

import json
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from emotion_estimators import FacenetEmbedder
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import (
    ImageReadError,
    InvalidImagesError,
    MissingDependencyError,
    WeightsError,
)
from emotion_estimators.features import _cache, facenet_embedder
from emotion_estimators.images import resize_images
from emotion_estimators.networks.facenet.engine import open_face_network, random_state
from emotion_estimators.testing import check_image_estimator, check_sklearn_estimator
from emotion_estimators.testing._behaviour_checks import check_batches
from emotion_estimators.testing._sample import make_sample

# the smallest images that the network takes, since the cost grows with their area
SMALL = {"weights": None, "image_size": 75, "device": "cpu", "n_threads": 1}
# for the suites, which embed the same few images hundreds of times
CACHED = SMALL | {"cache": "memory"}


@pytest.fixture(scope="module")
def faces():
    return make_faces(6, emotions=["happy", "sad"], color="rgb", random_state=0)


@pytest.fixture
def passes(monkeypatch):
    """Count the images of each call of the network."""
    counts = []
    opening = facenet_embedder.open_face_network

    def open_counted(*args, **kwargs):
        network = opening(*args, **kwargs)

        def embed(images, *, batch_size):
            counts.append(len(images))
            return network(images, batch_size=batch_size)

        return embed

    monkeypatch.setattr(facenet_embedder, "open_face_network", open_counted)
    monkeypatch.setattr(_cache, "_of_this_process", _cache.MemoryCache(2**26))
    return counts


# ---- contracts


def test_image_contract():
    results = check_image_estimator(FacenetEmbedder(**CACHED), on_skip="raise")
    assert {row["status"] for row in results} == {"passed"}


def test_batches_without_a_cache():
    # the cache would answer for the network
    X, y = make_faces(12, image_size=40, random_state=0)
    embedder = FacenetEmbedder(**SMALL, batch_size=5)
    check_batches(embedder, make_sample(X, y, 0.0))


def test_scikit_learn_contract():
    results = check_sklearn_estimator(FacenetEmbedder(**CACHED))
    assert {row["status"] for row in results} == {"passed"}
    assert len(results) >= 45


# ---- numbers


def test_transform_is_the_network_on_standardised_faces(faces):
    X, _ = faces
    network = open_face_network(random_state(0), fingerprint="random 0")
    resized = resize_images(X, (75, 80), channels=True).astype(np.float64)
    expected = network(((resized - 127.5) / 128).transpose(0, 3, 1, 2).astype(np.float32))
    embedder = FacenetEmbedder(**SMALL | {"image_size": (75, 80)})
    plain = embedder.set_params(normalize=False).transform(X)
    assert plain.dtype == np.float32
    # both are float32, of pixels that differ in the last bit at most
    assert_allclose(plain, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    unit = embedder.set_params(normalize=True).transform(X)
    # one division in float32
    assert_allclose(unit, plain / np.linalg.norm(plain, axis=1)[:, None], rtol=1e-6, atol=1e-7)


def test_preprocess(faces):
    X, _ = faces
    embedder = FacenetEmbedder(**SMALL)
    resized = resize_images(X, (75, 75), channels=True)
    fixed = embedder.preprocess(X)
    assert fixed.dtype == np.float32
    assert_array_equal(fixed, (resized - np.float32(127.5)) / 128)
    grey = embedder.preprocess(X[..., 0])
    assert_array_equal(grey, np.repeat(fixed[..., :1], 3, axis=3))
    floats = embedder.preprocess(resized / 255)
    # a float in 0..1 is rounded to float32 once more
    assert_allclose(floats, fixed, rtol=0, atol=1e-6)
    whitened = embedder.set_params(standardization="prewhiten").preprocess(X)
    for image, got in zip(resized.astype(np.float64), whitened, strict=True):
        # float64 rounded to float32
        assert_allclose(got, (image - image.mean()) / image.std(), rtol=0, atol=1e-6)
    even = embedder.preprocess(np.full((1, 75, 75), 7, np.uint8))
    assert_array_equal(even, np.zeros((1, 75, 75, 3)))


def test_threads_and_paths_ahead_change_nothing(tmp_path):
    X, _ = make_faces(11, image_size=90, random_state=1)
    paths = [tmp_path / f"{i}.png" for i in range(11)]
    for image, path in zip(X, paths, strict=True):
        Image.fromarray(image).save(path)
    settings = SMALL | {"batch_size": 1}  # so that several batches are decoded
    expected = FacenetEmbedder(**settings).transform(X)
    for n_threads in (1, 2, 3):
        embedder = FacenetEmbedder(**settings | {"n_threads": n_threads})
        assert_array_equal(embedder.transform(paths), expected)
    paths[7].write_bytes(paths[7].read_bytes()[:400])
    with pytest.raises(ImageReadError, match=r"(?s)cannot use 1 of 11 images:.*row 7 .*7\.png"):
        embedder.transform(paths)


def test_bfloat16_is_near(faces):
    pytest.importorskip("torch", reason="bfloat16 runs on torch")
    X = faces[0][:2]
    exact = FacenetEmbedder(**SMALL).transform(X)
    near = FacenetEmbedder(**SMALL | {"precision": "bfloat16", "batch_size": 2}).transform(X)
    similarity = (exact * near).sum(axis=1)
    # bfloat16 keeps 8 bits of each number
    assert (similarity > 0.9999).all()
    assert not np.array_equal(exact, near)


def test_images_of_any_size_as_they_are(faces):
    X, _ = make_faces(2, image_size=(76, 90), color="rgb", random_state=0)
    as_they_are = FacenetEmbedder(**SMALL | {"image_size": None}).fit(X)
    assert as_they_are.image_size_ == (76, 90)
    resized = FacenetEmbedder(**SMALL | {"image_size": (76, 90)})
    np.testing.assert_array_equal(as_they_are.transform(X), resized.transform(X))
    with pytest.raises(InvalidImagesError, match="images of at least 75 x 75 px, got 48 x 48"):
        as_they_are.fit(faces[0])


def test_feature_names():
    names = FacenetEmbedder().get_feature_names_out()
    assert len(names) == 512
    assert names[0] == "facenet0"
    assert names[-1] == "facenet511"


# ---- the cache


def in_search(cache, n_jobs, faces):
    pipeline = make_pipeline(FacenetEmbedder(**SMALL, cache=cache), RidgeClassifier())
    alphas = {"ridgeclassifier__alpha": np.logspace(-3, 3, 10)}
    return GridSearchCV(pipeline, alphas, cv=5, n_jobs=n_jobs, error_score="raise").fit(*faces)


@pytest.mark.parametrize("kind", ["memory", "folder"])
def test_a_search_embeds_each_image_once(passes, tmp_path, kind):
    X, y = make_faces(20, emotions=["happy", "sad"], random_state=0)
    X[13] = X[4]  # 19 distinct images
    cache = "memory" if kind == "memory" else tmp_path / "cache"
    search = in_search(cache, 1, (X, y))
    assert len(search.cv_results_["params"]) == 10
    assert sum(passes) == 19
    # other vectors are other entries, but their length is not
    embedder = search.best_estimator_[0]
    clone(embedder).set_params(normalize=False).fit_transform(X)
    assert sum(passes) == 19
    clone(embedder).set_params(precision="float32").transform(X)  # that of the weights
    assert sum(passes) == 19
    clone(embedder).set_params(standardization="prewhiten").transform(X)
    assert sum(passes) == 38


class CountingEmbedder(FacenetEmbedder):
    """Write down, for all processes, how many images go through the network."""

    log = None

    def __init__(
        self, *, log=None, weights=None, image_size=75, device="cpu", n_threads=1, cache=None
    ):
        super().__init__(
            weights=weights,
            image_size=image_size,
            device=device,
            n_threads=n_threads,
            cache=cache,
        )
        self.log = log

    def transform(self, X):
        opening = facenet_embedder.open_face_network

        def open_counted(*args, **kwargs):
            network = opening(*args, **kwargs)

            def embed(images, *, batch_size):
                with open(self.log, "a") as file:  # noqa: PTH123 - appends of one line are whole
                    file.write(f"{len(images)}\n")
                return network(images, batch_size=batch_size)

            return embed

        facenet_embedder.open_face_network = open_counted
        try:
            return super().transform(X)
        finally:
            facenet_embedder.open_face_network = opening


CountingEmbedder._parameter_constraints = FacenetEmbedder._parameter_constraints | {
    "log": "no_validation"
}


def embed_elsewhere(log, folder, X):
    CountingEmbedder(log=log, cache=folder).transform(X)


def test_processes_share_a_folder(tmp_path):
    X, y = make_faces(16, emotions=["happy", "sad"], random_state=0)
    log = tmp_path / "log"
    log.touch()
    pipeline = make_pipeline(CountingEmbedder(log=log, cache=tmp_path / "cache"), RidgeClassifier())
    alphas = {"ridgeclassifier__alpha": np.logspace(-3, 3, 10)}
    GridSearchCV(pipeline, alphas, cv=5, n_jobs=2, error_score="raise").fit(X, y)
    n_embedded = sum(map(int, log.read_text().split()))
    # both processes may come to an image before the other has stored it
    assert 16 <= n_embedded <= 32
    process = multiprocessing.get_context("spawn").Process(
        target=embed_elsewhere, args=(log, tmp_path / "cache", X)
    )
    process.start()
    process.join()
    assert process.exitcode == 0
    assert sum(map(int, log.read_text().split())) == n_embedded
    embed_elsewhere(log, tmp_path / "another cache", X)  # the counter counts
    assert sum(map(int, log.read_text().split())) == n_embedded + 16


# ---- weights


@pytest.fixture(scope="module")
def module():
    pytest.importorskip("torch", reason="a module is of torch")
    import torch

    from emotion_estimators.networks.facenet.module import InceptionResnetV1

    network = InceptionResnetV1().eval()
    network.logits = torch.nn.Linear(512, 3)  # as facenet-pytorch's modules may have
    state = {name: torch.tensor(values) for name, values in random_state(7).items()}
    network.load_state_dict(state, strict=False)
    return network


def test_weights_of_a_module_and_of_a_file(faces, module, tmp_path):
    import torch

    X = faces[0][:2]
    torch.save(module.state_dict(), tmp_path / "weights.pt")
    embedder = FacenetEmbedder(**SMALL | {"weights": module})
    vectors = embedder.fit_transform(X)
    of_file = FacenetEmbedder(**SMALL | {"weights": tmp_path / "weights.pt"})
    assert_array_equal(of_file.transform(X), vectors)
    with torch.inference_mode():
        expected = module(torch.tensor(embedder.preprocess(X).transpose(0, 3, 1, 2))).numpy()
    # batch normalisation is folded into the weights, in float32
    assert_allclose(vectors, expected, rtol=0, atol=1e-5)
    wrapped = torch.nn.DataParallel(module)
    torch.save(wrapped.state_dict(), tmp_path / "wrapped.pt")
    for weights in (wrapped, tmp_path / "wrapped.pt"):
        other = FacenetEmbedder(**SMALL | {"weights": weights})
        assert_array_equal(other.transform(X), vectors)
    # a module is carried whole, a file by its name
    copy = pickle.loads(pickle.dumps(embedder))
    assert_array_equal(copy.transform(X), vectors)
    assert len(pickle.dumps(embedder)) > 9e7 > 1e4 > len(pickle.dumps(of_file.fit(X)))
    with torch.no_grad():
        copy.weights.last_linear.weight[0] += 1
    with pytest.raises(
        WeightsError,
        match=r"was fitted with weights of hash \w+; its weights now have \w+\. Call fit",
    ):
        copy.transform(X)


def test_facenet_pytorchs_own_module(faces, facenet_pytorch):
    import torch

    network = facenet_pytorch.InceptionResnetV1(classify=False).eval()
    X = faces[0][:2]
    embedder = FacenetEmbedder(**SMALL | {"weights": network})
    with torch.inference_mode():
        expected = network(torch.tensor(embedder.preprocess(X).transpose(0, 3, 1, 2))).numpy()
    # batch normalisation is folded into the weights, in float32
    assert_allclose(embedder.transform(X), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        ("vggface", ValueError, r"weights to be 'vggface2', .*, got 'vggface'"),
        ("nowhere.pt", FileNotFoundError, r"'vggface2'.*there is no file nowhere\.pt"),
        (".", ValueError, r"\. is a folder"),
        ("model_v6_23", ValueError, "got 'model_v6_23'"),
    ],
)
def test_weights_that_are_none(weights, error, message):
    X = np.zeros((1, 80, 80), np.uint8)
    embedder = FacenetEmbedder(weights=weights)
    for method in (embedder.fit, embedder.transform):
        with pytest.raises(error, match=f"(?s)FacenetEmbedder .*{message}"):
            method(X)


def test_weights_of_another_network():
    torch = pytest.importorskip("torch", reason="a module is of torch")
    with pytest.raises(WeightsError, match="expected the state dict of an InceptionResnetV1"):
        FacenetEmbedder(weights=torch.nn.Linear(2, 2)).fit(np.zeros((1, 80, 80), np.uint8))


@pytest.mark.parametrize("image_size", [74, (160, 74)])
def test_images_too_small(image_size):
    embedder = FacenetEmbedder(**SMALL | {"image_size": image_size})
    with pytest.raises(InvalidImagesError, match="images of at least 75 x 75 px, got "):
        embedder.transform(np.zeros((1, 80, 80), np.uint8))


def test_devices_that_are_none(monkeypatch):
    X = np.zeros((1, 80, 80), np.uint8)
    pytest.importorskip("torch", reason="the message lists what torch finds")
    with pytest.raises(ValueError, match="expected device to be 'auto', 'cpu' or a CUDA device"):
        FacenetEmbedder(weights=None, device="gpu").fit(X)
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "emotion_estimators.training.device", raising=False)
    with pytest.raises(MissingDependencyError, match=r"device='cuda' needs torch\. Install it"):
        FacenetEmbedder(weights=None, device="cuda").fit(X)


# ---- what is loaded, when


def test_torch_is_not_loaded_and_networks_are_shared():
    code = """
import json, pickle, sys
import numpy as np
from sklearn.base import clone
from emotion_estimators import FacenetEmbedder
from emotion_estimators.networks.pool import pool
embedder = FacenetEmbedder(weights=None, image_size=75, device="cpu", n_threads=1)
heavy = {"torch", "onnxruntime", "onnx", "h5py", "tqdm"}
after_init = sorted(heavy & set(sys.modules))
X = np.zeros((2, 80, 80), np.uint8)
for one in (embedder, clone(embedder), pickle.loads(pickle.dumps(embedder.fit(X)))):
    one.transform(X)
print(json.dumps([after_init, "torch" in sys.modules, len(pool._shared)]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], False, 1]


def test_a_fit_holds_no_weights(faces):
    embedder = FacenetEmbedder(**SMALL).fit(faces[0])
    embedder.transform(faces[0])
    assert set(vars(embedder)) == {
        *embedder.get_params(), "image_size_", "weights_hash_"
    }  # fmt: skip
    assert len(pickle.dumps(embedder)) < 2000


def test_verbose_shows_a_bar(faces, capsys):
    FacenetEmbedder(**SMALL, verbose=1).transform(faces[0])
    assert "FacenetEmbedder: 100%" in capsys.readouterr().err
    FacenetEmbedder(**SMALL).transform(faces[0])
    assert capsys.readouterr() == ("", "")
