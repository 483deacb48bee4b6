"""The face detector YuNet on ONNX Runtime: pixels in, boxes, landmarks and scores out.

Imports the session of `network` and NumPy; for features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.networks.onnx.network import check_rows
from emotion_estimators.networks.onnx.reader import read_onnx_file
from emotion_estimators.networks.onnx.session import start_session
from emotion_estimators.networks.pool import pool

__all__ = ["YuNet", "box_overlaps", "keep_best", "open_yunet"]

_STRIDES = (8, 16, 32)
_MULTIPLE = 32  # of which height and width of the input must be
_PARTS = ("cls", "obj", "bbox", "kps")
_VALUES = (1, 1, 4, 10)  # of each part, for a cell
_OUTPUTS = tuple(f"{part}_{stride}" for part in _PARTS for stride in _STRIDES)
_MAX_CANDIDATES = 5000  # candidates looked at, as in OpenCV
_LARGE = 3 * 2**22  # values of an input whose memory is given back: 45 bytes each are taken

_Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class YuNet:
    """YuNet, ready to run in several threads."""

    _session: Any = field(repr=False)
    _input: str = field(repr=False)
    _open: Callable[..., Any] = field(repr=False)

    @cached_property
    def _releasing_session(self) -> Any:
        """A session that keeps no memory for its next run: slower, and for large images only."""
        return self._open(keep_memory=False)

    def candidates(self, image: NDArray[np.uint8], min_score: float) -> _Floats:
        """Return what looks like a face, several times each.

        `image` (height, width, 3) uint8; returns (n, 15) float32.
        """
        network_input = _as_input(image)
        session = self._session if network_input.size <= _LARGE else self._releasing_session
        results = session.run(_OUTPUTS, {self._input: network_input})
        outputs = dict(zip(_OUTPUTS, results, strict=True))
        # Rows and columns of the grid, which is that of the padded image.
        n_rows, n_columns = _padded(image.shape[0]), _padded(image.shape[1])
        for part, n_values in zip(_PARTS, _VALUES, strict=True):
            for stride in _STRIDES:
                n_cells = (n_rows // stride) * (n_columns // stride)
                check_rows(outputs[f"{part}_{stride}"], (1, n_cells, n_values), "YuNet")
        parts = [
            _decode(
                *(outputs[f"{part}_{stride}"][0] for part in _PARTS),
                stride=stride,
                n_columns=n_columns // stride,
                min_score=min_score,
            )
            for stride in _STRIDES
        ]
        return np.concatenate(parts)


def open_yunet(path: Path, digest: str) -> YuNet:
    """Return the detector in a file; every caller in the process gets the same one.

    Raises OSError if the file cannot be read; WeightsError if it holds another network.
    """
    return pool.get(("yunet", digest), lambda: _read(path))


def keep_best(faces: _Floats, max_overlap: float) -> _Floats:
    """Return the best of the faces that overlap, the highest score first.

    `faces` (n, 15) float32; returns (n_kept, 15) float32.
    """
    rest = faces[np.argsort(-faces[:, -1], kind="stable")[:_MAX_CANDIDATES]]
    kept = []
    while len(rest):
        best, rest = rest[0], rest[1:]
        kept.append(best)
        rest = rest[box_overlaps(best, rest) <= max_overlap]
    return np.array(kept, np.float32).reshape(-1, faces.shape[1])


def box_overlaps(face: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Return the intersection over union of one box with others, (n,).

    `face` (4,) or more, `others` (n, 4) or more: left and upper edge, width, height.
    """
    low = np.maximum(face[:2], others[:, :2])
    high = np.minimum(face[:2] + face[2:4], others[:, :2] + others[:, 2:4])
    common = np.clip(high - low, 0, None).prod(axis=1)
    union = face[2:4].prod() + others[:, 2:4].prod(axis=1) - common
    overlaps: NDArray[Any] = common / np.maximum(union, np.finfo(np.float32).tiny)
    return overlaps


def _read(path: Path) -> YuNet:
    start = partial(start_session, read_onnx_file(path), path, ("CPUExecutionProvider",))
    session = start()
    inputs = session.get_inputs()
    names = {output.name for output in session.get_outputs()}
    free = len(inputs) == 1 and len(inputs[0].shape) == 4 and inputs[0].shape[1] == 3
    if not free or not names >= set(_OUTPUTS):
        raise WeightsError(
            f"{path}: expected YuNet, a network from one image of 3 channels to the outputs "
            f"{', '.join(_OUTPUTS)}, got inputs {[one.shape for one in inputs]} and outputs "
            f"{sorted(names)}."
        )
    if any(isinstance(side, int) for side in inputs[0].shape[2:]):
        raise WeightsError(
            f"{path}: expected a network that takes images of any size, got one for "
            f"{inputs[0].shape[2:]}. Take face_detection_yunet_2026may.onnx of opencv_zoo."
        )
    return YuNet(session, inputs[0].name, start)


def _padded(side: int) -> int:
    return -(-side // _MULTIPLE) * _MULTIPLE


def _as_input(image: NDArray[np.uint8]) -> _Floats:
    height, width = image.shape[:2]
    network_input = np.zeros((1, 3, _padded(height), _padded(width)), np.float32)
    network_input[0, :, :height, :width] = image[..., ::-1].transpose(2, 0, 1)  # BGR
    return network_input


def _decode(
    classes: _Floats,
    objects: _Floats,
    boxes: _Floats,
    points: _Floats,
    *,
    stride: int,
    n_columns: int,
    min_score: float,
) -> _Floats:
    """Return the faces at the cells of one grid, (n, 15)."""
    scores = np.sqrt(np.clip(classes[:, 0], 0, 1) * np.clip(objects[:, 0], 0, 1))  # (cells,)
    (found,) = np.nonzero(scores >= min_score)
    cells = np.stack([found % n_columns, found // n_columns], axis=1).astype(np.float32)  # x, y
    faces = np.empty((len(found), 15), np.float32)
    centres = (cells + boxes[found, :2]) * stride
    sides = np.exp(boxes[found, 2:]) * stride
    faces[:, :2] = centres - sides / 2
    faces[:, 2:4] = sides
    faces[:, 4:14] = (points[found] + np.tile(cells, 5)) * stride
    faces[:, 14] = scores[found]
    return faces
