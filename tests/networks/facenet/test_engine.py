"""open_face_network: every engine gives the embeddings of the reference, alone and in a batch."""

import subprocess
import sys
import threading

import numpy as np
import onnx
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from emotion_estimators.exceptions import MissingDependencyError, WeightsError
from emotion_estimators.networks.facenet import engine as face_network
from emotion_estimators.networks.facenet import layers as layers
from emotion_estimators.networks.facenet.engine import (
    MIN_IMAGE_SIZE,
    open_face_network,
    random_state,
    state_fingerprint,
)
from emotion_estimators.networks.facenet.onnx_model import inception_resnet_v1_to_onnx
from emotion_estimators.networks.pool import NetworkPool


def open_engine(state, precision="float32", n_threads=1):
    if precision == "bfloat16":
        pytest.importorskip("torch", reason="bfloat16 runs on torch")
    return open_face_network(state, fingerprint="tests", precision=precision, n_threads=n_threads)


def normalized(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def expected(facenet_pytorch, face_state, standardised):
    """Embeddings of the reference, of length 1."""
    import torch

    network = facenet_pytorch.InceptionResnetV1().eval()
    tensors = {name: torch.tensor(values) for name, values in face_state.items()}
    network.load_state_dict(tensors, strict=True)
    with torch.inference_mode():
        return network(torch.tensor(standardised)).numpy()


@pytest.mark.parametrize("n", [1, 16])
def test_float32_equals_the_reference(face_state, standardised, expected, n):
    vectors = open_engine(face_state)(standardised[:n])
    assert vectors.shape == (n, 512)
    assert vectors.dtype == np.float32
    # sums of float32 in another order, with normalisation folded into the weights
    assert_allclose(normalized(vectors), expected[:n], rtol=0, atol=1e-5)


def test_bfloat16_is_close_to_the_reference(face_state, standardised, expected):
    vectors = normalized(open_engine(face_state, "bfloat16")(standardised))
    # bfloat16 keeps 8 bits of each weight and activation
    assert (vectors * expected).sum(axis=1).min() >= 0.9999
    assert np.abs(vectors - expected).max() > 1e-5  # float32 would be closer


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_torch_equals_the_reference(face_state, standardised, expected, device):
    """In float32 torch runs on CUDA only; the CPU shows that its code is right."""
    torch = pytest.importorskip("torch", reason="this engine is torch")
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    from emotion_estimators.networks.facenet.torch_engine import TorchFaceNetwork

    network = TorchFaceNetwork(face_state, device=device, precision="float32", n_threads=1)
    # sums of float32 in another order, with normalisation folded into the weights
    assert_allclose(normalized(network(standardised[:5])), expected[:5], rtol=0, atol=1e-5)
    if device == "cuda":
        network = open_face_network(
            face_state, fingerprint="tests", device=device, precision="bfloat16"
        )
        vectors = normalized(network(standardised))
        # as on the CPU
        assert (vectors * expected).sum(axis=1).min() >= 0.9999
        assert_array_equal(normalized(network(standardised[:1])), vectors[:1])


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_face_has_one_vector(face_state, standardised, precision):
    network = open_engine(face_state, precision)
    whole = network(standardised[:9], batch_size=8)
    assert_array_equal(network(standardised[:1], batch_size=8), whole[:1])
    assert_array_equal(network(standardised[1:6], batch_size=8), whole[1:6])
    mixed = standardised[8:0:-1]
    assert_array_equal(network(mixed, batch_size=8), whole[8:0:-1])
    copies = (np.asfortranarray(standardised[:2]), standardised[:2].astype(np.float32).copy())
    for images in copies:
        assert_array_equal(network(images, batch_size=8), whole[:2])


def test_threads_and_batches_do_not_matter_on_onnx_runtime(face_state, standardised):
    one, two = (open_engine(face_state, n_threads=n) for n in (1, 2))
    expected = one(standardised[:6])
    assert_array_equal(two(standardised[:6]), expected)
    assert_array_equal(two(standardised[:6], batch_size=4), expected)


def test_torch_pads_where_single_faces_come_out_otherwise(face_state, standardised, monkeypatch):
    network = open_engine(face_state, "bfloat16")
    whole = network(standardised[:4], batch_size=4)
    sizes = []
    embed = network._embed
    monkeypatch.setattr(network, "_embed", lambda x: sizes.append(len(x)) or embed(x))
    for agree, size in ((True, 1), (False, 4)):
        monkeypatch.setattr(network, "_agreements", {(4, (160, 160)): agree})
        sizes.clear()
        result = network(standardised[:1], batch_size=4)
        assert sizes == [size]
    assert_array_equal(result, whole[:1])


def test_single_faces_are_compared_with_a_batch(face_state, standardised, monkeypatch):
    network = open_engine(face_state, "bfloat16")
    embed = network._embed
    monkeypatch.setattr(network, "_agreements", {})
    monkeypatch.setattr(network, "_embed", lambda x: embed(x) + 1e-6 * len(x))
    network(standardised[:1, :, :80, :80], batch_size=4)
    assert network._agreements == {(4, (80, 80)): False}


def test_no_faces(face_state):
    none = np.empty((0, 3, 160, 160), np.float32)
    for precision in ("float32", "bfloat16"):
        vectors = open_engine(face_state, precision)(none)
        assert vectors.shape == (0, 512)
        assert vectors.dtype == np.float32


def test_smallest_images(face_state, standardised):
    smallest = standardised[:1, :, :MIN_IMAGE_SIZE, :MIN_IMAGE_SIZE]
    vectors = {p: normalized(open_engine(face_state, p)(smallest)) for p in ("float32", "bfloat16")}
    # as above
    assert (vectors["float32"] * vectors["bfloat16"]).sum() >= 0.9999


def test_networks_are_opened_once(monkeypatch):
    monkeypatch.setattr(face_network, "pool", NetworkPool(max_bytes=2**29))
    monkeypatch.setattr(face_network, "_OnnxFaceNetwork", lambda *_: object())
    n_read = []

    def read():
        n_read.append(1)
        return {}

    first = open_face_network(read, fingerprint="a")
    networks = []
    threads = [
        threading.Thread(target=lambda: networks.append(open_face_network(read, fingerprint="a")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert networks == [first] * 4
    assert len(n_read) == 1
    assert open_face_network({}, fingerprint="b") is not first
    assert open_face_network({}, fingerprint="a", n_threads=2) is not first
    assert open_face_network(read, fingerprint="a") is not first  # of three, two are kept
    assert len(n_read) == 2


def test_precision_by_another_name(face_state):
    with pytest.raises(ValueError, match=r"Test expected precision to be .*, got 'float16'"):
        open_face_network(face_state, fingerprint="x", precision="float16", needed_by="Test")


def test_bfloat16_without_torch(face_state, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingDependencyError,
        match=r"Test with device='cpu' and precision='bfloat16' needs torch\. Install it with",
    ):
        open_face_network(face_state, fingerprint="y", precision="bfloat16", needed_by="Test")


def test_float32_needs_no_torch():
    code = (
        "import sys\nsys.modules['torch'] = None\nimport numpy as np\n"
        "from emotion_estimators.networks.facenet.engine import open_face_network, random_state\n"
        "network = open_face_network(random_state(0), fingerprint='x')\n"
        "print(network(np.zeros((2, 3, 80, 80), np.float32)).shape)"
    )
    process = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert process.stdout.strip() == b"(2, 512)"


def test_torch_keeps_its_number_of_threads(face_state, standardised):
    torch = pytest.importorskip("torch", reason="bfloat16 runs on torch")
    network = open_engine(face_state, "bfloat16", n_threads=torch.get_num_threads() + 1)
    before = torch.get_num_threads()
    network(standardised[:1, :, :80, :80], batch_size=1)
    assert torch.get_num_threads() == before


def test_the_onnx_model_is_valid(face_state):
    model = onnx.load_from_string(inception_resnet_v1_to_onnx(face_state))
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} == {
        "Conv", "Relu", "MaxPool", "Concat", "Add", "GlobalAveragePool", "Flatten", "Identity"
    }  # fmt: skip


def test_random_state():
    state, again, other = random_state(0), random_state(0), random_state(1)
    assert list(state) == list(layers.state_shapes())
    for name, values in state.items():
        assert values.dtype == np.float32
        assert_array_equal(values, again[name])
    assert not np.array_equal(state["last_linear.weight"], other["last_linear.weight"])
    assert state_fingerprint(state) == state_fingerprint(again)
    assert state_fingerprint(dict(reversed(state.items()))) == state_fingerprint(state)
    assert state_fingerprint(state) != state_fingerprint(other)
    state["last_bn.bias"][0] += 1
    assert state_fingerprint(state) != state_fingerprint(again)


def test_random_weights_tell_images_apart(face_state, standardised):
    vectors = normalized(open_engine(face_state)(standardised[:8]))
    similarity = vectors @ vectors.T
    assert similarity[~np.eye(8, dtype=bool)].max() < 0.999


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"block8.conv2d.bias": None}, r"1 missing \(block8.conv2d.bias\), none unexpected"),
        ({"layer1.weight": np.zeros(3)}, r"none missing, 1 unexpected \(layer1.weight\)"),
        ({"last_linear.weight": np.zeros((128, 1792))}, r"last_linear.weight of shape \(512, 179"),
        ({"last_bn.bias": np.full(512, np.nan)}, "last_bn.bias to hold finite numbers, got NaN"),
        ({"last_bn.bias": np.full(512, "a")}, "last_bn.bias to hold finite numbers, got <U1"),
        ({"last_bn.running_var": np.full(512, -1.0)}, "is a variance, and holds negative"),
        ({"logits.weights": np.zeros(3)}, "1 unexpected"),
        ({"conv.num_batches_tracked": np.zeros(())}, "1 unexpected"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_state_dicts_of_another_network(face_state, change, match):
    state = {name: v for name, v in {**face_state, **change}.items() if v is not None}
    with pytest.raises(WeightsError, match=match):
        open_face_network(state, fingerprint="of another network")


def test_what_a_prediction_does_not_need_may_be_there(face_state):
    extra = {
        "logits.weight": np.zeros((9, 512)),
        "logits.bias": np.zeros(9),
        "last_bn.num_batches_tracked": np.zeros((), np.int64),
    }
    checked = layers.check_state({**face_state, **extra}, "test")
    assert list(checked) == list(face_state)
    double = {name: values.astype(np.float64) for name, values in face_state.items()}
    assert all(values.dtype == np.float32 for values in layers.check_state(double, "t").values())
