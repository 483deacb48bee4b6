"""FineTunedFacenetClassifier: the image contract, what it trains and what it leaves alone."""

import json
import pickle
import re
import subprocess
import sys

import joblib
import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.svm import SVC

pytest.importorskip("torch", reason="FineTunedFacenetClassifier needs torch")
pytest.importorskip("skorch", reason="FineTunedFacenetClassifier needs skorch")

import torch
from skorch.callbacks import Callback

from emotion_estimators import FacenetEmbedder, FineTunedFacenetClassifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.exceptions import InvalidImagesError, MissingDependencyError
from emotion_estimators.features import _facenet_inputs as facenet_images
from emotion_estimators.networks.facenet import layers as table
from emotion_estimators.networks.facenet import module as inception_resnet_v1
from emotion_estimators.networks.facenet.engine import random_state
from emotion_estimators.networks.facenet.fine_tuned import FineTunedFacenet
from emotion_estimators.testing import check_image_estimator, check_sklearn_estimator
from emotion_estimators.testing._behaviour_checks import check_batches, check_same_seed_same_fit
from emotion_estimators.testing._sample import make_sample
from emotion_estimators.validation import check_images

# the smallest images that the network takes
SMALL = {
    "weights": None,
    "image_size": 75,
    "device": "cpu",
    "precision": "float32",
    "validation_fraction": None,
    "n_iter_no_change": None,
    "augmentation": 0.0,
    "max_epochs": 1,
    "batch_size": 8,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def faces():
    return make_faces(16, emotions=["happy", "sad"], random_state=0)


# ---- contracts


@pytest.fixture
def tiny_network(monkeypatch):
    """Put a network of two layers in the place of FaceNet's thirty, which takes seconds to fit."""
    layers = (
        table._stem("conv2d_1a", 3, 8, 3, stride=2),
        table._block("block8", "Block8_6", 8, [[(4, 1, 1)], [(4, 1, 1), (4, 3, 3)]], scale=1.0),
    )
    for module in (table, inception_resnet_v1):
        monkeypatch.setattr(module, "LAYERS", layers)
        monkeypatch.setattr(module, "N_POOLED", 8)
    monkeypatch.setattr(facenet_images, "MIN_IMAGE_SIZE", 3)
    with joblib.parallel_config(backend="threading"):  # other processes would have the large one
        yield


@pytest.mark.usefixtures("tiny_network")
def test_image_contract():
    model = FineTunedFacenetClassifier(**SMALL | {"image_size": 8}, fine_tune_blocks=1)
    results = check_image_estimator(model, on_skip="raise")
    assert {row["status"] for row in results} == {"passed"}
    assert len(results) >= 25


@pytest.mark.usefixtures("tiny_network")
def test_scikit_learn_contract():
    settings = {"image_size": 8, "max_epochs": 10, "learning_rate": 0.1, "batch_size": 32}
    results = check_sklearn_estimator(
        FineTunedFacenetClassifier(
            **SMALL | settings, fine_tune_blocks=1, dropout=0.0, label_smoothing=0.0, ema_decay=0.5
        ),
        expected_failed_checks={
            # what weights do is tested with `EmotionCNNClassifier`
            "check_sample_weight_equivalence_on_dense_data": (
                "batches are drawn by chance, so repeated images meet others than weighted ones"
            )
        },
    )
    assert {row["status"] for row in results} == {"passed", "xfail"}
    assert len(results) >= 60


# what depends on the network itself
@pytest.mark.parametrize(
    "check",
    [check_batches, check_same_seed_same_fit],
    ids=lambda check: check.__name__,
)
def test_image_contract_of_the_whole_network(check):
    X, y = make_faces(12, emotions=["happy", "sad"], image_size=(40, 48), random_state=0)
    check(FineTunedFacenetClassifier(**SMALL, fine_tune_blocks=1), make_sample(X, y, 0.0))


@pytest.mark.usefixtures("tiny_network")
def test_missing_libraries(faces, monkeypatch):
    model = FineTunedFacenetClassifier(**SMALL | {"image_size": 8}, fine_tune_blocks=1)
    model.fit(*faces)
    calls = {"skorch": lambda: model.fit(*faces), "torch": lambda: model.predict(faces[0])}
    for missing, call in calls.items():
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(
            MissingDependencyError, match=f"FineTunedFacenetClassifier needs {missing}"
        ):
            call()


def test_a_prediction_does_not_load_skorch(faces, tmp_path):
    model = FineTunedFacenetClassifier(**SMALL, fine_tune_blocks=0).fit(*faces)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(model))
    code = (
        "import pickle, sys; import numpy as np; "
        f"model = pickle.load(open({str(path)!r}, 'rb')); "
        "model.predict(np.zeros((1, 80, 80), np.uint8)); "
        "print('torch' in sys.modules, 'skorch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


# ---- training


@pytest.mark.timeout(900)  # half a minute of one core, of which a busy machine has little
def test_learns_more_than_a_linear_classifier_on_frozen_vectors():
    settings = {"emotions": ["angry", "happy", "surprise"], "image_size": 48}
    X, y = make_faces(192, random_state=0, **settings)
    X_test, y_test = make_faces(300, random_state=1, **settings)
    embedder = FacenetEmbedder(weights=None, image_size=75, device="cpu", n_threads=1)
    vectors, test_vectors = embedder.transform(X), embedder.transform(X_test)
    frozen = max(
        SVC(kernel="linear", C=C).fit(vectors, y).score(test_vectors, y_test)
        for C in (10, 100, 1e3, 1e4)  # chosen by the test, to its advantage
    )
    tuned = FineTunedFacenetClassifier(
        **SMALL
        | {"augmentation": 0.3, "max_epochs": 8, "batch_size": 16, "ema_decay": 0.9, "dropout": 0},
        fine_tune_blocks=13,
        label_smoothing=0.0,
    ).fit(X, y)
    # 300 faces give differences of two accuracies a standard deviation of about 0.03
    assert tuned.score(X_test, y_test) > frozen + 0.03


@pytest.mark.parametrize("standardization", ["fixed", "prewhiten"])
def test_features_before_training_are_those_of_the_embedder(faces, standardization):
    X = faces[0][:3]
    embedder = FacenetEmbedder(
        weights=None,
        image_size=75,
        standardization=standardization,
        normalize=False,
        device="cpu",
        n_threads=1,
    )
    model = FineTunedFacenetClassifier(
        **SMALL, fine_tune_blocks=0, standardization=standardization
    ).fit(*faces)
    network = model.network_
    pixels = embedder.preprocess(X) if standardization == "fixed" else None
    if pixels is not None:
        unit = (pixels * 128 + 127.5) / 255  # back to 0..1
    else:
        fixed = FacenetEmbedder(weights=None, image_size=75).preprocess(X)
        unit = (fixed * 128 + 127.5) / 255
    with torch.inference_mode():
        vectors = network.features(torch.tensor(unit.transpose(0, 3, 1, 2))).numpy()
    expected = embedder.transform(X)
    # two engines in float32, one with batch normalisation folded into the weights
    assert_allclose(vectors, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("n_trained", [0, 1, 7, 23])
def test_only_the_last_blocks_change(faces, n_trained):
    model = FineTunedFacenetClassifier(**SMALL, fine_tune_blocks=n_trained).fit(*faces)
    before = random_state(0)
    changed = {
        re.match(r"(repeat_\d\.\d|\w+)", name)[0]
        for name, values in before.items()
        if not np.array_equal(values, model.weights_[f"facenet.{name}"])
    }
    blocks = [
        *(f"repeat_1.{i}" for i in range(5)),
        "mixed_6a",
        *(f"repeat_2.{i}" for i in range(10)),
        "mixed_7a",
        *(f"repeat_3.{i}" for i in range(5)),
        "block8",
    ]
    assert len(blocks) == 23  # after the seven layers that lead in
    expected = {*blocks[len(blocks) - n_trained :], "last_linear", "last_bn"}
    assert changed == (expected if n_trained else set())
    assert np.abs(model.weights_["head.weight"]).max() > 0


def test_weights_of_a_module_are_not_changed(faces):
    from emotion_estimators.networks.facenet.module import InceptionResnetV1

    module = InceptionResnetV1()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    model = FineTunedFacenetClassifier(**SMALL | {"weights": module}).fit(*faces)
    assert model.weights is module
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    name = "facenet.conv2d_1a.conv.weight"
    assert_array_equal(model.weights_[name], before[name.partition(".")[2]])


def test_dropout_and_normalisation_of_the_frozen_part_stay_off():
    network = FineTunedFacenet(2, n_trained=2, standardization="fixed", dropout=0.5).train()
    leaves = {name: part for name, part in network.named_modules() if not [*part.children()]}
    training = {name for name, part in leaves.items() if part.training}
    assert network.dropout.training
    assert not any(name.startswith(("facenet.conv2d", "facenet.repeat_1")) for name in training)
    assert any(name.startswith("facenet.repeat_3.4") for name in training)
    assert not any(name.startswith("facenet.repeat_3.3") for name in training)


def test_needs_a_fit_and_images_that_are_large_enough(faces):
    model = FineTunedFacenetClassifier(**SMALL)
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        model.predict(faces[0])
    with pytest.raises(InvalidImagesError, match="images of at least 75 x 75 px, got 74 x 74 px"):
        model.set_params(image_size=74).fit(*faces)
    with pytest.raises(ValueError, match=r"The 'fine_tune_blocks' parameter .* in the range"):
        model.set_params(fine_tune_blocks=24).fit(*faces)


def test_history_and_early_stopping(faces):
    X, y = faces
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, **_):
            seen.append(net.history[-1, "valid_accuracy"])

    model = FineTunedFacenetClassifier(
        **SMALL | {"validation_fraction": 0.25, "max_epochs": 4, "n_iter_no_change": 1},
        learning_rate=1e-9,
        fine_tune_blocks=0,
        callbacks=[Watch()],
    ).fit(X, y)
    # nothing is learned, so the second epoch is no better
    assert (model.n_iter_, model.best_epoch_) in {(2, 1), (3, 2)}
    assert seen == [row["valid_accuracy"] for row in model.history_]
    copy = pickle.loads(pickle.dumps(model.set_params(callbacks=None)))
    assert_array_equal(copy.predict_proba(X), model.predict_proba(X))


@pytest.mark.usefixtures("tiny_network")
def test_warm_start_goes_on(faces):
    settings = SMALL | {"image_size": 8, "fine_tune_blocks": 1, "warm_start": True}
    model = FineTunedFacenetClassifier(**settings).fit(*faces)
    before = model.weights_["head.weight"]
    model.set_params(learning_rate=1e-9, max_epochs=2).fit(*faces)
    assert [row["epoch"] for row in model.history_] == [1, 2, 3]
    assert (model.n_iter_, model.best_epoch_) == (2, 3)
    # a rate of 1e-9 moves weights by less than this
    assert_allclose(model.weights_["head.weight"], before, rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"another network: n_trained=1 \(now 0\)"):
        model.set_params(fine_tune_blocks=0).fit(*faces)


@pytest.mark.usefixtures("tiny_network")
@pytest.mark.parametrize("views", [False, True])
def test_test_time_augmentation(faces, views):
    X = faces[0]
    model = FineTunedFacenetClassifier(
        **SMALL | {"image_size": 8}, fine_tune_blocks=1, test_time_augmentation=views
    ).fit(*faces)
    one, mirrored = model.predict_proba(X), model.predict_proba(X[:, :, ::-1])
    # the order of the two terms is exchanged, which floats do not see
    assert (np.abs(one - mirrored).max() < 1e-15) == views


@pytest.mark.usefixtures("tiny_network")
def test_the_optimizer_gets_the_frozen_part_without_effect(faces):
    model = FineTunedFacenetClassifier(
        **SMALL | {"image_size": 8, "learning_rate": 0.01},
        fine_tune_blocks=0,
        optimizer=torch.optim.AdamW,
    ).fit(*faces)
    plain = FineTunedFacenetClassifier(**SMALL | {"image_size": 8}, fine_tune_blocks=0).fit(*faces)
    changed = {
        name
        for name, array in model.weights_.items()
        if not np.array_equal(array, plain.weights_[name])
    }
    assert changed == {"head.weight", "head.bias"}


@pytest.mark.parametrize("views", [None, True])
def test_export_onnx_equals_predict_proba(faces, tmp_path, views):
    X = faces[0][:3]
    model = FineTunedFacenetClassifier(**SMALL, fine_tune_blocks=1).fit(*faces)
    path = model.export_onnx(tmp_path / "model.onnx", test_time_augmentation=views)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images = check_images(X, image_size=75, color="rgb")
    _, pixels = next(iter(images.batches(3)))
    unit = (pixels / 255).astype(np.float32).transpose(0, 3, 1, 2)
    (got,) = session.run(None, {"images": unit})
    expected = model.set_params(test_time_augmentation=views is True).predict_proba(X)
    # the graph multiplies in float32 and folds the normalisation into the kernels
    assert_allclose(got, expected, rtol=0, atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(value) for key, value in metadata.items()} == {
        "classes": ["happy", "sad"],
        "image_size": [75, 75],
        "color": "rgb",
        "scaling": [0, 1],
    }
