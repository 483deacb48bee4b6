"""Emoji as two folders, ``happy_emojis`` and ``sad_emojis``: written and read back."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from emotion_estimators._sklearn import validate_params
from emotion_estimators.datasets._emoji_table import parse_code_points
from emotion_estimators.labels import HAPPY_OR_SAD

__all__ = ["load_emoji_folders", "write_emoji_folders"]


@validate_params({"emoji": [Bunch], "path": [str, os.PathLike]}, prefer_skip_nested_validation=True)
def write_emoji_folders(emoji: Bunch, path: str | os.PathLike[str]) -> None:
    """Copy emoji into one folder for each of happy and sad.

    Parameters
    ----------
    emoji : :class:`~sklearn.utils.Bunch`
        Happy and sad emoji of one vendor, as `load_emoji` and `fetch_emoji` return them.
    path : str or path-like
        The folder to make ``happy_emojis`` and ``sad_emojis`` in. Pictures of the same names
        there are replaced.

    Raises
    ------
    ValueError
        If `emoji` holds other classes, or an emoji twice.
    OSError
        If a picture cannot be read, or the folders cannot be written.

    See Also
    --------
    load_emoji_folders : Read these folders.

    Notes
    -----
    The pictures are named by their code points in capitals, ``1F600.png``, and listed without
    ``.png`` in ``happy_emojis/happy.txt`` and ``sad_emojis/sad.txt``, one a line.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from sklearn.utils import Bunch
    >>> from emotion_estimators.datasets import load_emoji_folders, write_emoji_folders
    >>> with TemporaryDirectory() as root:
    ...     picture = Path(root) / "1f600.png"
    ...     Image.new("RGBA", (64, 64)).save(picture)
    ...     emoji = Bunch(data=[str(picture)], target=["happy"], code_points=["1F600"])
    ...     write_emoji_folders(emoji, root)
    ...     load_emoji_folders(root).target
    array(['happy'], dtype=object)
    """
    rows = list(zip(emoji.data, emoji.target, emoji.code_points, strict=True))
    strangers = sorted({str(label) for _, label, _ in rows} - set(HAPPY_OR_SAD))
    if strangers:
        raise ValueError(
            f"write_emoji_folders expected the classes {' and '.join(HAPPY_OR_SAD)}, got "
            f"{', '.join(strangers)}."
        )
    names = [code_points for _, _, code_points in rows]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(
            f"write_emoji_folders expected each emoji once, got {twice} {names.count(twice)} "
            "times. Load the pictures of one vendor only."
        )
    for label in HAPPY_OR_SAD:
        folder = Path(path) / _folder_name(label)
        folder.mkdir(parents=True, exist_ok=True)
        listed = []
        for file, its_label, code_points in rows:
            if its_label == label:
                shutil.copyfile(file, folder / f"{code_points}.png")
                listed.append(f"{code_points}\n")
        (folder / f"{label}.txt").write_text("".join(listed), encoding="utf-8")


@validate_params(
    {"path": [str, os.PathLike], "vendor": [str], "return_X_y": ["boolean"]},
    prefer_skip_nested_validation=True,
)
def load_emoji_folders(
    path: str | os.PathLike[str], *, vendor: str = "unknown", return_X_y: bool = False
) -> Any:
    """Load emoji from the folders ``happy_emojis`` and ``sad_emojis``.

    Parameters
    ----------
    path : str or path-like
        The folder that holds these two.
    vendor : str, default="unknown"
        Whose pictures they are; the folders do not say it.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With ``data``, ``target``, ``target_names``, ``code_points``, ``vendor`` and ``missing`` as
        `load_emoji` returns them.
    data, target : tuple of ndarray
        If ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If one of the folders is not there.
    ValueError
        If a name in a list or folder is no code points, or there is no picture.

    Warns
    -----
    UserWarning
        If pictures are listed that are not there.

    See Also
    --------
    write_emoji_folders : Write these folders.

    Notes
    -----
    Rows are those of ``happy.txt`` and ``sad.txt``, in their order, and in folders without such
    a list all pictures, by their code points as numbers. Classes are as the folders say.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from emotion_estimators.datasets import load_emoji_folders
    >>> with TemporaryDirectory() as root:
    ...     for folder, name in (("happy_emojis", "1F600"), ("sad_emojis", "1F62D")):
    ...         (Path(root) / folder).mkdir()
    ...         Image.new("RGBA", (64, 64)).save(Path(root) / folder / f"{name}.png")
    ...     emoji = load_emoji_folders(root)
    >>> emoji.target, emoji.code_points
    (array(['happy', 'sad'], dtype=object), array(['1F600', '1F62D'], dtype=object))
    """
    rows, missing = [], []
    for label in HAPPY_OR_SAD:
        folder = Path(path) / _folder_name(label)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"load_emoji_folders expected the folder {folder.name} in {folder.parent}."
            )
        for name in _listed(folder, label):
            file = folder / f"{name}.png"
            if os.path.isfile(file):  # noqa: PTH113 - False for names no system allows
                rows.append((str(file), label, name))
            else:
                missing.append(f"{folder.name}/{file.name}")
    if not rows:
        raise ValueError(f"load_emoji_folders found no picture in the two folders of {path}.")
    if missing:
        warnings.warn(
            f"load_emoji_folders misses {len(missing)} pictures that are listed in {path}, the "
            f"first of them {missing[0]}.",
            stacklevel=3,  # the caller, from inside scikit-learn's wrapper
        )
    data, target, code_points = (
        np.array(column, dtype=object) for column in zip(*rows, strict=True)
    )
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=sorted(set(target)),
        code_points=code_points,
        vendor=np.full(len(data), vendor, dtype=object),
        missing=missing,
    )


def _folder_name(label: str) -> str:
    return f"{label}_emojis"


def _listed(folder: Path, label: str) -> list[str]:
    """Return the names that the list holds, or those of all pictures; all are code points."""
    listing = folder / f"{label}.txt"
    try:
        if listing.is_file():
            names = listing.read_text(encoding="utf-8").split()
        else:
            names = [file.stem for file in folder.glob("*.png")]
        numbers = {name: parse_code_points(name) for name in names}
    except ValueError as error:  # also of a list that is not UTF-8
        raise ValueError(f"load_emoji_folders cannot use a name in {folder}: {error}.") from error
    return names if listing.is_file() else sorted(names, key=numbers.__getitem__)
