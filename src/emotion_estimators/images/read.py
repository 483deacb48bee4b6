"""Files, encoded bytes and PIL images in, uint8 arrays out.

Nothing here depends on, or changes, Pillow's settings or Python's warning filters, which belong to
all threads.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_estimators._forks import ThreadLock
from emotion_estimators.exceptions import ImageReadError, shorten
from emotion_estimators.images.color import flatten_alpha
from emotion_estimators.images.formats import FORMATS, find_reader, format_problem
from emotion_estimators.images.jpeg import decode_jpeg
from emotion_estimators.images.stripped import (
    JPEG_HEAD,
    Stripped,
    exif_orientation,
    grey_levels,
    strip,
    xmp_orientation,
)

__all__ = [
    "LONGEST_PATH",
    "MAX_PIXELS",
    "ImageSource",
    "check_size",
    "decode_image",
    "read_image",
    "read_image_size",
]

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image

_HEAD = 64  # bytes that tell what a file is
MAX_PIXELS = 178_956_970  # above which Pillow, too, refuses files unless told otherwise
_MAX_BYTES = 2**30  # of a file
LONGEST_PATH = 4096  # characters; more than any system allows

_EXIF_ORIENTATION, _BITS, _PHOTOMETRIC = 274, 258, 262
# EXIF orientations that stand on a side, and those of which rows or columns then go backwards
_SIDEWAYS = (5, 6, 7, 8)
_ROWS_BACK, _COLUMNS_BACK = (3, 4, 7, 8), (2, 3, 6, 7)
_PART_PIXELS = 2**22  # pixels whose opacity is removed together
_HUGE_PIXELS = 2**25  # of an image that is converted in parts, as Pillow copies what it hands out
_SIXTEEN_BITS_IN_32 = ("PNG", "PPM")  # formats whose 16-bit pixels Pillow may hold in mode "I"


def read_image(source: ImageSource) -> NDArray[np.uint8]:
    """Decode one image, upright and opaque.

    Parameters
    ----------
    source : str, path-like, bytes or PIL.Image.Image
        Path of a file in one of the formats that are read, see Notes, the encoded bytes of such
        a file, or an open PIL image, whose current frame is taken.

    Returns
    -------
    image : ndarray of shape (height, width) or (height, width, 3), dtype uint8
        Grey levels or RGB in 0..255. Grey files stay grey.

    Raises
    ------
    ImageReadError
        If there is no such file, it is a folder, not an image, cut off, larger than 179 million
        pixels (or than twice ``PIL.Image.MAX_IMAGE_PIXELS``, where that is less) or 1 GiB, a
        program (EPS), a JPEG file of hundreds of scans, or holds floating-point or 32-bit
        pixels.

    Notes
    -----
    The EXIF orientation is applied. Transparent pixels are composited on white. Palettes,
    CMYK and other colour spaces become RGB. 16-bit grey is scaled to 8 bits by 255/65535
    and rounded; of 16-bit RGB, and of 16-bit grey with opacity, which comes as RGB, Pillow
    keeps the upper 8 bits. Of an animation or a file of several pages the first is taken.
    Damaged metadata, such as EXIF data, do not matter: pixels that can be read are returned.

    Read are JPEG (also MPO), PNG, WebP, GIF, BMP, DIB, TIFF, AVIF, JPEG 2000, PPM (PBM, PGM,
    PNM), PCX, PSD, QOI, SGI, SUN, DDS and TGA, as far as the Pillow that is installed reads
    them; HEIF (HEIC) with pi-heif (extra ``heif``); and JPEG XL where an add-on to Pillow has
    registered it. A photograph of n pixels takes about 7 n bytes while it is read, beside those
    of the file; twice as many if it must be turned.

    Examples
    --------
    >>> from io import BytesIO
    >>> from PIL import Image
    >>> from emotion_estimators.images import read_image
    >>> file = BytesIO()
    >>> Image.new("L", (4, 2), 7).save(file, "png")
    >>> read_image(file.getvalue())
    array([[7, 7, 7, 7],
           [7, 7, 7, 7]], dtype=uint8)
    """
    return decode_image(source)


def read_image_size(source: ImageSource) -> tuple[int, int]:
    """Read height and width from an image's header, without decoding its pixels.

    Parameters
    ----------
    source : str, path-like, bytes or PIL.Image.Image
        As for `read_image`.

    Returns
    -------
    size : tuple of int
        Height and width in pixels, as `read_image` would return the image.

    Raises
    ------
    ImageReadError
        If the header already shows that `read_image` would fail.

    Examples
    --------
    >>> from PIL import Image
    >>> from emotion_estimators.images import read_image_size
    >>> read_image_size(Image.new("L", (4, 2)))
    (2, 4)
    """
    if isinstance(source, Image.Image):
        with _pil_lock.held(), _named_errors():
            width, height = source.size
            orientation = _orientation_of(source)
    else:
        with _open_file(source, header_only=True) as file:
            head, stripped = _strip(file, header_only=True)
            if stripped is not None and stripped.size is not None and not stripped.file:
                (width, height), orientation = stripped.size, stripped.orientation
            else:
                with _opened(file, head, stripped) as (image, opened):
                    width, height = opened.size or image.size
                    orientation = opened.orientation
    return (width, height) if orientation in _SIDEWAYS else (height, width)


# Pillow decodes an open image where it is first used, out of a file object that may be that of
# other images, and not safely in two threads.
_pil_lock = ThreadLock()


def decode_image(source: ImageSource, *, min_side: int | None = None) -> NDArray[np.uint8]:
    """Do what `read_image` does, maybe to a smaller image.

    With `min_side`, a JPEG file may come at a half, a quarter or an eighth of its size, which
    is quicker; its longer side has that many pixels at least. An open PIL image does not.
    """
    if isinstance(source, Image.Image):
        with _pil_lock.held(), _named_errors():
            source.load()  # before the orientation is asked for: Pillow turns TIFF files itself
            tags = getattr(source, "tag_v2", {}) if source.format == "TIFF" else {}
            bits = tags.get(_BITS, (1,))
            levels = grey_levels(
                tags.get(_PHOTOMETRIC), bits[0] if isinstance(bits, tuple) else bits
            )
            return _to_array(source, _orientation_of(source), *levels)
    with _open_file(source) as file:
        head, stripped = _strip(file)
        if stripped is not None and head.startswith(JPEG_HEAD):
            pixels = decode_jpeg(stripped.file, stripped.size, min_side=min_side)
            if pixels is not None:
                return _upright(pixels, stripped.orientation)
        with _opened(file, head, stripped) as (image, stripped):
            return _decode_with_pillow(image, stripped, min_side)


def _decode_with_pillow(
    image: Image.Image, stripped: Stripped, min_side: int | None
) -> NDArray[np.uint8]:
    """Return the pixels of a file that Pillow has opened, as `decode_image` does."""
    if min_side is not None:
        longer = max(image.size)  # decides alone: the other side is rounded down
        least = [max(1, side * min_side // longer) for side in image.size]
        image.draft(image.mode, (least[0], least[1]))  # does nothing for other formats
    if image.format == "TIFF":  # Pillow would warn of many pixels as it makes room for them
        image.im = Image.new(image.mode, image.size).im
    size = image.size
    image.load()
    if image.format == "HEIF" and image.size != size:
        raise ImageReadError(
            f"is damaged: it holds {image.height} x {image.width} px where its header says "
            f"{size[1]} x {size[0]}"
        )
    return _to_array(image, stripped.orientation, stripped.is_inverted, stripped.top)


@contextmanager
def _open_file(
    source: str | os.PathLike[str] | bytes, *, header_only: bool = False
) -> Iterator[BinaryIO]:
    """Open an encoded image and turn every way in which that can fail into `ImageReadError`.

    Files are read as bytes are, whose pixels Pillow does not map into memory.
    """
    if isinstance(source, bytes):
        if not source:
            raise ImageReadError("is empty")
        with _named_errors():
            yield _Bytes(source)
        return
    path = _check_file(source)
    with _named_errors():
        if header_only:
            with path.open("rb") as file:
                yield cast("BinaryIO", _Unnamed(file))
        else:
            yield _Bytes(path.read_bytes())


def _strip(file: BinaryIO, *, header_only: bool = False) -> tuple[bytes, Stripped | None]:
    """Return the first bytes of a file, and what `strip` does if it is of a size that is read."""
    head = file.read(_HEAD)
    stripped = strip(file, head, header_only=header_only)
    if stripped is not None and stripped.size is not None:
        check_size(*stripped.size)
    return head, stripped


@contextmanager
def _opened(
    file: BinaryIO, head: bytes, stripped: Stripped | None
) -> Iterator[tuple[Image.Image, Stripped]]:
    """Open a file with Pillow."""
    if stripped is not None:
        file = _Bytes(stripped.file)
    with _identified(file, head) as image:
        check_size(*image.size)
        if stripped is None:
            stripped = Stripped(b"", _orientation_in(image.info))
        if isinstance(file, _Bytes):
            file.is_pixels = image.format != "JPEG2000"  # whose decoder reads on to the end
        yield image, stripped


def _identified(file: BinaryIO, head: bytes) -> Image.Image:
    """Open a file as `PIL.Image.open` does, but without its look at the number of pixels.

    That depends on a setting of Pillow, and ends in a warning.
    """
    Image.preinit()
    problem = ""
    for name in FORMATS:
        open_file, accept = find_reader(name) or (None, None)
        if open_file is None or (accept is not None and accept(head[:16]) is not True):
            continue
        file.seek(0)
        try:
            return cast("Image.Image", open_file(file, ""))
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if accept is not None:
                problem = problem or f" ({shorten(str(error))})"
    raise ImageReadError(format_problem(head) + problem)


def check_size(width: int, height: int) -> None:
    """Raise ImageReadError for an image, or frame, of more pixels than are read."""
    most = MAX_PIXELS
    if Image.MAX_IMAGE_PIXELS is not None:
        most = min(most, 2 * Image.MAX_IMAGE_PIXELS)  # as Pillow; above it a file is refused
    if width * height > most:
        raise ImageReadError(
            f"has too many pixels, maybe a decompression bomb ({height} x {width} px, of at most "
            f"{most} in all). Make it smaller first if you trust it"
        )


class _Bytes(BytesIO):
    """Bytes as a file: there is nothing before their beginning, nor beyond their end.

    BytesIO goes to the beginning instead, and what Pillow reads there is not what it wanted.
    Where pixels are missing at the end, Pillow's setting LOAD_TRUNCATED_IMAGES decides.
    """

    is_pixels = False  # whether all that is still to come are pixels

    def __init__(self, source: bytes) -> None:
        super().__init__(source)
        self._n_bytes = len(source)

    def read(self, size: int | None = -1, /) -> bytes:
        content = super().read(size)
        if self.is_pixels and not content and size:
            raise OSError("image file is truncated")
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_CUR: self.tell(), os.SEEK_END: self._n_bytes}.get(whence, 0)
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return super().seek(offset, whence)


class _Unnamed:
    """An open file without its name and number, by which Pillow would open it again."""

    def __init__(self, file: BinaryIO) -> None:
        self.read, self.seek, self.tell, self.close = file.read, file.seek, file.tell, file.close


def _check_file(source: str | os.PathLike[str]) -> Path:
    """Return the path of a file that can be opened; raise `ImageReadError` if it cannot."""
    path = Path(source)
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ImageReadError(f"cannot be opened: {reason}{_hint(os.fspath(source))}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageReadError("is a folder, not an image file")
    if not stat.S_ISREG(status.st_mode):
        raise ImageReadError("is not a regular file")  # opening a pipe would wait for ever
    if status.st_size == 0:
        raise ImageReadError("is empty")
    if status.st_size > _MAX_BYTES:
        raise ImageReadError(f"has {status.st_size} bytes, more than {_MAX_BYTES}")
    return path


def _hint(path: str) -> str:
    """Say where a file was looked for, or what to do with a text that is no path."""
    scheme = path[:32].partition(":")[0].lower()
    if scheme == "data":
        return ". For a data: URL pass base64.b64decode(url.partition(',')[2])"
    if len(path) > LONGEST_PATH or (len(path) > 255 and not os.path.dirname(path)):  # noqa: PTH120
        return ". For text in base64 pass base64.b64decode(text)"
    if "://" in path[:32]:
        return ". A URL is not fetched: download the file, and pass its path or bytes"
    if os.path.isabs(path):  # noqa: PTH117 - of a text that may be no path
        return ""
    try:
        return f" (looked in {shorten(str(Path.cwd()))})"
    except OSError:
        return " (the working directory was removed)"


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except ImageReadError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageReadError(f"has too many pixels ({shorten(str(error))})") from error
    except MemoryError as error:
        raise ImageReadError("does not fit into memory. Make it smaller first") from error
    except Exception as error:
        # a place outside of the file, to which damage points, is an invalid argument
        if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:
            raise ImageReadError(f"cannot be opened: {error.strerror}") from error
        # Pillow's decoders raise nearly every built-in error, and zlib's and struct's, on damage
        reason = shorten(str(error)) or type(error).__name__
        raise ImageReadError(f"is damaged or cut off ({reason})") from error


def _orientation_in(info: dict[Any, Any]) -> int:
    """Return the orientation that an image's metadata tell."""
    exif = info.get("exif")
    orientation = exif_orientation(exif) if isinstance(exif, bytes) else 1
    xmp = info.get("xmp")
    return xmp_orientation(xmp) if orientation == 1 and isinstance(xmp, bytes) else orientation


