"""The photograph that comes with the package."""

from __future__ import annotations

from pathlib import Path

__all__ = ["load_sample_photograph"]

_FILE = Path(__file__).with_name("photograph_sample") / "eileen_collins.jpg"


def load_sample_photograph() -> str:
    """Return the path of a photograph of one smiling person that comes with the package.

    It stands where a photograph of yours would, to try what wants photographs. Nothing is
    downloaded.

    Returns
    -------
    path : str
        Path of a JPEG file of 512 x 512 px, in colour: NASA's portrait of Eileen Collins. Her face
        is at about x 178 to 269, y 63 to 176.

    See Also
    --------
    load_emoji_sample : Labelled images that come with the package.
    make_faces : Drawn faces, as many as you like.

    Notes
    -----
    The photograph is in the public domain. NASA asks that images of people who can be recognised
    do not suggest that they endorse a product.

    Examples
    --------
    >>> from emotion_estimators import FaceCropper, PretrainedEmotionClassifier
    >>> from emotion_estimators.datasets import load_sample_photograph
    >>> faces = FaceCropper().transform([load_sample_photograph()])
    >>> PretrainedEmotionClassifier().predict(faces)
    array(['happy'], dtype='<U8')
    """
    return str(_FILE)
