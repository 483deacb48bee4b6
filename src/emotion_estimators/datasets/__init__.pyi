from .faces import make_faces as make_faces
from .image_folder import load_image_folder as load_image_folder
