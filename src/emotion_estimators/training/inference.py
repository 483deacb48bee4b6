"""Networks from stored weights, and their probabilities in batches of a fixed size.

Imports torch, so import this module only where it is needed.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from emotion_estimators.networks.emotion_cnn import EmotionCNN
from emotion_estimators.training.device import exact_convolutions

__all__ = ["build_network", "live_network", "predict_images"]

Weights = dict[str, NDArray[Any]]

# Live networks stand here, not in the estimators, so that these hold arrays only.
_LIVE: WeakKeyDictionary[Any, tuple[Weights, EmotionCNN]] = WeakKeyDictionary()


def build_network(architecture: dict[str, Any], weights: Weights) -> EmotionCNN:
    """Return the network of these weights, on the CPU, ready to predict."""
    # The first weights are overwritten: without the fork, drawing them would advance torch's
    # global generator.
    with torch.random.fork_rng(devices=[]):
        network = EmotionCNN(**architecture)
    network.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    module: Any = network.eval()  # torch declares no `memory_format` here
    module.to(memory_format=torch.channels_last)
    return network


def live_network(
    owner: object, architecture: dict[str, Any], weights: Weights, device: torch.device
) -> EmotionCNN:
    """Return the network of an estimator on a device, built anew only for other weights.

    Parameters
    ----------
    owner : object
        The estimator; the network is dropped when it is.
    architecture : dict
        Parameters of `EmotionCNN`.
    weights : dict of str to ndarray
        Its weights. They count as others if the dict is another object.
    device : torch.device
        As from `choose_device`.

    Returns
    -------
    network : EmotionCNN
        In evaluation mode.
    """
    known = _LIVE.get(owner)
    if known is None or known[0] is not weights or known[1].pixel_mean.device != device:
        known = _LIVE[owner] = (weights, build_network(architecture, weights).to(device))
    return known[1]


def predict_images(
    network: EmotionCNN, images: NDArray[Any], *, batch_size: int, flip: bool
) -> NDArray[np.float64]:
    """Return the class probabilities of at most `batch_size` images.

    Parameters
    ----------
    network : EmotionCNN
        In evaluation mode.
    images : ndarray of shape (n, height, width)
        uint8 in 0..255 or float.
    batch_size : int
        What the network always gets: fewer images are padded with zeros, so that a
        prediction does not depend on how many images come with it.
    flip : bool
        Average with the probabilities of the mirror images.

    Returns
    -------
    probabilities : ndarray of shape (n, n_classes)
        float64.
    """
    n = len(images)
    scaled = images.astype(np.float32) / 255 if images.dtype == np.uint8 else images
    batch = np.zeros((batch_size, 1, *images.shape[1:]), dtype=np.float32)
    batch[:n, 0] = scaled
    device = network.pixel_mean.device
    x = torch.from_numpy(batch).to(device)
    x = x.contiguous(memory_format=torch.channels_last)  # (batch_size, 1, h, w)
    with torch.inference_mode(), exact_convolutions(device, full_precision=True):
        probabilities = _probabilities(network, x)
        if flip:
            probabilities = (probabilities + _probabilities(network, x.flip(3))) / 2
    return probabilities[:n]


def _probabilities(network: EmotionCNN, x: torch.Tensor) -> NDArray[np.float64]:
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
