"""A folder of emoji-data in, paths and classes of emoji out; stands on `_emoji_table`."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from emotion_estimators._sklearn import StrOptions, constraints, validate_params
from emotion_estimators.datasets._emoji_table import (
    Emoji,
    class_of_row,
    picture_folder,
    read_emoji_table,
)
from emotion_estimators.exceptions import counted

__all__ = ["load_emoji"]

_FOLDER = re.compile(r"img-([0-9a-z]+)-64")

_DESCR = """\
Emoji of Unicode's category 'Smileys & Emotion'
-----------------------------------------------
{n_samples} images of {n_emoji} emoji by {vendors}; classes ({kind}): {classes}.

Each image is a PNG of 64 x 64 px with opacity. Estimators of this package show it on white.

Table and collection: github.com/iamcal/emoji-data (MIT). The images belong to their vendors
and stand under the vendors' own terms.
"""


@validate_params(
    {
        **constraints("path", "vendor"),
        "target": [StrOptions({"happy-sad", "subcategory"})],
        "sequences": [StrOptions({"separate", "first"})],
        **constraints("return_X_y"),
    },
    prefer_skip_nested_validation=True,
)
def load_emoji(
    path: str | os.PathLike[str],
    *,
    vendor: str | Sequence[str] | None = None,
    target: str = "happy-sad",
    sequences: str = "separate",
    return_X_y: bool = False,
) -> Any:
    """Load images of smileys from a folder that is laid out as emoji-data is.

    Nothing is downloaded.

    Parameters
    ----------
    path : str or path-like
        Where the data lie. A folder with ``emoji.json`` and ``img-<vendor>-64/<code points>.png``.
    vendor : str, sequence of str or None, default=None
        Whose images to take. One such as "apple", or several, such as ``["apple", "google"]``;
        None takes all whose folders are there.
    target : {"happy-sad", "subcategory"}, default="happy-sad"
        What y names. "happy-sad" takes the emoji that `emoji_class` knows; "subcategory" takes
        all of the category 'Smileys & Emotion', with Unicode's subcategory as class, such as
        "face-concerned" or "heart".
    sequences : {"separate", "first"}, default="separate"
        What an emoji of several characters is to "happy-sad". With "separate" it is an emoji of
        its own and has no class; with "first" it has that of its first code point. That concerns
        U+1F642 U+200D U+2194 and U+1F642 U+200D U+2195, a slightly smiling head that is shaken,
        or nods. Subcategories are their own in both cases.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of shape (n_samples,), dtype object
            Paths, as str.
        target : ndarray of shape (n_samples,), dtype object
            Class names, as str.
        target_names : list of str
            The distinct classes, sorted.
        code_points : ndarray of shape (n_samples,), dtype object
            Which emoji it is, as the table writes it: "1F600", "263A-FE0F". The same for all
            vendors, so that it groups the images of one emoji.
        vendor : ndarray of shape (n_samples,), dtype object
            Whose image it is.
        names : ndarray of shape (n_samples,), dtype object
            Names, such as "GRINNING FACE".
        missing : list of str
            Images that should be there and are not, relative to `path`.
        DESCR : str
            Description of the data.
    data, target : tuple of ndarray
        If ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If the folder, its ``emoji.json`` or a vendor's folder is not there.
    ValueError
        If ``emoji.json`` is damaged, `vendor` names none or one twice, or no image is left.

    Warns
    -----
    UserWarning
        If images are missing that the table says the vendor has.

    See Also
    --------
    emotion_estimators.datasets.load_image_folder : Load a folder of class folders.

    Notes
    -----
    Rows are sorted by vendor (in the order of `vendor`, if that is given), then by code points
    as numbers. The kissing faces U+1F617 to U+1F619 are in the tables of both happy and sad
    emoji, and are happy. A variation selector (U+FE0F) does not make a sequence.

    The images have transparent corners. Estimators here composite them on white, as
    `emotion_estimators.images.read_image` does; OpenCV's ``imread`` drops the opacity, which
    mostly gives black corners.

    Some vendors do not have all emoji. The table says which, and they are among `missing`
    without a warning.

    References
    ----------
    https://github.com/iamcal/emoji-data

    Examples
    --------
    >>> import json
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from emotion_estimators.datasets import load_emoji
    >>> row = {"category": "Smileys & Emotion", "subcategory": "face-smiling"}
    >>> row |= {"name": "GRINNING FACE", "unified": "1F600", "image": "1f600.png"}
    >>> with TemporaryDirectory() as root:
    ...     (Path(root) / "img-apple-64").mkdir()
    ...     _ = (Path(root) / "emoji.json").write_text(json.dumps([row]))
    ...     Image.new("RGBA", (64, 64)).save(Path(root) / "img-apple-64" / "1f600.png")
    ...     emoji = load_emoji(root)
    >>> emoji.target, emoji.code_points, emoji.vendor
    (array(['happy'], dtype=object), array(['1F600'], dtype=object), array(['apple'], dtype=object))
    """
    root = Path(path)
    table = read_emoji_table(root / "emoji.json", needed_by="load_emoji")
    vendors = _present_vendors(root) if vendor is None else check_vendors(vendor, "load_emoji")
    for name in vendors:
        if not (root / picture_folder(name)).is_dir():
            present = ", ".join(_present_vendors(root)) or "none"
            raise FileNotFoundError(
                f"load_emoji expected the folder {picture_folder(name)} in {root}. Vendors "
                f"there: {present}."
            )
    if not vendors:
        raise FileNotFoundError(f"load_emoji found no folder img-<vendor>-64 in {root}.")
    bunch = gather_emoji(
        root, table, vendors, kind=target, sequences=sequences, needed_by="load_emoji"
    )
    return (bunch.data, bunch.target) if return_X_y else bunch


def gather_emoji(
    root: Path,
    table: list[Emoji],
    vendors: list[str],
    *,
    kind: str,
    sequences: str,
    needed_by: str,
) -> Bunch:
    """Return the Bunch of the emoji that have a class and whose images lie below `root`."""
    rows, missing, lost = [], [], []
    for vendor in vendors:
        for emoji in table:
            label = class_of_row(emoji, kind, sequences)
            if label is None:
                continue
            file = root / picture_folder(vendor) / emoji.picture
            if os.path.isfile(file):  # noqa: PTH113 - False for names no system allows
                rows.append((str(file), label, emoji.code_points, vendor, emoji.name))
                continue
            missing.append(f"{picture_folder(vendor)}/{emoji.picture}")
            if vendor not in emoji.lacking:
                lost.append(missing[-1])
    if not rows:
        raise ValueError(
            f"{needed_by} found no image of an emoji with a class in {root}, of "
            f"{len(missing)} that there should be."
        )
    if lost:
        warnings.warn(
            f"{needed_by}: {root} lacks {counted(len(lost), 'image')}, the first of them "
            f"{lost[0]}.",
            stacklevel=5,  # the caller of the public function, which scikit-learn wraps
        )
    columns = [np.array(column, dtype=object) for column in zip(*rows, strict=True)]
    data, target, code_points, vendor_column, names = columns
    target_names = sorted(set(target))
    return Bunch(
        data=data,
        target=target,
        target_names=target_names,
        code_points=code_points,
        vendor=vendor_column,
        names=names,
        missing=missing,
        DESCR=_DESCR.format(
            n_samples=len(data),
            n_emoji=len(set(code_points)),
            vendors=", ".join(vendors),
            kind=kind,
            classes=", ".join(f"{name} ({(target == name).sum()})" for name in target_names),
        ),
    )


def check_vendors(vendor: str | Sequence[str], needed_by: str) -> list[str]:
    """Return one vendor, or several, as a list of distinct names."""
    vendors = [vendor] if isinstance(vendor, str) else list(vendor)
    plain = all(
        isinstance(name, str) and _FOLDER.fullmatch(picture_folder(name)) for name in vendors
    )
    if not vendors or not plain or len(set(vendors)) < len(vendors):
        raise ValueError(
            f"{needed_by} expected vendor to be a name like 'apple', or several distinct ones, "
            f"got {vendor!r}."
        )
    return vendors


def _present_vendors(root: Path) -> list[str]:
    names = (_FOLDER.fullmatch(folder.name) for folder in root.iterdir() if folder.is_dir())
    return sorted(name[1] for name in names if name)
