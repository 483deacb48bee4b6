"""Weights by name: from a data folder or the cache, else downloaded once and checked.

Imports pooch and requests inside functions, so that files on disk need neither.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import suppress
from io import BufferedRandom
from pathlib import Path
from typing import Any, BinaryIO

from emotion_estimators.exceptions import WeightsError
from emotion_estimators.weights.files import embedded_weights, file_sha256
from emotion_estimators.weights.registry import get_card, list_cards
from emotion_estimators.weights.weight_card import WeightCard

__all__ = ["fetch_all", "fetch_weights"]

_PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt
_ABANDONED = 24 * 3600  # seconds after which a part belongs to no running download
_LARGEST = 1 << 30  # bytes of a file of unknown size
_POINTER = b"version https://git-lfs.github.com/spec/"


def fetch_weights(name: str, *, verbose: bool | int = False, timeout: float = 30.0) -> Path:
    """Return the file of registered weights; download it if it is not on this machine.

    Parameters
    ----------
    name : str
        One of the names that `list_cards` gives.
    verbose : bool or int, default=False
        Show a progress bar while downloading.
    timeout : float, default=30.0
        Longest wait for the server, in seconds: for the connection and between two pieces.

    Returns
    -------
    path : Path
        A file whose SHA-256 is that of the card.

    Raises
    ------
    ValueError
        If no weights have that name.
    WeightsError
        If the server sends something other than the card promises.
    ConnectionError
        If the file cannot be downloaded, or must not: ``EMOTION_ESTIMATORS_OFFLINE``.
    OSError
        If the cache cannot be written.

    Notes
    -----
    "embedded" is the file that comes with the package. Others are looked for in this order:
    ``$EMOTION_ESTIMATORS_DATA/weights``; the cache, which is
    ``$EMOTION_ESTIMATORS_CACHE/weights`` or ``weights`` in the user's cache folder; the card's
    URL, unless ``EMOTION_ESTIMATORS_OFFLINE`` is set to something other than 0. Files with
    another SHA-256 are passed over.

    The file appears in the cache whole or not at all, also when several processes fetch it at
    once. Lost connections, timeouts and server errors are tried three times; other answers are
    final. A download that was cut off starts anew.

    Examples
    --------
    >>> from emotion_estimators.weights import fetch_weights
    >>> fetch_weights("model_v7")
    Traceback (most recent call last):
    ...
    ValueError: get_card expected the name of registered weights (embedded, ...
    """
    card = get_card(name)
    if card.url is None:
        return embedded_weights()
    data = os.environ.get("EMOTION_ESTIMATORS_DATA")
    if data:
        given = Path(data, "weights", card.file_name)
        if _holds(given, card):
            return given
    cached = _cache_folder() / card.file_name
    if _holds(cached, card):
        return cached
    if os.environ.get("EMOTION_ESTIMATORS_OFFLINE", "0") not in ("", "0"):
        raise ConnectionError(
            f"Weights {card.name!r} are not on this machine, and EMOTION_ESTIMATORS_OFFLINE "
            f"forbids to download them. Put the file of {card.url} (SHA-256 {card.sha256}) at "
            f"{cached}."
        )
    _download(card, cached, verbose=bool(verbose), timeout=timeout)
    return cached


def fetch_all(
    task: str | None = None, *, verbose: bool | int = False, timeout: float = 30.0
) -> dict[str, Path]:
    """Fetch all registered weights, for images of machines and for use without network.

    Parameters
    ----------
    task : {"emotion", "face embedding", "face detection"} or None, default=None
        Take only weights for that task.
    verbose, timeout
        As for `fetch_weights`.

    Returns
    -------
    paths : dict of str to Path
        The file of each name.
    """
    return {
        card.name: fetch_weights(card.name, verbose=verbose, timeout=timeout)
        for card in list_cards(task)
    }


def _cache_folder() -> Path:
    named = os.environ.get("EMOTION_ESTIMATORS_CACHE")
    if named:
        return Path(named) / "weights"
    import pooch

    return Path(pooch.os_cache("emotion_estimators")) / "weights"


def _holds(path: Path, card: WeightCard) -> bool:
    try:
        return file_sha256(path) == card.sha256
    except OSError:
        return False


def _download(card: WeightCard, target: Path, *, verbose: bool, timeout: float) -> None:
    """Download into a part beside the target, check it, and give it its name."""
    # A name of its own for each download, so that two at once do not write into one file.
    part = target.with_name(f".{target.name}.{secrets.token_hex(8)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        file = part.open("xb+")
    except OSError as error:
        raise OSError(
            f"Weights {card.name!r} cannot be stored in {target.parent}: {error}. Set "
            "EMOTION_ESTIMATORS_CACHE to a folder that can be written."
        ) from error
    try:
        with file:
            _receive_patiently(card, file, verbose=verbose, timeout=timeout)
            _check(card, file)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _remove_abandoned(target: Path) -> None:
    """Remove the parts of downloads whose process was killed."""
    for part in target.parent.glob(f".{target.name}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink()


def _receive_patiently(card: WeightCard, file: BinaryIO, *, verbose: bool, timeout: float) -> None:
    """Write what the server sends to the file; try again where that may help."""
    import requests

    for pause in (*_PAUSES, None):
        try:
            _receive(card, file, verbose=verbose, timeout=timeout)
        except requests.RequestException as error:
            response = error.response
            final = response is not None and response.status_code < 500
            if final or pause is None:
                raise ConnectionError(
                    f"Weights {card.name!r} cannot be downloaded from {card.url}: {error}. Check "
                    "the network, or get the file elsewhere and put it into the folder weights "
                    "of EMOTION_ESTIMATORS_DATA or of EMOTION_ESTIMATORS_CACHE."
                ) from error
            time.sleep(pause)
        else:
            return


def _receive(card: WeightCard, file: BinaryIO, *, verbose: bool, timeout: float) -> None:
    import pooch
    import requests
    from tqdm import tqdm

    file.seek(0)
    file.truncate()
    with tqdm(
        total=card.size, unit="B", unit_scale=True, desc=card.file_name, disable=not verbose
    ) as progress:
        download = pooch.HTTPDownloader(timeout=timeout)
        download(card.url, _Receiver(card, file, progress), None)
    received = file.tell()
    # A short pointer file or page is whole in itself; other short bodies were cut off.
    file.seek(0)
    if received < (card.size or 0) and not file.read(len(_POINTER)).startswith(_POINTER):
        raise requests.ConnectionError(f"the body ended after {received} of {card.size} bytes")


class _Receiver:
    """A file to write to that shows progress, and ends what is longer than it may be."""

    def __init__(self, card: WeightCard, file: BinaryIO, progress: Any) -> None:
        self.card = card
        self.file = file
        self.progress = progress

    def write(self, piece: bytes) -> int:
        largest = self.card.size or _LARGEST
        if self.file.tell() + len(piece) > largest:
            raise WeightsError(
                f"Weights {self.card.name!r}: {self.card.url} sends more than the {largest} bytes "
                "of the file. Nothing was kept."
            )
        self.progress.update(len(piece))
        return self.file.write(piece)

    def flush(self) -> None:
        self.file.flush()


def _check(card: WeightCard, file: BufferedRandom) -> None:
    file.flush()
    file.seek(0)
    if file.read(len(_POINTER)) == _POINTER:
        raise WeightsError(
            f"Weights {card.name!r}: {card.url} gives a Git LFS pointer in place of the file. "
            "Nothing was kept. Get the file itself, for example with git lfs pull, and put it "
            "into the folder weights of EMOTION_ESTIMATORS_DATA."
        )
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != card.sha256:
        raise WeightsError(
            f"Weights {card.name!r}: what {card.url} sends has SHA-256 {digest}, expected "
            f"{card.sha256}. Nothing was kept. If you trust that file, pass it by its path."
        )
