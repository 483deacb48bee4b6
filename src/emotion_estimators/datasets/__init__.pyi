from .emoji_folder import load_emoji as load_emoji
from .faces import make_faces as make_faces
from .image_folder import load_image_folder as load_image_folder
from .scenes import make_scenes as make_scenes
