"""Weights by name: from a data folder or the cache, else downloaded once and checked."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from emotion_estimators._downloads import CutOffError, cache_folder, download, is_offline
from emotion_estimators.exceptions import WeightsError
from emotion_estimators.weights.files import embedded_weights, file_sha256
from emotion_estimators.weights.registry import get_card, list_cards
from emotion_estimators.weights.weight_card import WeightCard

__all__ = ["fetch_all", "fetch_weights", "find_weights", "must_download"]

_POINTER = b"version https://git-lfs.github.com/spec/"


def fetch_weights(
    name: str, *, precision: str | None = None, verbose: int = 0, timeout: float = 30.0
) -> Path:
    """Return the file of registered weights; download it if it is not on this machine.

    Parameters
    ----------
    name : str
        One of the names that `list_cards` gives.
    precision : {"float32", "int8"} or None, default=None
        Numbers that the network computes in. Which of its files, where the card has several; None
        is the card's first.
    verbose : int, default=0
        Above 0, show progress bars. Here while downloading.
    timeout : float, default=30.0
        Longest wait for the server, in seconds: for the connection and between two pieces.

    Returns
    -------
    path : Path
        A file whose SHA-256 is that of the card.

    Raises
    ------
    ValueError
        If no weights have that name or come in that precision, or `timeout` is not above 0.
    WeightsError
        If the server sends something other than the card promises.
    ConnectionError
        If the file cannot be downloaded, or must not: ``EMOTION_ESTIMATORS_OFFLINE``.
    OSError
        If the cache cannot be written.

    Notes
    -----
    "embedded" and "yunet" come with the package. Others are looked for in this order:
    ``$EMOTION_ESTIMATORS_DATA/weights``; the cache, which is
    ``$EMOTION_ESTIMATORS_CACHE/weights`` or ``weights`` in the user's cache folder; the card's
    URL, unless ``EMOTION_ESTIMATORS_OFFLINE`` is set to something other than 0. Files with
    another SHA-256 are passed over.

    The file appears in the cache whole or not at all, also when several processes fetch it at
    once. Lost connections, timeouts and server errors are tried three times; other answers are
    final. A download that was cut off starts from the beginning. All attempts together may take a
    second for each 20 kB, but at least 60 s; an hour where the card does not say the size.

    Examples
    --------
    >>> from emotion_estimators.weights import fetch_weights
    >>> fetch_weights("model_v7")
    Traceback (most recent call last):
    ...
    ValueError: get_card expected the name of registered weights (embedded, ...
    """
    card = get_card(name).at(precision)
    found = _find(card)
    if found is not None:
        return found
    *_, cached = _places(card)
    if is_offline():
        others = [str(path) for path in _places(card) if path.is_file()]
        raise ConnectionError(
            f"Weights {card.name!r} are not on this machine, and EMOTION_ESTIMATORS_OFFLINE "
            f"forbids to download them. Put the file of {card.url} (SHA-256 {card.sha256}) at "
            f"{cached}."
            + f" What lies at {' and '.join(others)} has another SHA-256."
            * bool(others)
        )
    _download(card, cached, verbose=bool(verbose), timeout=timeout)
    return cached


def find_weights(name: str) -> Path | None:
    """Return the file of registered weights if it is on this machine; download nothing.

    Parameters
    ----------
    name : str
        One of the names that `list_cards` gives.

    Returns
    -------
    path : Path or None
        A file whose SHA-256 is that of the card, where `fetch_weights` would find it.

    Raises
    ------
    ValueError
        If no weights have that name.
    WeightsError
        If the installation lacks a file that comes with the package.
    """
    return _find(get_card(name))


def _find(card: WeightCard) -> Path | None:
    if card.url is None:
        return embedded_weights(card.file_name)
    return next((path for path in _places(card) if _holds(path, card)), None)


def must_download(name: object) -> bool:
    """Whether this names registered weights that are not on this machine.

    Who uses weights checks all that can be checked without them before they are downloaded.
    """
    names = {card.name for card in list_cards()}
    return isinstance(name, str) and name in names and find_weights(name) is None


def fetch_all(
    task: str | None = None, *, verbose: int = 0, timeout: float = 30.0
) -> dict[str, Path]:
    """Fetch all registered weights, for images of machines and for use without network.

    Parameters
    ----------
    task : {"emotion", "face embedding", "face detection"} or None, default=None
        Take only weights for that task.
    verbose : int, default=0
        Above 0, show progress bars. Here while downloading.
    timeout : float, default=30.0
        Longest wait for the server, in seconds: for the connection and between two pieces.

    Returns
    -------
    paths : dict of str to Path
        The file of each name.
    """
    return {
        card.name: fetch_weights(card.name, verbose=verbose, timeout=timeout)
        for card in list_cards(task)
    }


def _places(card: WeightCard) -> list[Path]:
    """Return where the file may be, the cache last."""
    data = os.environ.get("EMOTION_ESTIMATORS_DATA")
    folders = [Path(data, "weights")] if data else []
    return [folder / card.file_name for folder in [*folders, cache_folder("weights")]]


def _holds(path: Path, card: WeightCard) -> bool:
    try:
        return file_sha256(path) == card.sha256
    except OSError:
        return False


def _download(card: WeightCard, target: Path, *, verbose: bool, timeout: float) -> None:
    download(
        what=f"Weights {card.name!r}",
        url=cast("str", card.url),
        target=target,
        check=partial(_check, card),
        wrong=WeightsError,
        if_unreachable="Check the network, or get the file elsewhere and put it into the folder "
        "weights of EMOTION_ESTIMATORS_DATA or of EMOTION_ESTIMATORS_CACHE.",
        if_unwritable="Set EMOTION_ESTIMATORS_CACHE to a folder that can be written.",
        size=card.size,
        timeout=timeout,
        verbose=verbose,
    )


def _check(card: WeightCard, file: BinaryIO) -> None:
    if file.read(len(_POINTER)) == _POINTER:
        raise WeightsError(
            f"Weights {card.name!r}: {card.url} gives a Git LFS pointer in place of the file. "
            "Nothing was kept. Get the file itself, for example with git lfs pull, and put it "
            "into the folder weights of EMOTION_ESTIMATORS_DATA."
        )
    received = file.seek(0, os.SEEK_END)
    if received < (card.size or 0):
        raise CutOffError(f"the body ended after {received} of {card.size} bytes")
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    if digest != card.sha256:
        raise WeightsError(
            f"Weights {card.name!r}: what {card.url} sends has SHA-256 {digest}, expected "
            f"{card.sha256}. Nothing was kept. If you trust that file, pass it by its path."
        )