def _orientation_of(image: Image.Image) -> int:
    """Return the orientation of an open PIL image, whose metadata may have been changed."""
    tags = getattr(image, "tag_v2", None)
    # Pillow warns of damage as it reads metadata: a JPEG or WebP file's, untouched, are read here
    is_untouched = getattr(image, "_exif", None) is None and isinstance(
        image.info.get("exif"), bytes
    )
    if is_untouched and tags is None:
        return _orientation_in(image.info)
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # damaged EXIF data raises as variously as damaged pixels do
        return 1
    # newer versions of Pillow already give the upright size of a TIFF file
    is_upright = tags is not None and image.size != (tags.get(256), tags.get(257))
    if not isinstance(orientation, int) or (is_upright and orientation in _SIDEWAYS):
        return 1
    return orientation


def _to_array(
    image: Image.Image, orientation: int, is_inverted: bool, top: int
) -> NDArray[np.uint8]:
    """Return a decoded image, upright and opaque, (height, width) or (height, width, 3)."""
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in _SIXTEEN_BITS_IN_32):
        transparent = image.info.get("transparency")
        array = _convert(
            image, mode, 0, lambda part: _from_16_bits(part, transparent, is_inverted, top)
        )
        return _upright(array, orientation)
    if mode in ("I", "F"):
        kind = "32-bit" if mode == "I" else "floating-point"
        raise ImageReadError(
            f"holds {kind} pixels, whose range is not known. Read it into a float array in "
            "0..1 and pass that"
        )
    grey = mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        opaque = _convert(image, "LA" if grey else "RGBA", 1 if grey else 3, flatten_alpha)
        return _upright(opaque[..., 0] if grey else opaque, orientation)
    pixels = _convert(image, "L" if grey else "RGB", 0 if grey else 3, None)
    return _upright(pixels, orientation)


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Return (height, width) or (height, width, 3) as its orientation says."""
    if orientation not in range(2, 9):
        return pixels
    # a pixel is one item: quicker than three
    whole = pixels.view("V3")[..., 0] if pixels.ndim == 3 else pixels
    turned = whole.T if orientation in _SIDEWAYS else whole
    down = -1 if orientation in _ROWS_BACK else 1
    across = -1 if orientation in _COLUMNS_BACK else 1
    upright = np.ascontiguousarray(turned[::down, ::across])
    return upright.view(np.uint8).reshape(*upright.shape, *pixels.shape[2:])


def _convert(
    image: Image.Image,
    mode: str,
    n_channels: int,
    change: Callable[[NDArray[Any]], NDArray[np.uint8]] | None,
) -> NDArray[np.uint8]:
    """Return the changed pixels of an image in a mode; of a huge one in parts, one by one."""
    width, height = image.size
    n_pixels = width * height
    if change is None and n_pixels <= _HUGE_PIXELS:
        return np.array(image if image.mode == mode else image.convert(mode))
    array = np.empty((height, width, n_channels) if n_channels else (height, width), np.uint8)
    step = max(1, _PART_PIXELS // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        part = image if step >= height else image.crop((0, top, width, bottom))
        pixels = np.asarray(part if part.mode == mode else part.convert(mode))
        array[top:bottom] = pixels if change is None else change(pixels)
    return array


def _from_16_bits(
    levels: NDArray[np.integer], transparent: object, is_inverted: bool, top: int
) -> NDArray[np.uint8]:
    scaled = levels.astype(np.uint32)
    scaled = ((top - scaled if is_inverted else scaled) * 255 + top // 2) // top
    image = np.minimum(scaled, 255).astype(np.uint8)
    if isinstance(transparent, int):
        image[levels == transparent] = 255
    return image
