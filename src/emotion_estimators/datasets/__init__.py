"""Data to learn from: `make_*` is generated, `load_*` reads what lies on disk."""

from emotion_estimators.datasets.image_folder import load_image_folder
from emotion_estimators.datasets.faces import make_faces

__all__ = ["load_image_folder", "make_faces"]
