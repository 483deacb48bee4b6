from .embedding_classifier import make_embedding_classifier as make_embedding_classifier
from .emoji_classifier import make_emoji_classifier as make_emoji_classifier
from .emoji_cnn_classifier import EmojiCNNClassifier as EmojiCNNClassifier
from .emotion_cnn_classifier import EmotionCNNClassifier as EmotionCNNClassifier
from .facenet_classifier import make_facenet_classifier as make_facenet_classifier
from .fine_tuned_facenet_classifier import (
    FineTunedFacenetClassifier as FineTunedFacenetClassifier,
)
from .hog_classifier import make_hog_classifier as make_hog_classifier
from .lightning_multilabel_classifier import (
    LightningMultiLabelClassifier as LightningMultiLabelClassifier,
)
from .mirror_kernel_ridge_classifier import (
    MirrorKernelRidgeClassifier as MirrorKernelRidgeClassifier,
)
from .multilabel_classifier import make_multilabel_classifier as make_multilabel_classifier
from .pretrained_emotion_classifier import (
    PretrainedEmotionClassifier as PretrainedEmotionClassifier,
)
