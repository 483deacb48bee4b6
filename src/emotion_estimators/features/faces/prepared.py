"""What a `FaceCropper` does with one photograph, in any thread; imports detection and geometry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_estimators.exceptions import InvalidImagesError
from emotion_estimators.features.faces.detection import Detector, find_faces
from emotion_estimators.features.faces.faces import Faces
from emotion_estimators.features.faces.geometry import choose_face, cut_face, eye_angle
from emotion_estimators.images import resize_images, to_grey, to_rgb
from emotion_estimators.images.collection import Photograph

__all__ = ["PreparedCropper"]


@dataclass(frozen=True)
class PreparedCropper:
    """A `FaceCropper` with its detector open; several threads may call it."""

    owner: str
    detector: Detector
    detector_name: object
    size: tuple[int, int]
    n_threads: int
    select: str
    margin: float
    align: bool
    color: str
    on_no_face: str
    min_score: float
    max_size: int | None
    jpeg_draft: bool

    def detect(self, photo: Photograph) -> Faces:
        """Return all faces of a photograph; raise `InvalidImagesError` if it cannot be read."""
        return self._look(photo)[0]

    def crops(self, item: Any) -> tuple[Faces, NDArray[Any]]:
        """Return all faces of one photograph and their crops.

        returns (n_faces, height, width[, 3]).

        Raises InvalidImagesError if it cannot be read.
        """
        photo = Photograph(item)
        faces, pixels, size = self._look(photo)
        if len(faces) == 0:
            return faces, np.empty((0, *self._crop_shape()), np.uint8)
        pixels, seen = self._sharp_enough(photo, faces, pixels, size)
        return faces, np.stack([self._cut(pixels, seen, face) for face in range(len(seen))])

    def crop(self, photo: Photograph) -> NDArray[Any]:
        """Return the crop of the face that is selected, or what stands for none.

        returns (height, width[, 3]).

        Raises InvalidImagesError if it cannot be read, or shows no face where there must be one.
        """
        faces, pixels, size = self._look(photo)
        if len(faces):
            pixels, seen = self._sharp_enough(photo, faces, pixels, size)
            face = choose_face(seen, self.select, pixels.shape[:2])
            return self._beside_nan(self._cut(pixels, seen, face))
        if self.on_no_face == "raise":
            raise InvalidImagesError(
                f"shows no face that detector={self.detector_name!r} finds with min_score="
                f"{self.min_score:g}. Leave it out, or set on_no_face to 'whole' or 'nan'"
            )
        if self.on_no_face == "nan":
            dtype = np.float64 if pixels.dtype == np.float64 else np.float32
            return np.full(self._crop_shape(), np.nan, dtype)
        if pixels.shape[:2] != size:
            pixels = photo.pixels()
        return self._finish(resize_images(pixels, self.size, channels=pixels.ndim == 3))

    def _crop_shape(self) -> tuple[int, ...]:
        return (*self.size, 3) if self.color == "rgb" else self.size

    def _look(self, photo: Photograph) -> tuple[Faces, NDArray[Any], tuple[int, int]]:
        """Return the faces, pixels, which may be those of a draft, and height and width."""
        is_file = not isinstance(photo.item, np.ndarray)
        if self.jpeg_draft and self.max_size is not None and is_file:
            size = photo.size()
            pixels = photo.pixels(min_side=self.max_size)
        else:
            pixels = photo.pixels()
            size = pixels.shape[0], pixels.shape[1]
        return find_faces(self.detector, pixels, self.max_size, size), pixels, size

    def _sharp_enough(
        self, photo: Photograph, faces: Faces, pixels: NDArray[Any], size: tuple[int, int]
    ) -> tuple[NDArray[Any], Faces]:
        """Return the pixels, or all of the photograph where a crop needs more; the faces in it."""
        if pixels.shape[:2] == size:
            return pixels, faces
        scale = pixels.shape[1] / size[1], pixels.shape[0] / size[0]
        in_draft = faces.moved(scale, (0, 0))
        sides = in_draft.boxes[:, 2:].max(axis=1) * (1 + self.margin)
        if sides.min() >= max(self.size):
            return pixels, in_draft
        return photo.pixels(), faces

    def _cut(self, pixels: NDArray[Any], faces: Faces, face: int) -> NDArray[Any]:
        """Return the crop of one face."""
        angle = 0.0
        if self.align and faces.landmarks is None:
            raise ValueError(
                f"{self.owner} cannot align faces: detector={self.detector_name!r} gave no "
                "landmarks. Set align=False."
            )
        if self.align:
            angle = eye_angle(self.detector, pixels, faces, face)
        crop = cut_face(pixels, faces.boxes[face], angle, margin=self.margin, size=self.size)
        return self._finish(crop)

    def _finish(self, crop: NDArray[Any]) -> NDArray[Any]:
        """Return a crop in the colour wanted."""
        if self.color == "grey" and crop.ndim == 3:
            return to_grey(crop)
        return to_rgb(crop) if self.color == "rgb" and crop.ndim == 2 else crop

    def _beside_nan(self, crop: NDArray[Any]) -> NDArray[Any]:
        """Return a crop as floats where others may be NaN."""
        if self.on_no_face != "nan" or crop.dtype != np.uint8:
            return crop
        return crop.astype(np.float32) / np.float32(255)
