from .emotion_embedder import EmotionEmbedder as EmotionEmbedder
from .facenet_embedder import FacenetEmbedder as FacenetEmbedder
from .faces.cropper import FaceCropper as FaceCropper
from .faces.faces import Faces as Faces
from .hog.hog_transformer import HOGTransformer as HOGTransformer
