"""The cards of FaceNet weights, end to end: fetched, hashed, read, run."""

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from emotion_estimators.exceptions import ImageReadError, WeightsError
from emotion_estimators.features import FacenetEmbedder
from emotion_estimators.networks.facenet.engine import open_face_network, random_state
from emotion_estimators.networks.facenet.weights import FACE_SUFFIXES, read_face_weights
from emotion_estimators.weights import fetch_weights, get_card, list_cards, registry

NAMES = ("vggface2", "keras-facenet-vggface2", "keras-facenet-casia-webface")


@pytest.fixture(scope="module")
def state():
    """Random weights, without scales, which keras-facenet has not."""
    state = random_state(4)
    for name, values in state.items():
        if values.ndim == 1 and name.endswith(".weight"):
            values.fill(1)
    return state


@pytest.fixture(scope="module")
def torch_body(state):
    """The bytes of a file such as facenet-pytorch publishes, of random weights."""
    torch = pytest.importorskip("torch", reason="torch writes the file")
    from emotion_estimators.networks.facenet.module import InceptionResnetV1

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = InceptionResnetV1()
        network.logits = torch.nn.Linear(512, 8631)
        tensors = network.state_dict()
    tensors.update({name: torch.from_numpy(values) for name, values in state.items()})
    stream = io.BytesIO()
    torch.save(tensors, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


@pytest.fixture(scope="module")
def keras_body(state, keras_layout, tmp_path_factory):
    """The bytes of a file such as keras-facenet publishes, of random weights."""
    path = tmp_path_factory.mktemp("keras") / "weights.h5"
    return keras_layout.write(path, keras_layout.arrays(state)).read_bytes()


def serve(server, monkeypatch, name, body):
    card = replace(
        get_card(name), url=server.url, sha256=hashlib.sha256(body).hexdigest(), size=len(body)
    )
    monkeypatch.setattr(registry, "_CARDS", (card,))
    server.answers = [(200, body)]
    return card


def test_cards_of_face_networks():
    cards = list_cards("face embedding")
    assert tuple(card.name for card in cards) == NAMES
    for card in cards:
        assert card.file_name.endswith(FACE_SUFFIXES)
        assert card.url.endswith(card.file_name)
        assert card.image_size == (160, 160)
        assert card.color == "rgb"
        # black and white by (x - 127.5) / 128
        assert card.scaling == ((0 - 127.5) / 128, (255 - 127.5) / 128)
        # as facenet-pytorch's README lists them
        is_casia = "20180408-102900" in card.file_name
        assert card.published_accuracy == (0.9905 if is_casia else 0.9965)
        assert card.file_name[:15] in card.published_source
        assert ("CASIA" if is_casia else "VGGFace2") in card.training_data
        assert "MIT" in card.licence
    assert get_card("vggface2").size == 111_898_327


@pytest.mark.parametrize(
    ("name", "body"),
    [(NAMES[0], "torch_body"), (NAMES[1], "keras_body"), (NAMES[2], "keras_body")],
)
def test_from_server_to_embeddings(name, body, state, http_server, cache, monkeypatch, request):
    card = serve(http_server, monkeypatch, name, request.getfixturevalue(body))
    path = fetch_weights(name)
    assert path == cache / card.file_name
    read = read_face_weights(path)
    assert set(read) == set(state)
    for weight, values in state.items():
        assert_array_equal(read[weight], values)
    images = np.random.default_rng(0).normal(size=(2, 3, 80, 80)).astype(np.float32)
    network = open_face_network(lambda: read_face_weights(path), fingerprint=card.sha256)
    assert_array_equal(network(images), open_face_network(state, fingerprint="given")(images))
    assert fetch_weights(name) == path
    assert http_server.n_requests == 1


def test_the_published_size_is_that_of_the_network(torch_body):
    # What differs are the names of storages, which are addresses in memory, and of the device.
    assert len(torch_body) == pytest.approx(111_898_327, rel=2e-4)


def test_another_file_at_the_address(torch_body, http_server, cache, monkeypatch):
    card = serve(http_server, monkeypatch, "vggface2", torch_body)
    damaged = bytearray(torch_body)
    damaged[len(damaged) // 2] ^= 1
    http_server.answers = [(200, bytes(damaged))]
    with pytest.raises(WeightsError, match=rf"'vggface2': .* has SHA-256 .*{card.sha256}"):
        fetch_weights("vggface2")
    assert list(cache.iterdir()) == []


def test_a_misspelt_name():
    with pytest.raises(ValueError, match=rf"\({', '.join(NAMES)}\), got 'vgface2'"):
        get_card("vgface2", task="face embedding")


def test_images_are_checked_before_a_download(http_server, cache_home, monkeypatch):
    card = serve(http_server, monkeypatch, "vggface2", b"never asked for")
    embedder = FacenetEmbedder(weights=card.name)
    for use in (embedder.fit, embedder.transform):
        with pytest.raises(ImageReadError, match=r"none\.png"):
            use(["none.png"])
    assert http_server.n_requests == 0
    assert not cache_home.exists()
