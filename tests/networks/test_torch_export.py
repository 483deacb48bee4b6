"""export_with_torch: a user's network gives on ONNX Runtime what it gives in torch."""

import logging
import sys
import warnings

import numpy as np
import onnxruntime
import pytest
from numpy.testing import assert_allclose

pytest.importorskip("torch", reason="the networks are torch modules")
import torch
from torch import nn

from emotion_estimators.exceptions import MissingDependencyError
from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.networks.torch_export import export_with_torch


class Own(nn.Module):
    """What none of our networks has: GELU, a layer norm, grouped convolutions, attention."""

    def __init__(self, n_channels, n_classes):
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(n_channels, 16, 3, padding=1), nn.GELU(), nn.Conv2d(16, 16, 3, 2, groups=4)
        )
        self.norm = nn.LayerNorm(16)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(16, n_classes))

    def forward(self, x):
        tokens = self.norm(self.maps(x).flatten(2).transpose(1, 2))  # (n, h * w, 16)
        tokens, _ = self.attention(tokens, tokens, tokens)
        return self.head(tokens.mean(dim=1))


def network(n_channels=1, n_classes=3, kind=Own):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind(n_channels, n_classes)


@pytest.fixture
def exporter():
    pytest.importorskip("onnx", reason="torch.onnx.export needs onnx")
    pytest.importorskip("onnxscript", reason="torch.onnx.export needs onnxscript")


def run(model, x):
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"images": x.numpy()})
    return probabilities


@pytest.mark.usefixtures("exporter")
@pytest.mark.parametrize(
    ("shape", "n_classes", "activation", "mirrored"),
    [
        ((1, 8, 8), 1, "softmax", False),
        ((1, 33, 48), 7, "softmax", True),
        ((3, 8, 9), 2, "sigmoid", True),
    ],
)
def test_equals_torch(shape, n_classes, activation, mirrored):
    own = network(shape[0], n_classes)
    model = export_with_torch(
        own, shape, activation=activation, mirrored=mirrored, needed_by="A test"
    )
    assert own.training  # and its dropout is none of the export's
    act = torch.sigmoid if activation == "sigmoid" else lambda x: torch.softmax(x, dim=1)
    x = torch.rand(5, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        own.eval()
        wanted = (act(own(x)) + act(own(x.flip(3)))) / 2 if mirrored else act(own(x))
    for n in (1, 5):
        # float32 on both sides
        assert_allclose(run(model, x[:n]), wanted[:n].numpy(), rtol=0, atol=1e-5)


@pytest.mark.usefixtures("exporter")
def test_interface_and_what_is_left_of_torch():
    def state():
        logger = logging.getLogger("torch.onnx")
        return (
            list(warnings.filters),
            logger.level,
            torch.get_default_dtype(),
            torch.get_rng_state(),
        )

    before = state()
    own = network()
    model = export_with_torch(
        own, (1, 12, 15), stored="float16", metadata={"answer": "42"}, needed_by="A test"
    )
    for now, then in zip(state(), before, strict=True):
        assert now == then if not isinstance(then, torch.Tensor) else torch.equal(now, then)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (images,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == (
        "images", "tensor(float)", ["n", 1, 12, 15]
    )  # fmt: skip
    assert (probabilities.name, probabilities.shape) == ("probabilities", ["n", 3])
    assert session.get_modelmeta().custom_metadata_map == {"answer": "42"}
    assert b"test_torch_export" not in model  # no trace of whose file it was
    x = torch.rand(5, 1, 12, 15, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        wanted = torch.softmax(own.eval()(x), dim=1).numpy()
    given = run(model, x)
    # float16 keeps 11 bits of each weight
    assert_allclose(given, wanted, rtol=0, atol=0.01)
    assert np.abs(given - wanted).max() > 1e-6


@pytest.mark.usefixtures("exporter")
def test_stored_in_half_the_bytes():
    def large(*_):
        return nn.Sequential(nn.Flatten(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2))

    full, half = (
        export_with_torch(network(kind=large), (1, 16, 16), stored=stored, needed_by="A test")
        for stored in ("float32", "float16")
    )
    assert len(half) < 0.55 * len(full)


class Undecided(nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3)) if x.sum() > 0 else x.amax(dim=(2, 3))


@pytest.mark.usefixtures("exporter")
def test_networks_that_torch_cannot_export():
    with pytest.raises(ValueError, match=r"A test: torch cannot export Undecided as ONNX \(Could"):
        export_with_torch(Undecided(), (1, 8, 8), needed_by="A test")


@pytest.mark.usefixtures("exporter")
def test_settings_of_torch_change_nothing():
    own = MultiLabelNetwork(nn.Conv2d(3, 4, 3), n_features=4, n_labels=2, head_hidden=None)
    wanted = export_with_torch(own, (3, 8, 8), activation="sigmoid", needed_by="A test")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode():
            given = export_with_torch(own, (3, 8, 8), activation="sigmoid", needed_by="A test")
    finally:
        torch.set_default_dtype(before)
    assert given == wanted


@pytest.mark.parametrize("missing", ["onnx", "onnxscript"])
def test_missing_packages(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        MissingDependencyError,
        match=r"A test needs onnx and onnxscript\. Install them with: pip install onnx onnxscript$",
    ):
        export_with_torch(network(), (1, 8, 8), needed_by="A test")
