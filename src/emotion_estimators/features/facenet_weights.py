"""Which weights of the face network a parameter means; imports `weights` and `networks`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from emotion_estimators.networks.face_network import random_state, state_fingerprint
from emotion_estimators.networks.face_weights import FACE_SUFFIXES, read_face_weights
from emotion_estimators.weights import fetch_weights, file_sha256, list_cards

__all__ = ["FaceWeights", "find_face_weights"]

_SEED = 0  # of the weights "random"


@dataclass(frozen=True)
class FaceWeights:
    """Weights that are known, but not read yet.

    Attributes
    ----------
    fingerprint : str
        The same for the same weights only.
    read : callable
        Returns the state dict.
    """

    fingerprint: str
    read: Callable[[], Mapping[str, Any]] = field(repr=False)


def find_face_weights(owner: str, weights: Any, *, verbose: bool) -> FaceWeights:
    """Find weights of the face network, and download them if they must be.

    Parameters
    ----------
    owner : str
        Name of the estimator, for messages.
    weights : str, path-like or module
        As in `FacenetEmbedder`.
    verbose : bool
        Show a progress bar while downloading.

    Returns
    -------
    weights : FaceWeights

    Raises
    ------
    ValueError
        If there are no weights of that name.
    FileNotFoundError
        If there is no such file.
    WeightsError, OSError
        If they cannot be had, or are of another network.
    """
    if hasattr(weights, "state_dict"):
        state = {
            name: tensor.detach().cpu().float().numpy()
            for name, tensor in weights.state_dict().items()
        }
        return FaceWeights(state_fingerprint(state), lambda: state)
    name = os.fspath(weights)
    if name == "random":
        return FaceWeights(f"random {_SEED}", partial(random_state, _SEED))
    names = [card.name for card in list_cards(task="face embedding")]
    path = fetch_weights(name, verbose=verbose) if name in names else Path(name)
    if path.is_file() and path.suffix.lower() in FACE_SUFFIXES:
        return FaceWeights(file_sha256(path), partial(read_face_weights, path))
    choices = ", ".join(repr(choice) for choice in [*names, "random"])
    wanted = (
        f"{owner} expected weights to be {choices}, the path of a file "
        f"{', '.join(FACE_SUFFIXES)}, or an InceptionResnetV1"
    )
    if path.suffix.lower() in FACE_SUFFIXES and not path.exists():
        raise FileNotFoundError(f"{wanted}; there is no file {name}.")
    if path.exists():
        raise ValueError(f"{wanted}; {name} is {'a folder' if path.is_dir() else 'another file'}.")
    raise ValueError(f"{wanted}, got {name!r}.")
