"""Networks from stored weights, and their probabilities in batches of a fixed size.

Imports torch, so import this module only where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from emotion_estimators.images.collection import Images
from emotion_estimators.images.threads import count_threads
from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.networks.onnx.network import check_rows
from emotion_estimators.networks.torch_settings import torch_as_shipped
from emotion_estimators.training.device import choose_device, exact_convolutions
from emotion_estimators.training.kept_networks import kept_network
from emotion_estimators.training.labelled_images import as_network_input

__all__ = [
    "live_network",
    "load_weights",
    "padded_input",
    "predict_all",
    "predict_images",
    "restore_network",
    "score_labels",
]

Weights = dict[str, NDArray[Any]]
Network = TypeVar("Network", bound=nn.Module)


class Classifier(Protocol):
    """A network whose scores are a linear layer's on the features of images in 0..1."""

    pixel_mean: torch.Tensor
    head: nn.Linear

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Return the features, (n, c), of images (n, channels, height, width)."""
        ...


def restore_network(build: Callable[[], Network], weights: Weights) -> Network:
    """Return a network with these weights, on the CPU, ready to predict."""
    # on "meta" it takes neither memory nor numbers from torch's generator for what is replaced
    with torch_as_shipped(), torch.device("meta"):
        network = build()
    return load_weights(network, weights, assign=True)


def load_weights(network: Network, weights: Weights, *, assign: bool = False) -> Network:
    """Give a network its weights, in the place of its own tensors or into them."""
    with torch_as_shipped():
        tensors = {name: torch.tensor(array) for name, array in weights.items()}
        network.load_state_dict(tensors, assign=assign)
        module: Any = network.eval()  # torch declares no `memory_format` here
        module.to(memory_format=torch.channels_last)
    return network


def live_network(
    owner: object, build: Callable[[], Network], weights: Weights, device: torch.device
) -> Network:
    """Return the network of an estimator on a device, built again only for other weights."""
    return kept_network(owner, device, weights, lambda: build().to(device))


def padded_input(images: NDArray[Any], batch_size: int, device: torch.device) -> torch.Tensor:
    """Return images (n, h, w[, 3]), scaled and with zeros up to `batch_size`, on a device.

    `images` (n, height, width) or (n, height, width, 3); returns (batch_size, 1 or 3, height,
    width).
    """
    dtype = np.uint8 if images.dtype == np.uint8 else np.float32
    batch = np.empty((batch_size, *images.shape[1:]), dtype=dtype)
    batch[: len(images)] = images
    batch[len(images) :] = 0
    x = as_network_input(torch.from_numpy(batch).to(device))
    return x.contiguous(memory_format=torch.channels_last)


def predict_images(
    network: Classifier, images: NDArray[Any], *, batch_size: int, flip: bool
) -> NDArray[np.float64]:
    """Return the class probabilities of at most `batch_size` images.

    `images` (n, height, width) or (n, height, width, 3); returns (n, n_classes).
    """
    n = len(images)
    device = network.pixel_mean.device
    with _predicting(device):
        x = padded_input(images, batch_size, device)  # (batch_size, 1 or 3, h, w)
        probabilities = _probabilities(network, x)
        if flip:
            probabilities = (probabilities + _probabilities(network, x.flip(3))) / 2
    return probabilities[:n]


def predict_all(
    estimator: Any, restore: Callable[[], nn.Module], images: Images, *, batch_size: int
) -> NDArray[np.float64]:
    """Return the class probabilities that a fitted classifier gives any number of images.

    returns (n, n_classes).
    """
    device = choose_device(estimator.device, needed_by=type(estimator).__name__)
    network: Any = live_network(estimator, restore, estimator.weights_, device)
    probabilities = np.empty((images.n_samples, network.head.out_features))
    batches = images.batches(
        batch_size,
        n_threads=count_threads(None),
        ahead=True,
        verbose=bool(estimator.verbose),
    )
    for rows, batch in batches:
        probabilities[rows] = predict_images(
            network, batch, batch_size=batch_size, flip=estimator.test_time_flip
        )
    return probabilities


def score_labels(
    network: MultiLabelNetwork, images: NDArray[Any], *, batch_size: int
) -> NDArray[np.float64]:
    """Return the scores of each label for at most `batch_size` images.

    `images` (n, height, width, 3); returns (n, n_labels).

    Raises WeightsError if the backbone does not give a row of features for each image.
    """
    device = network.pixel_mean.device
    with _predicting(device):
        x = padded_input(images, batch_size, device)  # (batch_size, 3, h, w)
        features = network.features(x)  # (batch_size, c)
        check_rows(features, (batch_size, None), "The backbone")
        given = network.independent_scores if device.type == "cpu" else network.head
        scores = given(features)[: len(images)]
    return scores.cpu().numpy().astype(np.float64)


@contextmanager
def _predicting(device: torch.device) -> Iterator[None]:
    """Compute in the block without gradients, the same under all settings of torch."""
    with (
        torch_as_shipped(),
        torch.inference_mode(),
        exact_convolutions(device, full_precision=True),
    ):
        yield


def _probabilities(network: Classifier, x: torch.Tensor) -> NDArray[np.float64]:
    """Return the probabilities, (n, n_classes)."""
    features = network.features(x).cpu().numpy().astype(np.float64)  # (n, c)
    weight = network.head.weight.detach().cpu().numpy().astype(np.float64)  # (n_classes, c)
    bias = network.head.bias.detach().cpu().numpy()
    # Not a matrix product: BLAS rounds one and the same row differently at different places.
    scores = (features[:, None, :] * weight).sum(axis=2) + bias  # (n, n_classes)
    scores -= scores.max(axis=1, keepdims=True)
    exponentials = np.exp(scores)
    probabilities: NDArray[np.float64] = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities
