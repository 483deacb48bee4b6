"""Read, convert and resize: pure array functions; imports only `exceptions`."""

from emotion_estimators.images.color import to_grey, to_rgb
from emotion_estimators.images.read import read_image, read_image_size
from emotion_estimators.images.resize import resize_images

__all__ = ["read_image", "read_image_size", "resize_images", "to_grey", "to_rgb"]
