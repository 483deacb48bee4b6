"""A folder of class folders in, paths and labels out."""

from __future__ import annotations

import os
import warnings
import zipfile
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from emotion_estimators._sklearn import StrOptions, constraints, validate_params
from emotion_estimators._untrusted import failed_download
from emotion_estimators.datasets._zip_folder import read_zip, walk_zip
from emotion_estimators.datasets.folder_files import (
    count_kinds,
    describe_kinds,
    read_head,
    split_images,
    walk_folder,
)
from emotion_estimators.exceptions import counted, shorten
from emotion_estimators.labels import canonical_emotion

__all__ = ["load_image_folder"]

_OWNER = "load_image_folder"


@validate_params(
    {
        **constraints("path"),
        "target": [StrOptions({"emotions", "folders"})],
        **constraints("return_X_y"),
    },
    prefer_skip_nested_validation=True,
)
def load_image_folder(
    path: str | os.PathLike[str], *, target: str = "emotions", return_X_y: bool = False
) -> Any:
    """Load images that are sorted into one folder for each class.

    Parameters
    ----------
    path : str or path-like
        Where the data lie. A folder with the layout ``path/<class>/**/<image>``, or a ``.zip``
        file of such a folder. Where a folder holds nothing but one folder of folders
        (``train/<class>/...``), that one is taken.
    target : {"emotions", "folders"}, default="emotions"
        What y names. "emotions" spells the names of the class folders as in
        `emotion_estimators.labels.EMOTIONS` ("Happiness" becomes "happy"; two folders of one
        emotion become one class); "folders" takes any names as they are.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        With the attributes

        data : ndarray of shape (n_samples,), dtype object
            Paths, as str; of a zip file the encoded bytes of each image. Both are X for every
            estimator here.
        target : ndarray of shape (n_samples,), dtype object
            Class names, as str.
        target_names : list of str
            The distinct classes, sorted.
        filenames : ndarray of shape (n_samples,), dtype object
            Paths relative to `path`, with forward slashes.
        ignored : list of str
            Files and hidden folders that were left out: hidden ones, those in no class folder, and
            those that are not images that can be read, by their suffixes or, without a suffix, by
            their first bytes.
    data, target : tuple of ndarray
        If ``return_X_y=True``.

    Raises
    ------
    FileNotFoundError
        If there is no `path`.
    ValueError
        If `path` is neither a folder nor a zip file, is a damaged zip file or one that unpacks
        to far more than images would, holds no class folder or no image, has links to folders that
        lead to each other too often, or, with ``target="emotions"``, a folder's name is not one of
        an emotion.
    OSError
        If a folder in `path` cannot be read; nothing is left out silently.

    Warns
    -----
    UserWarning
        If files were left out or class folders are empty.

    Notes
    -----
    Order is that of the sorted class folders and file names, on every system. Hidden names,
    which begin with a dot or are ``__MACOSX``, are left out; links to folders are followed.
    Nothing is decoded here: damaged images are found, and named, by the estimator that reads them.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from PIL import Image
    >>> from emotion_estimators.datasets import load_image_folder
    >>> with TemporaryDirectory() as root:
    ...     for name in ("Anger", "happiness"):
    ...         (Path(root) / name).mkdir()
    ...         Image.new("L", (48, 48)).save(Path(root) / name / "0.png")
    ...     faces = load_image_folder(root)
    >>> faces.target
    array(['angry', 'happy'], dtype=object)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"load_image_folder found no folder or zip file at {path}.")
    hidden: list[str] = []
    if path.is_dir():
        files, folders = walk_folder(path, owner=_OWNER, hidden=hidden)
        images, _ = split_images(files, lambda name: read_head(path / name))
    elif zipfile.is_zipfile(path):
        heads: dict[str, bytes] = {}
        files, folders = walk_zip(path, owner=_OWNER, hidden=hidden, heads=heads)
        images, _ = split_images(files, lambda name: heads.get(name, b""))
    else:
        reason = failed_download(read_head(path))
        raise ValueError(
            f"load_image_folder expected a folder or a zip file, got the file {path}"
            f"{f': {reason}' if reason else ''}."
        )

    top = _top_folder(files, folders)
    class_names = {
        folder: _class_name(PurePosixPath(folder).name, target, path)
        for folder in sorted(folders)
        if _parent(folder) == top
    }
    if not class_names:
        raise ValueError(
            f"load_image_folder expected {path} to hold one folder for each class, got none."
        )
    rows = _rows(images, top, class_names)
    ignored = sorted({*files, *hidden} - {file for _, file, _ in rows})
    empty = sorted(set(class_names) - {folder for _, _, folder in rows})
    _warn_of_gaps(ignored, empty)
    if not rows:
        raise ValueError(f"load_image_folder found no image in the class folders of {path}.")

    names = [file for _, file, _ in rows]
    if path.is_dir():
        contents: list[Any] = [str(path / name) for name in names]
    else:
        contents = list(read_zip(path, names, owner=_OWNER))
    # as objects: NumPy's own strings and bytes have one width, and lose zeros at the end
    data = np.array(contents, dtype=object)
    y = np.array([label for label, _, _ in rows], dtype=object)
    if return_X_y:
        return data, y
    return Bunch(
        data=data,
        target=y,
        target_names=sorted(set(y)),
        filenames=np.array(names, dtype=object),
        ignored=ignored,
    )


def _parent(name: str) -> str:
    parent = PurePosixPath(name).parent
    return "" if parent == PurePosixPath() else str(parent)


def _top_folder(files: list[str], folders: set[str]) -> str:
    """Return the folder of class folders: `""`, or what a lone folder of folders leads to."""
    with_files = {_parent(file) for file in files}
    children: dict[str, list[str]] = {}
    for folder in folders:
        children.setdefault(_parent(folder), []).append(folder)
    top = ""
    while top not in with_files and len(children.get(top, [])) == 1:
        (only,) = children[top]
        if only not in children:
            break
        top = only
    return top


def _class_name(folder: str, target: str, path: Path) -> str:
    if target == "folders":
        return folder
    try:
        return canonical_emotion(folder)
    except ValueError as error:
        raise ValueError(
            f"load_image_folder found the class folder {folder!r} in {path}, which names no "
            'emotion. Rename it, or pass target="folders" to take the names as they are.'
        ) from error


def _rows(images: list[str], top: str, class_names: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return label, file and class folder of each image in a class folder, sorted."""
    rows = []
    depth = len(PurePosixPath(top).parts) + 1
    for file in images:
        folder = str(PurePosixPath(*PurePosixPath(file).parts[:depth]))
        if folder in class_names:
            rows.append((class_names[folder], file, folder))
    return sorted(rows)


def _warn_of_gaps(ignored: list[str], empty: list[str]) -> None:
    if ignored:
        warnings.warn(
            f"load_image_folder left out {counted(len(ignored), 'file')} as not in a class folder "
            f"or no image, the first of them {shorten(ignored[0])}: "
            f"{describe_kinds(count_kinds(ignored))}",
            stacklevel=5,
        )
    if empty:
        warnings.warn(
            f"load_image_folder found no image in the class folders {', '.join(empty)}.",
            stacklevel=5,
        )
