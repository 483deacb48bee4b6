from . import datasets as datasets
from .classifiers import make_hog_classifier as make_hog_classifier
from .features import HOGTransformer as HOGTransformer

__version__: str
