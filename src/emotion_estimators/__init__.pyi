from . import datasets as datasets
from .classifiers import EmotionCNNClassifier as EmotionCNNClassifier
from .classifiers import MirrorKernelRidgeClassifier as MirrorKernelRidgeClassifier
from .classifiers import PretrainedEmotionClassifier as PretrainedEmotionClassifier
from .classifiers import make_hog_classifier as make_hog_classifier
from .features import HOGTransformer as HOGTransformer

__version__: str
