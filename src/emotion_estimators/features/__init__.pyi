from .face_cropper import FaceCropper as FaceCropper
from .facenet_embedder import FacenetEmbedder as FacenetEmbedder
from .faces import Faces as Faces
from .hog_transformer import HOGTransformer as HOGTransformer
