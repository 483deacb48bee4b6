from . import analysis as analysis
from . import classifiers as classifiers
from . import datasets as datasets
from . import exceptions as exceptions
from . import features as features
from . import images as images
from . import inspection as inspection
from . import labels as labels
from . import metrics as metrics
from . import model_selection as model_selection
from . import testing as testing
from . import validation as validation
from . import weights as weights
from .classifiers import EmojiCNNClassifier as EmojiCNNClassifier
from .classifiers import EmotionCNNClassifier as EmotionCNNClassifier
from .classifiers import FineTunedFacenetClassifier as FineTunedFacenetClassifier
from .classifiers import LightningMultiLabelClassifier as LightningMultiLabelClassifier
from .classifiers import MirrorKernelRidgeClassifier as MirrorKernelRidgeClassifier
from .classifiers import PretrainedEmotionClassifier as PretrainedEmotionClassifier
from .classifiers import make_embedding_classifier as make_embedding_classifier
from .classifiers import make_facenet_classifier as make_facenet_classifier
from .classifiers import make_hog_classifier as make_hog_classifier
from .features import EmotionEmbedder as EmotionEmbedder
from .features import FaceCropper as FaceCropper
from .features import FacenetEmbedder as FacenetEmbedder
from .features import HOGTransformer as HOGTransformer

__version__: str
