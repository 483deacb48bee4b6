"""Emoji from github.com/iamcal/emoji-data, downloaded once; stands on `emoji_folder`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import partial
from io import BytesIO
from numbers import Real
from pathlib import Path
from typing import Any, BinaryIO

from emotion_estimators._downloads import (
    CutOffError,
    NotThereError,
    check_address,
    download,
    is_offline,
    passes,
    readable_address,
)
from emotion_estimators._progress import progress_bar
from emotion_estimators._sklearn import Interval, StrOptions, constraints, validate_params
from emotion_estimators.datasets._data_home import EMOJI_FOLDER, IF_UNWRITABLE, get_data_home
from emotion_estimators.datasets._emoji_table import (
    Emoji,
    class_of_row,
    picture_folder,
    read_emoji_table,
)
from emotion_estimators.datasets.emoji_folder import check_vendors, gather_emoji
from emotion_estimators.exceptions import DownloadError, counted
from emotion_estimators.images.threads import count_threads

__all__ = ["fetch_emoji"]

_TAG = "v16.0.0"
_BASE_URL = f"https://raw.githubusercontent.com/iamcal/emoji-data/{_TAG}"
_TABLE_SHA256 = "1d602e65be88772bf8cc368ce16b855d719eeddbafe128d471b80203f494d29f"
_VENDORS = ("apple", "facebook", "google", "twitter")
_SIDE = 64  # pixels
_LARGEST_TABLE, _LARGEST_PICTURE = 1 << 24, 1 << 20  # bytes
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_END = b"IEND\xaeB`\x82"  # type and checksum of the last chunk, which holds nothing


@validate_params(
    {
        **constraints("vendor"),
        "target": [StrOptions({"happy-sad", "subcategory"})],
        "sequences": [StrOptions({"separate", "first"})],
        "data_home": [str, os.PathLike, None],
        "base_url": [str, None],
        "table_sha256": [str, None],
        **constraints("n_threads"),
        "timeout": [Interval(Real, 0, None, closed="neither")],
        **constraints("verbose", "return_X_y"),
    },
    prefer_skip_nested_validation=True,
)
def fetch_emoji(
    *,
    vendor: str | Sequence[str] | None = None,
    target: str = "happy-sad",
    sequences: str = "separate",
    data_home: str | os.PathLike[str] | None = None,
    base_url: str | None = None,
    table_sha256: str | None = None,
    n_threads: int | None = 8,
    timeout: float = 30.0,
    verbose: int = 0,
    return_X_y: bool = False,
) -> Any:
    """Download images of smileys, once, and load them.

    Parameters
    ----------
    vendor : str, sequence of str or None, default=None
        Whose images to take. "apple", "facebook", "google", "twitter" or several of these; None
        takes all four.
    target : {"happy-sad", "subcategory"}, default="happy-sad"
        What y names. As for `load_emoji`; only images that have such a class are downloaded.
    sequences : {"separate", "first"}, default="separate"
        What an emoji of several characters is to "happy-sad". As for `load_emoji`.
    data_home : str, path-like or None, default=None
        Folder in which downloads are kept. These are in ``emoji-data/v16.0.0`` there; None is the
        folder of `get_data_home`.
    base_url : str or None, default=None
        What ``/emoji.json`` and ``/img-<vendor>-64/<image>`` are appended to, such as the
        address of a mirror; one of another version needs a `data_home` of its own too. None is
        tag v16.0.0 of the collection, at raw.githubusercontent.com.
    table_sha256 : str or None, default=None
        SHA-256 that ``emoji.json`` must have, or "any". None is that of tag v16.0.0.
    n_threads : int or None, default=8
        Threads that work at the same time. Each has a download; None is the number of CPUs that
        the process may use, or ``OMP_NUM_THREADS`` where that is less.
    timeout : float, default=30.0
        Longest wait for the server, in seconds: for the connection and between two pieces.
    verbose : int, default=0
        Above 0, show progress bars.
    return_X_y : bool, default=False
        Return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        As `load_emoji` returns it.
    data, target : tuple of ndarray
        If ``return_X_y=True``.

    Raises
    ------
    ConnectionError
        If files cannot be downloaded, or must not: ``EMOTION_ESTIMATORS_OFFLINE``. What has
        arrived is kept, and the next call goes on from there.
    DownloadError
        If ``emoji.json`` has another SHA-256, or what comes as an image is none of 64 x 64 px.
    ValueError
        If `vendor` names none, one twice or an unknown one, `base_url` is no http address, or
        no image could be loaded.
    OSError
        If `data_home` cannot be written.

    Warns
    -----
    UserWarning
        If the server does not have images that the table promises. The others are loaded, and
        ``bunch.missing`` lists these.

    See Also
    --------
    load_emoji : Load such a folder without any network.
    clear_data_home : Delete what was downloaded.
    load_emoji_sample : Load the emoji that come with the package.

    Notes
    -----
    A file appears in `data_home` whole or not at all, also when several processes fetch at once.
    Lost connections, timeouts and server errors are tried three times; other answers are final. An
    image may take 60 s, the table 14 minutes, all attempts together. Files that are there are
    checked again and not downloaded again: with all of them there, nothing is asked of the network.

    ``emoji.json`` is known by its SHA-256. The images have no known hashes: each is checked
    to be a whole PNG file of 64 x 64 px.

    The table is under the MIT licence. The images are their vendors', who set the terms: Apple's
    may not be passed on, for example.

    References
    ----------
    https://github.com/iamcal/emoji-data

    Examples
    --------
    >>> from emotion_estimators.datasets import fetch_emoji
    >>> fetch_emoji(base_url="my.mirror")
    Traceback (most recent call last):
    ...
    ValueError: fetch_emoji expected base_url to begin with http:// or https://, got 'my.mirror'.
    """
    vendors = check_vendors(_VENDORS if vendor is None else vendor, "fetch_emoji")
    unknown = [name for name in vendors if name not in _VENDORS]
    if unknown:
        raise ValueError(
            f"fetch_emoji expected vendor to be of {', '.join(_VENDORS)}, got {unknown[0]!r}."
        )
    base_url = _BASE_URL if base_url is None else base_url
    check_address("fetch_emoji", "base_url", base_url)
    root = get_data_home(data_home) / EMOJI_FOLDER / _TAG
    server = _Server(base_url.rstrip("/"), root, timeout)
    table = server.get_table(_TABLE_SHA256 if table_sha256 is None else table_sha256)
    server.get_pictures(
        [
            f"{picture_folder(name)}/{emoji.picture}"
            for name in vendors
            for emoji in table
            if name not in emoji.lacking and class_of_row(emoji, target, sequences) is not None
        ],
        n_threads=count_threads(n_threads),
        verbose=bool(verbose),
    )
    bunch = gather_emoji(
        root, table, vendors, kind=target, sequences=sequences, needed_by="fetch_emoji"
    )
    return (bunch.data, bunch.target) if return_X_y else bunch


class _Server:
    """Where files come from and go to."""

    def __init__(self, url: str, root: Path, timeout: float) -> None:
        self.url = url
        self.root = root
        self.timeout = timeout

    def get_table(self, sha256: str) -> list[Emoji]:
        """Return the rows of emoji.json, downloaded if it is not there."""
        check = partial(_check_table, readable_address(f"{self.url}/emoji.json"), sha256)
        if not passes(self.root / "emoji.json", check):
            self._refuse_offline(["emoji.json"])
            self._get("emoji.json", check, _LARGEST_TABLE)
        return read_emoji_table(self.root / "emoji.json", needed_by="fetch_emoji")

    def get_pictures(self, names: list[str], *, n_threads: int, verbose: bool) -> None:
        """Download the images that are not there; leave out those the server lacks."""
        wanted = [name for name in names if not passes(self.root / name, _check_picture)]
        if not wanted:
            return
        self._refuse_offline(wanted)
        with (
            progress_bar(
                total=len(wanted), unit="emoji", desc="emoji", is_shown=verbose
            ) as progress,
            ThreadPoolExecutor(n_threads) as threads,
        ):
            downloads = [threads.submit(self._get_picture, name) for name in wanted]
            try:
                for download in as_completed(downloads):
                    download.result()
                    progress.update()
            finally:  # after an error or an interruption no further ones begin
                threads.shutdown(wait=False, cancel_futures=True)

    def _get_picture(self, name: str) -> None:
        try:
            self._get(name, _check_picture, _LARGEST_PICTURE)
        except NotThereError:
            # a damaged file of that name would be taken for the image
            (self.root / name).unlink(missing_ok=True)

    def _get(self, name: str, check: Any, largest: int) -> None:
        download(
            what=f"fetch_emoji: {name}",
            url=f"{self.url}/{name}",
            target=self.root / name,
            check=check,
            wrong=DownloadError,
            if_unreachable="Check the network, or name a mirror as base_url. What has arrived is "
            "kept: call again to go on.",
            if_unwritable=IF_UNWRITABLE,
            largest=largest,
            timeout=self.timeout,
        )

    def _refuse_offline(self, wanted: list[str]) -> None:
        if is_offline():
            raise ConnectionError(
                f"fetch_emoji does not find {counted(len(wanted), 'file')} in {self.root}, the "
                f"first of them {wanted[0]}, and EMOTION_ESTIMATORS_OFFLINE forbids to download "
                f"them from {readable_address(self.url)}. load_emoji takes a folder as it is."
            )


def _check_table(url: str, sha256: str, file: BinaryIO) -> None:
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    if sha256 not in ("any", digest):
        raise DownloadError(
            f"fetch_emoji: what {url} sends has SHA-256 {digest}, expected {sha256}. Nothing was "
            "kept. If you trust a table of another version, pass its hash as table_sha256, and "
            "another data_home."
        )


def _check_picture(file: BinaryIO) -> None:
    """Raise DownloadError for what is no PNG of the right size, CutOffError for half of one."""
    from PIL import Image

    content = file.read()
    if not content.startswith(_SIGNATURE):
        if _SIGNATURE.startswith(content):
            raise CutOffError(f"the body ended after {len(content)} bytes")
        raise DownloadError(
            f"fetch_emoji expected a PNG file from the server, got one that begins with "
            f"{content[:24]!r}. Nothing was kept of it."
        )
    if not content.endswith(_END):
        raise CutOffError(f"the PNG file ended early, after {len(content)} bytes")
    try:
        with Image.open(BytesIO(content), formats=["PNG"]) as image:
            size = image.size
            image.verify()
    except Exception as error:  # Pillow raises nearly anything on damage
        raise DownloadError(
            f"fetch_emoji got a damaged PNG file from the server ({error}). Nothing was kept of it."
        ) from error
    if size != (_SIDE, _SIDE):
        raise DownloadError(
            f"fetch_emoji expected an image of {_SIDE} x {_SIDE} px, got one of {size[1]} x "
            f"{size[0]}. Nothing was kept of it."
        )
