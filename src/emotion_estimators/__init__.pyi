from . import datasets as datasets
from .classifiers import EmojiCNNClassifier as EmojiCNNClassifier
from .classifiers import EmotionCNNClassifier as EmotionCNNClassifier
from .classifiers import FineTunedFacenetClassifier as FineTunedFacenetClassifier
from .classifiers import LightningMultiLabelClassifier as LightningMultiLabelClassifier
from .classifiers import MirrorKernelRidgeClassifier as MirrorKernelRidgeClassifier
from .classifiers import PretrainedEmotionClassifier as PretrainedEmotionClassifier
from .classifiers import make_facenet_classifier as make_facenet_classifier
from .classifiers import make_hog_classifier as make_hog_classifier
from .features import FaceCropper as FaceCropper
from .features import FacenetEmbedder as FacenetEmbedder
from .features import HOGTransformer as HOGTransformer

__version__: str
