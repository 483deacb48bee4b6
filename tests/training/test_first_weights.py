"""What a file tells a training: the network of the file, exactly, in a form that can learn."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("torch", reason="weights of networks of torch")

import torch

from emotion_estimators.classifiers import PretrainedEmotionClassifier
from emotion_estimators.datasets import make_faces
from emotion_estimators.labels import EMOTIONS
from emotion_estimators.networks.emotion import EMOTION_NETWORKS, EmotionCNN
from emotion_estimators.networks.layers import ConvBlock
from emotion_estimators.training.first_weights import find_first_weights
from emotion_estimators.training.inference import class_probabilities, restore_network


def restored(pixels, classes=EMOTIONS):
    architecture = {"n_classes": len(classes), "has_votes": True, **EMOTION_NETWORKS["large"]}
    found = find_first_weights("test", "embedded")
    weights = found.fit_for(architecture, np.array(classes), pixels)
    return restore_network(lambda: EmotionCNN(**architecture), weights)


def test_it_answers_as_the_file():
    X, _ = make_faces(40, image_size=48, random_state=0)
    network = restored(X)
    for head, output in (("head", "labels"), ("votes", "votes")):
        found = class_probabilities(network, X[:32], batch_size=32, mirrored=False, head=head)
        expected = PretrainedEmotionClassifier(
            output=output, precision="float32", test_time_augmentation=False
        ).predict_proba(X[:32])
        assert_allclose(found, expected, rtol=0, atol=1e-5)  # float32


def test_batches_are_normalised_as_the_file_does():
    X, _ = make_faces(64, image_size=48, random_state=0)
    network = restored(X)
    x = torch.from_numpy(X[:, None]).float() / 255
    with torch.inference_mode():
        expected = network.features(x)
        for module in network.modules():
            if isinstance(module, ConvBlock):
                module.norm.train()  # statistics of this batch, which are those of the images
        assert_allclose(network.features(x), expected, rtol=0, atol=1e-3)


def test_other_classes_begin_undecided():
    X, _ = make_faces(8, image_size=48, random_state=0)
    network = restored(X, classes=["a", "b", "c"])
    found = class_probabilities(network, X, batch_size=8, mirrored=False, head="votes")
    assert_allclose(found, 1 / 3)


def test_weights_in_a_second_file_are_part_of_the_hash(tmp_path):
    onnx = pytest.importorskip("onnx", reason="writes the weights into a second file")
    from emotion_estimators.weights import fetch_weights

    path, data = tmp_path / "net.onnx", tmp_path / "net.onnx.data"
    model = onnx.load(fetch_weights("embedded", precision="float32"))
    network = {"key": "network", "value": json.dumps(EMOTION_NETWORKS["large"])}
    model.metadata_props.add(**network)
    onnx.save(model, path, save_as_external_data=True, location=data.name)
    first = find_first_weights("test", path)
    content = bytearray(data.read_bytes())
    content[-1] ^= 1
    data.write_bytes(content)
    assert find_first_weights("test", path).hash != first.hash
