"""The faces that were found in one photograph; imports NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Faces"]

_COLUMNS = {4: "boxes", 5: "boxes and scores", 15: "boxes, landmarks and scores"}


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces in one photograph, the highest score first; ``len(faces)`` is their number.

    Attributes
    ----------
    boxes : float64 array of shape (n_faces, 4)
        Left edge, upper edge, width and height, in pixels of the photograph. May reach beyond
        it.
    landmarks : float64 array of shape (n_faces, 5, 2) or None
        x and y of right eye, left eye, tip of the nose, right and left corner of the mouth, in
        pixels; right and left are those of the person. None from detectors that find none.
    scores : float64 array of shape (n_faces,)
        How sure the detector is, in 0..1; NaN from detectors that do not say.

    Examples
    --------
    >>> from emotion_estimators.features import Faces
    >>> faces = Faces.from_rows([[10, 20, 30, 40, 0.9]])
    >>> len(faces), faces.boxes.tolist(), faces.landmarks
    (1, [[10.0, 20.0, 30.0, 40.0]], None)
    """

    boxes: NDArray[np.float64]
    landmarks: NDArray[np.float64] | None
    scores: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def from_rows(cls, rows: Any) -> Faces:
        """Read the faces from the rows of a table, as detectors return them.

        Parameters
        ----------
        rows : array-like of shape (n_faces, 4), (n_faces, 5) or (n_faces, 15), or None
            Boxes; boxes and scores; or the rows of OpenCV's ``FaceDetectorYN``: box, five
            landmarks, score. None is no face.

        Returns
        -------
        faces : Faces

        Raises
        ------
        ValueError
            If the shape is another, or values other than scores are not finite.
        """
        table = np.empty((0, 4)) if rows is None else np.asarray(rows, np.float64)
        if table.size == 0:
            table = table.reshape(0, table.shape[1] if table.shape[1:] in ((5,), (15,)) else 4)
        if table.ndim != 2 or table.shape[1] not in _COLUMNS:
            raise ValueError(
                "Faces expected a table of shape (n_faces, 4), (n_faces, 5) or (n_faces, 15), "
                f"which holds {', or '.join(_COLUMNS.values())}, got shape {table.shape}."
            )
        scores = table[:, -1] if table.shape[1] > 4 else np.full(len(table), np.nan)
        numbers = table[:, : {5: 4, 15: 14}.get(table.shape[1])]
        if not np.isfinite(numbers).all() or (numbers[:, 2:4] <= 0).any():
            raise ValueError(
                "Faces expected boxes (x, y, width, height) of finite numbers, width and height "
                f"above 0, got {numbers[:, :4].tolist()}."
            )
        order = np.argsort(-scores, kind="stable")  # leaves NaN in the order given
        points = numbers[order, 4:].reshape(-1, 5, 2) if numbers.shape[1] == 14 else None
        return cls(numbers[order, :4], points, scores[order])

    def moved(self, scale: tuple[float, float], offset: tuple[float, float]) -> Faces:
        """Return the faces as they lie in a larger photograph.

        Parameters
        ----------
        scale : tuple of float
            Factors of x and y.
        offset : tuple of float
            What is then added to x and y, in pixels.

        Returns
        -------
        faces : Faces
        """
        points = None if self.landmarks is None else self.landmarks * scale + offset
        boxes = self.boxes * (*scale, *scale) + (*offset, 0, 0)
        return Faces(boxes, points, self.scores)
