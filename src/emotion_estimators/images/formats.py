"""The formats that are read, by name and by first bytes; imports Pillow inside functions."""

from __future__ import annotations

from functools import cache

from emotion_estimators._untrusted import failed_download

__all__ = ["FORMATS", "format_problem", "image_suffixes", "starts_like_image"]

# Pillow's readers that are used. HEIF and JXL count where an add-on has registered them. Others
# hold no photographs, or run programs (EPS), or only recognise a file (HDF5, GRIB, WMF).
FORMATS = (
    "JPEG",
    "PNG",
    "WEBP",
    "GIF",
    "BMP",
    "TIFF",
    "AVIF",
    "HEIF",
    "JXL",
    "JPEG2000",
    "PPM",
    "DIB",
    "PCX",
    "PSD",
    "QOI",
    "SGI",
    "SUN",
    "DDS",
    "TGA",  # last: it has no first bytes of its own
)

_MORE_SUFFIXES = {".mpo": "JPEG"}  # Pillow names it for writing only
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@cache
def image_suffixes() -> frozenset[str]:
    """Return the suffixes, lower case with their dots, of files that can be read."""
    from PIL import Image

    Image.init()
    suffixes = {**Image.registered_extensions(), **_MORE_SUFFIXES}
    return frozenset(
        suffix for suffix, name in suffixes.items() if name in FORMATS and name in Image.OPEN
    )


def starts_like_image(head: bytes) -> bool:
    """Whether a file that begins with these bytes, 16 or more, is an image that can be read."""
    from PIL import Image

    Image.init()
    accepts = [Image.OPEN[name][1] for name in FORMATS if name in Image.OPEN]
    start = head[:16].ljust(16, b"\0")  # as Pillow gives them: some do not expect less
    # a text says that the reader is there, but not the library that it needs
    return any(accept is not None and accept(start) is True for accept in accepts)


def format_problem(head: bytes) -> str:
    """Say why a file that begins so is not read, or nothing if that does not show."""
    if head.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return "is a PostScript program, which is not run. Convert it to PNG if you trust it"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "is a HEIC photograph, which cannot be read. Convert it to JPEG"
    reason = failed_download(head)
    return (
        f"is not an image: {reason}"
        if reason
        else "is not an image in a format that is read, or damaged at its beginning"
    )
