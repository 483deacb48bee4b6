from .color import to_grey as to_grey
from .color import to_rgb as to_rgb
from .read import read_image as read_image
from .read import read_image_size as read_image_size
from .resize import resize_images as resize_images
