"""FER+'s table of votes, downloaded once; stands on `votes_table`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import partial
from numbers import Real
from typing import Any, BinaryIO

from emotion_estimators._downloads import (
    CutOffError,
    check_address,
    download,
    is_offline,
    passes,
    readable_address,
)
from emotion_estimators._optional import import_optional
from emotion_estimators._sklearn import Interval, constraints, validate_params
from emotion_estimators.datasets._data_home import IF_UNWRITABLE, VOTES_FOLDER, get_data_home
from emotion_estimators.datasets.votes_table import read_votes, votes_of_files
from emotion_estimators.exceptions import DownloadError

__all__ = ["fetch_votes"]

_OWNER = "fetch_votes"
_FILE = "fer2013new.csv"
_COMMIT = "ae2128abf776409c93e50cf7c9d87180673314e6"
_URL = f"https://raw.githubusercontent.com/microsoft/FERPlus/{_COMMIT}/{_FILE}"
_SIZE = 1_602_762  # bytes
_SHA256 = "9206e20d62f56475939f516847d61753e4860caeac9718b560129541b776fc2c"


@validate_params(
    {
        "files": ["array-like", None],
        "data_home": [str, os.PathLike, None],
        "url": [str, None],
        "timeout": [Interval(Real, 0, None, closed="neither")],
        **constraints("verbose"),
    },
    prefer_skip_nested_validation=True,
)
def fetch_votes(
    files: Iterable[Any] | None = None,
    *,
    data_home: str | os.PathLike[str] | None = None,
    url: str | None = None,
    timeout: float = 30.0,
    verbose: int = 0,
) -> Any:
    """Download what ten people voted for each face of FER2013, once, and load it.

    Parameters
    ----------
    files : array-like of str or path-like, or None, default=None
        Images whose votes are returned, in this order. Named as in FER+ ("fer0000000.png"), as for
        `load_votes`. None returns all 35,887 rows, in the order of ``fer2013.csv``.
    data_home : str, path-like or None, default=None
        Folder in which downloads are kept. This one is kept in ``ferplus`` there; None is the
        folder of `get_data_home`.
    url : str or None, default=None
        Address of the file, such as that of a mirror. None is that of FER+'s repository, at
        raw.githubusercontent.com.
    timeout : float, default=30.0
        Longest wait for the server, in seconds: for the connection and between two pieces.
    verbose : int, default=0
        Above 0, show progress bars.

    Returns
    -------
    votes : pandas.DataFrame of shape (n_samples, 10)
        As `load_votes` returns it; for ``votes`` of `load_fer2013`.

    Raises
    ------
    ConnectionError
        If the file cannot be downloaded, or must not: ``EMOTION_ESTIMATORS_OFFLINE``.
    DownloadError
        If what comes has another SHA-256.
    ValueError
        If `url` is no http address, or `files` holds what is no path.
    OSError
        If `data_home` cannot be written.
    MissingDependencyError
        If pandas is not installed.

    Warns
    -----
    UserWarning
        If there are no votes for some of `files`.

    See Also
    --------
    load_votes : Load the table without any network.
    clear_data_home : Delete what was downloaded.

    Notes
    -----
    1.6 MB. The file appears in `data_home` whole or not at all, and is known by its SHA-256: one
    that is there is checked again and not downloaded again.

    FER+ is under the MIT licence, Copyright (c) Microsoft Corporation.

    References
    ----------
    .. [1] E. Barsoum, C. Zhang, C. Canton Ferrer, Z. Zhang, "Training Deep Networks for Facial
       Expression Recognition with Crowd-Sourced Label Distribution", ICMI 2016.
       https://github.com/microsoft/FERPlus

    Examples
    --------
    >>> from emotion_estimators.datasets import fetch_votes
    >>> fetch_votes(url="my.mirror")
    Traceback (most recent call last):
    ...
    ValueError: fetch_votes expected url to begin with http:// or https://, got 'my.mirror'.
    """
    import_optional("pandas", extra="table", needed_by=_OWNER)
    url = _URL if url is None else url
    check_address(_OWNER, "url", url)
    path = get_data_home(data_home) / VOTES_FOLDER / _FILE
    check = partial(_check, readable_address(url))
    if not passes(path, check):
        if is_offline():
            raise ConnectionError(
                f"{_OWNER} does not find {path}, and EMOTION_ESTIMATORS_OFFLINE forbids to "
                f"download it from {readable_address(url)}. load_votes takes a file as it is."
            )
        download(
            what=f"{_OWNER}: {_FILE}",
            url=url,
            target=path,
            check=check,
            wrong=DownloadError,
            if_unreachable="Check the network, or name a mirror as url.",
            if_unwritable=IF_UNWRITABLE,
            size=_SIZE,
            timeout=timeout,
            verbose=bool(verbose),
        )
    return votes_of_files(read_votes(path, owner=_OWNER), files, owner=_OWNER)


def _check(url: str, file: BinaryIO) -> None:
    """Raise DownloadError for another file, CutOffError for a part of one."""
    content = file.read(_SIZE + 1)
    if len(content) < _SIZE:
        raise CutOffError(f"the body ended after {len(content)} of {_SIZE} bytes")
    digest = hashlib.sha256(content).hexdigest()
    if digest != _SHA256:
        raise DownloadError(
            f"{_OWNER}: what {url} sends has SHA-256 {digest}, expected {_SHA256}. Nothing was "
            "kept. load_votes takes a file of another version."
        )
