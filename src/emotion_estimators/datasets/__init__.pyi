from .emoji_class_folders import load_emoji_folders as load_emoji_folders
from .emoji_class_folders import write_emoji_folders as write_emoji_folders
from .emoji_download import fetch_emoji as fetch_emoji
from .emoji_folder import load_emoji as load_emoji
from .faces import make_faces as make_faces
from .image_folder import load_image_folder as load_image_folder
from .multilabel_csv import load_multilabel_csv as load_multilabel_csv
from .scenes import make_scenes as make_scenes
