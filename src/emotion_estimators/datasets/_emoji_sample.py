"""Images of happy and sad emoji that come with the package; stands on `emoji_folder`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emotion_estimators.datasets.emoji_folder import load_emoji

__all__ = ["load_emoji_sample"]

_SAMPLE = Path(__file__).with_name("emoji_sample")


def load_emoji_sample(
    *, vendor: str | Sequence[str] | None = None, return_X_y: bool = False
) -> Any:
    """Load the images of 58 happy and sad emoji by two vendors that come with the package.

    Nothing is downloaded.

    Parameters
    ----------
    vendor : {"google", "twitter"}, sequence of them or None, default=None
        Whose images to take. Noto's ("google"), Twemoji's ("twitter") or, with None, both.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As from `load_emoji`: ``data`` are the paths of PNG files of 64 x 64 px with opacity,
        ``target`` is "happy" (37 emoji) or "sad" (21).
    data, target : tuple of ndarray of shape (n_samples,), dtype object
        If ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If `vendor` is not one of the two.
    ValueError
        If `vendor` names none, or one twice.

    See Also
    --------
    fetch_emoji : Download the images of four vendors.
    load_emoji : Load a folder of such images.

    Notes
    -----
    Train on one vendor and test on the other, or keep each emoji on one side of the split
    (``groups=bunch.code_points``): the same emoji drawn twice is nearly the same image.

    Noto Emoji is by Google (Apache-2.0), Twemoji by Twitter, Inc. and other contributors
    (CC-BY 4.0): who passes the images of Twemoji on must name them. The table is that of
    github.com/iamcal/emoji-data (MIT).

    Examples
    --------
    >>> from emotion_estimators.datasets import load_emoji_sample
    >>> X, y = load_emoji_sample(vendor="google", return_X_y=True)
    >>> len(X), sorted(set(y))
    (58, ['happy', 'sad'])
    """
    return load_emoji(_SAMPLE, vendor=vendor, return_X_y=return_X_y)
