"""Weights of the face network from a file of any format."""

from __future__ import annotations

from pathlib import Path

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.facenet.keras_weights import read_keras_facenet
from emotion_estimators.networks.facenet.layers import State, check_state, state_shapes
from emotion_estimators.networks.torch_file import read_torch_state, without_wrapper

__all__ = ["FACE_SUFFIXES", "read_face_weights"]

_READERS = {
    ".pt": read_torch_state,
    ".pth": read_torch_state,
    ".h5": read_keras_facenet,
    ".hdf5": read_keras_facenet,
}
FACE_SUFFIXES = tuple(_READERS)


def read_face_weights(path: str | Path) -> State:
    """Read weights of InceptionResnetV1 from a file of facenet-pytorch or keras-facenet.

    Raises OSError if the file cannot be read; WeightsError if it is damaged, of another network, or
    has another suffix.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise WeightsError(
            f"{path}: expected a file {', '.join(FACE_SUFFIXES)} with the weights of an "
            f"InceptionResnetV1, got {path.suffix or 'no suffix'}."
        )
    return check_state(without_wrapper(reader(path), state_shapes()), str(path))
