"""Files from a server to disk, whole and checked or not at all; the cache and offline switch.

Imports `_http` inside functions, so that files on disk need no ssl and no urllib.request.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path

__all__ = ["CutOffError", "Download", "NotThereError", "cache_folder", "is_offline"]

_PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt
_ABANDONED = 24 * 3600  # seconds after which a part belongs to no running download
_LARGEST = 1 << 30  # bytes of a file of which nothing is known
_GONE = (404, 410)


class CutOffError(Exception):
    """A check found the body shorter than the file; worth another attempt."""


class NotThereError(ConnectionError):
    """The server answers, and has no such file."""


def cache_folder(part: str) -> Path:
    """Return a folder of the cache; nothing is made."""
    named = os.environ.get("EMOTION_ESTIMATORS_CACHE")
    if named:
        return Path(named) / part
    return _user_cache(sys.platform) / part


def _user_cache(platform: str) -> Path:
    """Return the folder for caches of a system, as the package platformdirs has it."""
    name = "emotion_estimators"
    if platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        # the name stands there for an author's, too
        return (Path(local) if local else _home() / "AppData" / "Local") / name / name / "Cache"
    named = os.environ.get("XDG_CACHE_HOME", "")
    if Path(named).is_absolute():  # the XDG specification: others are to be ignored
        return Path(named) / name
    return _home() / ("Library/Caches" if platform == "darwin" else ".cache") / name


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:
        raise OSError(
            "The cache is expected below the user's home folder, and there is none "
            f"({error}). Set EMOTION_ESTIMATORS_CACHE to a folder that can be written."
        ) from error


def is_offline() -> bool:
    """Return whether ``EMOTION_ESTIMATORS_OFFLINE`` forbids to use the network."""
    return os.environ.get("EMOTION_ESTIMATORS_OFFLINE", "0") not in ("", "0")


@dataclass(frozen=True, kw_only=True)
class Download:
    """What to get, how to know it, and what messages say."""

    what: str  # begins the messages: "Weights 'x'"
    url: str
    target: Path
    check: Callable[[BufferedRandom], None]  # raises CutOffError, or an error that is final
    wrong: type[ValueError]  # raised for a body that is too long
    if_unreachable: str  # ends the messages
    if_unwritable: str
    size: int | None = None
    largest: int | None = None  # bytes of a file of unknown size
    timeout: float = 30.0
    verbose: bool = False

    def run(self) -> None:
        """Download into a part beside the target, check it, and give it its name.

        Lost connections, timeouts and server errors are tried three times.
        """
        # A name of its own for each download, so that two at once do not write into one file.
        part = self.target.with_name(f".{self.target.name}.{secrets.token_hex(8)}.part")
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(self.target)
            file = part.open("xb+")
        except OSError as error:
            raise OSError(
                f"{self.what} cannot be stored in {self.target.parent}: {error}. "
                f"{self.if_unwritable}"
            ) from error
        try:
            with file:
                self._receive_patiently(file)
            part.replace(self.target)
        finally:
            part.unlink(missing_ok=True)

    def _receive_patiently(self, file: BufferedRandom) -> None:
        """Write what the server sends to the file; try again where that may help."""
        from emotion_estimators._http import LostError, RefusedError

        for pause in (*_PAUSES, None):
            try:
                self._receive(file)
                file.flush()
                file.seek(0)
                self.check(file)
            except RefusedError as error:
                raise self._unreachable(error, gone=error.status in _GONE) from error
            except (LostError, CutOffError) as error:
                if pause is None:
                    raise self._unreachable(error) from error
                time.sleep(pause)
            else:
                return

    def _unreachable(self, error: Exception, *, gone: bool = False) -> ConnectionError:
        return (NotThereError if gone else ConnectionError)(
            f"{self.what} cannot be downloaded from {self.url}: {error}. {self.if_unreachable}"
        )

    def _receive(self, file: BufferedRandom) -> None:
        from tqdm import tqdm

        from emotion_estimators._http import receive

        file.seek(0)
        file.truncate()
        with (
            tqdm(
                total=self.size,
                unit="B",
                unit_scale=True,
                desc=self.target.name,
                disable=not self.verbose,
            ) as progress,
            closing(receive(self.url, timeout=self.timeout)) as pieces,
        ):
            for piece in pieces:
                self._keep(piece, file)
                progress.update(len(piece))

    def _keep(self, piece: bytes, file: BufferedRandom) -> None:
        largest = self.size or self.largest or _LARGEST
        if file.tell() + len(piece) > largest:
            raise self.wrong(
                f"{self.what}: {self.url} sends more than the {largest} bytes of the file. "
                "Nothing was kept."
            )
        file.write(piece)


def _remove_abandoned(target: Path) -> None:
    """Remove the parts of downloads whose process was killed."""
    for part in target.parent.glob(f".{target.name}.*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > _ABANDONED:
                part.unlink()
