from .hog_transformer import HOGTransformer as HOGTransformer
