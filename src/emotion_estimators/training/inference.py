"""Networks from stored weights, and their probabilities in batches of a fixed size.

Imports torch, so import this module only where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_expit, softmax
from torch import nn

from emotion_estimators.networks.multi_label import MultiLabelNetwork
from emotion_estimators.networks.onnx.network import check_rows
from emotion_estimators.networks.torch_settings import torch_as_shipped
from emotion_estimators.training.batches import as_network_input
from emotion_estimators.training.device import exact_convolutions
from emotion_estimators.training.progress import Weights
from emotion_estimators.training.seeds import seeded
from emotion_estimators.training.torch_state import tensors_of

__all__ = [
    "class_probabilities",
    "label_scores",
    "padded_input",
    "predicting",
    "restore_network",
]

Network = TypeVar("Network", bound=nn.Module)


def restore_network(
    build: Callable[[], Network], weights: Weights, *, is_own: bool = True
) -> Network:
    """Return a network with these weights, on the CPU, ready to predict.

    `is_own` tells that it is one of this library: others may compute while they are built.
    """
    if is_own:
        # on "meta" it takes neither memory nor numbers from torch's generator
        with torch_as_shipped(), torch.device("meta"):
            network = build()
    else:
        # the random numbers of other networks must not be those of a training in another thread
        with seeded(0, torch.device("cpu")):
            network = build()
    with torch_as_shipped():
        network.load_state_dict(tensors_of(weights), assign=is_own)
        module: Any = network.eval()  # torch declares no `memory_format` here
        module.to(memory_format=torch.channels_last)
    return network


def padded_input(images: NDArray[Any], batch_size: int, device: torch.device) -> torch.Tensor:
    """Return images (n, h, w[, 3]), scaled and with zeros up to `batch_size`, on a device.

    `images` (n, height, width[, 3]); returns (batch_size, 1 or 3, height, width).
    """
    dtype = np.uint8 if images.dtype == np.uint8 else np.float32
    batch = np.empty((batch_size, *images.shape[1:]), dtype=dtype)
    batch[: len(images)] = images
    batch[len(images) :] = 0
    x = as_network_input(torch.from_numpy(batch).to(device))
    return x.contiguous(memory_format=torch.channels_last)


def class_probabilities(
    network: nn.Module,
    images: NDArray[Any],
    *,
    batch_size: int,
    mirrored: bool,
    head: str = "head",
) -> NDArray[np.float64]:
    """Return the class probabilities of at most `batch_size` images; those of both views' mean.

    `images` (n, height, width[, 3]); `head` is the layer of one of our networks that answers;
    returns (n, n_classes).
    """
    device = next(network.parameters()).device
    with predicting(device):
        x = padded_input(images, batch_size, device)  # (batch_size, 1 or 3, h, w)
        probabilities = softmax(_scores(network, x, head), axis=1)
        if mirrored:
            probabilities = (probabilities + softmax(_scores(network, x.flip(3), head), axis=1)) / 2
    answers: NDArray[np.float64] = probabilities[: len(images)]
    return answers


def label_scores(
    network: MultiLabelNetwork, images: NDArray[Any], *, batch_size: int, mirrored: bool
) -> NDArray[np.float64]:
    """Return the scores of each label for at most `batch_size` images.

    With `mirrored`, those of the mean probability of an image and its mirror image. `images`
    (n, height, width, 3); returns (n, n_labels).

    Raises WeightsError if the backbone does not give a row of features for each image.
    """
    device = network.pixel_mean.device

    def ask(x: torch.Tensor) -> NDArray[np.float64]:
        features = network.features(x)  # (batch_size, c)
        check_rows(features, (batch_size, None), "The network")
        given = network.independent_scores if device.type == "cpu" else network.head
        scores: torch.Tensor = given(features)[: len(images)]
        return scores.cpu().numpy().astype(np.float64)

    with predicting(device):
        x = padded_input(images, batch_size, device)  # (batch_size, 3, h, w)
        scores = ask(x)
        if not mirrored:
            return scores
        both = np.stack([scores, ask(x.flip(3))])  # (2, n, n_labels)
    # the logarithms of p and of 1 - p, which is finite where p is 1 in float64
    positive, negative = (np.logaddexp.reduce(log_expit(sign * both)) for sign in (1, -1))
    mean: NDArray[np.float64] = positive - negative
    return mean


@contextmanager
def predicting(device: torch.device) -> Iterator[None]:
    """Compute in the block without gradients, the same under all settings of torch."""
    with (
        torch_as_shipped(),
        torch.inference_mode(),
        exact_convolutions(device, full_precision=True),
    ):
        yield


def _scores(network: Any, x: torch.Tensor, head: str) -> NDArray[np.float64]:
    """Return the scores, (n, n_classes), in float64."""
    if not hasattr(network, "features"):  # a user's module
        return network(x).float().cpu().numpy().astype(np.float64)  # type: ignore[no-any-return]
    features = network.features(x).cpu().numpy().astype(np.float64)  # (n, c)
    layer = getattr(network, head)
    weight = layer.weight.detach().cpu().numpy().astype(np.float64)  # (n_classes, c)
    bias = layer.bias.detach().cpu().numpy()
    # Not a matrix product: BLAS rounds one and the same row differently at different places.
    scores: NDArray[np.float64] = (features[:, None, :] * weight).sum(axis=2) + bias
    return scores
