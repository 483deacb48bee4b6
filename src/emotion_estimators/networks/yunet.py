"""The face detector YuNet on ONNX Runtime: pixels in, boxes, landmarks and scores out."""

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
from emotion_estimators.networks.onnx.reader import read_onnx_file, stored_arrays
from emotion_estimators.networks.onnx.session import CPU, start_session
from emotion_estimators.networks.pool import pool
from emotion_estimators.networks.yunet_graph import RESULTS, write_yunet

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
    """YuNet, ready to run in several threads; `_joins` says whether as `write_yunet` writes it."""

    _session: Any = field(repr=False)
    _input: str = field(repr=False)
    _open: Callable[..., Any] = field(repr=False)
    _joins: bool = False

    @cached_property
    def _releasing_session(self) -> Any:
        """A session that keeps no memory for its next run: slower, and for large images only."""
        return self._open(keep_memory=False)

    def candidates(self, image: NDArray[np.uint8], min_score: float) -> _Floats:
        """Return what looks like a face, several times each.

        `image` (height, width, 3) uint8; returns (n, 15) float32.
        """
        results = self.results(image)
        n_columns = _padded(image.shape[1])
        parts = [
            _decode(
                *(part[0] for part in results[2 * level : 2 * level + 2]),
                stride=stride,
                n_columns=n_columns // stride,
                min_score=min_score,
            )
            for level, stride in enumerate(_STRIDES)
        ]
        return np.concatenate(parts)

    def results(self, image: NDArray[np.uint8]) -> list[_Floats]:
        """Return what the network gives, in the order of `RESULTS`, for the padded image."""
        network_input = _as_rows(image) if self._joins else _as_input(image)
        session = self._session if network_input.size <= _LARGE else self._releasing_session
        names = [name for pair in RESULTS for name in pair] if self._joins else _OUTPUTS
        results: list[_Floats] = session.run(names, {self._input: network_input})
        if self._joins:
            return results
        n_rows, n_columns = _padded(image.shape[0]), _padded(image.shape[1])
        cells = [(n_rows // stride) * (n_columns // stride) for stride in _STRIDES]
        return _join(dict(zip(_OUTPUTS, results, strict=True)), cells)


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
    content = read_onnx_file(path)
    own = _open(path, content)
    quicker = write_yunet(stored_arrays(content, path)[0])
    if quicker is None:
        return own
    start = partial(start_session, quicker, path, (CPU,))
    try:
        joined = YuNet(start(), "rows", start, True)
        # weights of the same names may lie in another graph
        image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
        pairs = zip(own.results(image), joined.results(image), strict=True)
        is_same = all(np.allclose(one, other, rtol=1e-3, atol=1e-3) for one, other in pairs)
    except Exception:
        return own
    return joined if is_same else own


def _open(path: Path, content: bytes) -> YuNet:
    """Return the network of a file as it is."""
    start = partial(start_session, content, path, (CPU,))
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


def _as_rows(image: NDArray[np.uint8]) -> _Floats:
    """Return rows of pixels as they lie, (1, 1, height, width * 3), padded with black."""
    height, width = image.shape[:2]
    rows = np.empty((1, 1, _padded(height), _padded(width) * 3), np.float32)
    rows[0, 0, height:] = 0
    rows[0, 0, :height, width * 3 :] = 0
    rows[0, 0, :height, : width * 3] = image.reshape(height, -1)
    return rows


def _join(outputs: dict[str, _Floats], cells: list[int]) -> list[_Floats]:
    """Return what a file gives in parts as `write_yunet` gives it."""
    joined = []
    for stride, n_cells in zip(_STRIDES, cells, strict=True):
        for part, n_values in zip(_PARTS, _VALUES, strict=True):
            check_rows(outputs[f"{part}_{stride}"], (1, n_cells, n_values), "YuNet")
        of_stride = [outputs[f"{part}_{stride}"] for part in _PARTS]
        joined += [np.concatenate(parts, axis=2) for parts in (of_stride[:2], of_stride[2:])]
    return joined


def _decode(
    scores: _Floats, places: _Floats, *, stride: int, n_columns: int, min_score: float
) -> _Floats:
    """Return the faces at the cells of one grid, (n, 15).

    `scores` (cells, 2) of class and object, `places` (cells, 14) of box and landmarks.
    """
    both = np.sqrt(np.clip(scores[:, 0], 0, 1) * np.clip(scores[:, 1], 0, 1))  # (cells,)
    (found,) = np.nonzero(both >= min_score)
    cells = np.stack([found % n_columns, found // n_columns], axis=1).astype(np.float32)  # x, y
    faces = np.empty((len(found), 15), np.float32)
    centres = (cells + places[found, :2]) * stride
    sides = np.exp(places[found, 2:4]) * stride
    faces[:, :2] = centres - sides / 2
    faces[:, 2:4] = sides
    faces[:, 4:14] = (places[found, 4:] + np.tile(cells, 5)) * stride
    faces[:, 14] = both[found]
    return faces
