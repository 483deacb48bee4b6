"""The formats that are read, by name and by first bytes; imports Pillow inside functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any, BinaryIO

from emotion_estimators._untrusted import failed_download

__all__ = [
    "FORMATS",
    "HEIF_ADVICE",
    "HEIF_SUFFIXES",
    "find_reader",
    "format_problem",
    "image_suffixes",
    "is_heif",
    "starts_like_image",
]

# Pillow's readers that are used. HEIF is read by pi-heif where it is installed; it and JXL count
# where an add-on has registered them, too. Others hold no photographs, or run programs (EPS), or
# only recognise a file (HDF5, GRIB, WMF).
FORMATS = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF", "JXL", "JPEG2000", "PPM", "DIB",
    "PCX", "PSD", "QOI", "SGI", "SUN", "DDS", "TGA",  # last: it has no first bytes of its own
)  # fmt: skip

_MORE_SUFFIXES = {".mpo": "JPEG"}  # Pillow names it for writing only
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
HEIF_SUFFIXES = (".heic", ".heics", ".heif", ".heifs", ".hif")
HEIF_ADVICE = 'install pi-heif with pip install "emotion-estimators[heif]", or convert to JPEG'

_Reader = tuple[Callable[..., Any], Callable[[bytes], Any] | None]  # opens, knows first bytes


@cache
def _has_pi_heif() -> bool:
    return find_spec("pi_heif") is not None


def find_reader(name: str) -> _Reader | None:
    """Return what opens files of a format, and tells them by 16 bytes; None if nothing does."""
    from PIL import Image

    if name not in Image.OPEN:
        Image.init()
    if name == "HEIF" and name not in Image.OPEN and _has_pi_heif():
        return _open_heif, is_heif  # without a change of what Pillow opens for others
    return Image.OPEN.get(name)


def _open_heif(file: BinaryIO, name: str) -> Any:
    from pi_heif import HeifImageFile

    return HeifImageFile(file, name)


def is_heif(head: bytes) -> bool:
    """Whether a file that begins with these bytes is in the HEIF format."""
    return head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS


@cache
def _pillow_suffixes() -> frozenset[str]:
    from PIL import Image

    Image.init()
    suffixes = {**Image.registered_extensions(), **_MORE_SUFFIXES}
    return frozenset(
        suffix for suffix, name in suffixes.items() if name in FORMATS and name in Image.OPEN
    )


def image_suffixes() -> frozenset[str]:
    """Return the suffixes, lower case with their dots, of files that can be read."""
    return _pillow_suffixes().union(HEIF_SUFFIXES if find_reader("HEIF") else ())


def starts_like_image(head: bytes) -> bool:
    """Whether a file that begins with these bytes, 16 or more, is an image that can be read."""
    readers = [find_reader(name) for name in FORMATS]
    accepts = [reader[1] for reader in readers if reader is not None]
    start = head[:16].ljust(16, b"\0")  # as Pillow gives them: some do not expect less
    # a text says that the reader is there, but not the library that it needs
    return any(accept is not None and accept(start) is True for accept in accepts)


def format_problem(head: bytes) -> str:
    """Say why a file that begins so is not read, or nothing if that does not show."""
    if head.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return "is a PostScript program, which is not run. Convert it to PNG if you trust it"
    if is_heif(head):
        state = "is damaged" if find_reader("HEIF") else f"cannot be read yet: {HEIF_ADVICE}"
        return f"is a HEIC photograph, which {state}"
    reason = failed_download(head)
    return (
        f"is not an image: {reason}"
        if reason
        else "is not an image in a format that is read, or damaged at its beginning"
    )
