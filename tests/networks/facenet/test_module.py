"""InceptionResnetV1 against the module of facenet-pytorch: same names, same embeddings."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("torch", reason="the network is a torch module")
import torch

from emotion_estimators.networks.facenet.engine import MIN_IMAGE_SIZE
from emotion_estimators.networks.facenet.layers import state_shapes
from emotion_estimators.networks.facenet.module import InceptionResnetV1


def load(network, state, **more):
    """Load strictly; torch itself excuses counters, which are no weights."""
    tensors = {name: torch.tensor(values) for name, values in {**state, **more}.items()}
    network.load_state_dict(tensors, strict=True)
    return network.eval()


def run(network, images):
    with torch.inference_mode():
        return network(torch.tensor(images)).numpy()


@pytest.fixture(scope="module")
def network(face_state):
    return load(InceptionResnetV1(), face_state)


@pytest.fixture(scope="module")
def reference(facenet_pytorch, face_state):
    return load(facenet_pytorch.InceptionResnetV1(), face_state)


def test_names_and_shapes_are_those_of_the_reference(facenet_pytorch):
    ours, theirs = InceptionResnetV1(), facenet_pytorch.InceptionResnetV1()
    shapes = {name: tuple(values.shape) for name, values in theirs.state_dict().items()}
    assert {name: tuple(values.shape) for name, values in ours.state_dict().items()} == shapes
    assert list(ours.state_dict()) == list(shapes)
    counters = {name for name in shapes if name.endswith("num_batches_tracked")}
    assert state_shapes() == {name: shapes[name] for name in shapes if name not in counters}


def test_embeddings_are_those_of_the_reference(network, reference, standardised):
    some = standardised[6:10]  # of both kinds
    # The same sums of float32, perhaps in another order; each vector has length 1.
    assert_allclose(run(network, some), run(reference, some), rtol=0, atol=1e-5)


def test_other_sizes_of_images(network, reference, standardised):
    for height, width in ((MIN_IMAGE_SIZE, MIN_IMAGE_SIZE), (90, 131)):
        images = standardised[:2, :, :height, :width]
        # as above
        assert_allclose(run(network, images), run(reference, images), rtol=0, atol=1e-5)
    with pytest.raises(RuntimeError, match="size"):
        run(network, standardised[:1, :, :MIN_IMAGE_SIZE, : MIN_IMAGE_SIZE - 1])


def test_blocks_are_the_network_up_to_the_pooling(network, standardised):
    blocks = network.blocks()
    assert len(blocks) == 30
    with torch.inference_mode():
        maps = torch.nn.Sequential(*blocks)(torch.tensor(standardised[:2]))
        assert maps.shape == (2, 1792, 3, 3)
        vectors = network.last_bn(network.last_linear(maps.mean(dim=(2, 3))))
        vectors = torch.nn.functional.normalize(vectors, dim=1).numpy()
    # the same operations once more
    assert_allclose(vectors, run(network, standardised[:2]), rtol=0, atol=1e-6)
    names = {id(module): name for name, module in network.named_modules()}
    assert names[id(blocks[0])] == "conv2d_1a"
    assert names[id(blocks[-1])] == "block8"


def test_trains_as_the_reference_does(facenet_pytorch, face_state, standardised):
    images = torch.tensor(standardised[:2, :, :80, :80])
    gradients = []
    for make in (InceptionResnetV1, facenet_pytorch.InceptionResnetV1):
        network = load(make(), face_state).train()
        for module in network.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm | torch.nn.Dropout):
                module.eval()  # two images are no statistics
        network(images)[:, 0].sum().backward()
        gradients.append({name: p.grad for name, p in network.named_parameters()})
    ours, theirs = gradients
    for name in ("conv2d_1a.conv.weight", "repeat_1.2.branch1.1.conv.weight", "block8.conv2d.bias"):
        expected = theirs[name].numpy()
        assert np.abs(expected).max() > 0
        # sums of many terms of float32, compared by the largest of them
        assert_allclose(ours[name].numpy(), expected, rtol=0, atol=1e-4 * np.abs(expected).max())
