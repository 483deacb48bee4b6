"""Image-emotion models as real scikit-learn estimators.

Features        HOGTransformer, EmotionEmbedder, FacenetEmbedder, FaceCropper
Frozen          PretrainedEmotionClassifier
Trained here    EmotionCNNClassifier, FineTunedFacenetClassifier, EmojiCNNClassifier,
                LightningMultiLabelClassifier, MirrorKernelRidgeClassifier
Ready-made      make_hog_classifier, make_embedding_classifier, make_facenet_classifier,
                make_emoji_classifier, make_multilabel_classifier

``help`` of a name tells what it takes. All names stand in ``__init__.pyi``, and are imported when
first used, so that importing the package loads none of the libraries that its estimators stand on.
"""

from lazy_loader import attach_stub

__version__ = "0.1.0"

# no __all__: with it, help(emotion_estimators) would be the help of every class in turn
__getattr__, __dir__, _ = attach_stub(__name__, __file__)
