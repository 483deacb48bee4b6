"""Files, encoded bytes and PIL images in, uint8 arrays out; imports `color` and `exceptions`."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from emotion_estimators.exceptions import ImageReadError
from emotion_estimators.images.color import flatten_alpha

__all__ = ["ImageSource", "decode_image", "quiet_pillow", "read_image", "read_image_size"]

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image

_TIFF_WIDTH, _TIFF_HEIGHT, _EXIF_ORIENTATION = 256, 257, 274
_UPRIGHT: dict[object, Image.Transpose] = {  # EXIF orientation: what makes the image upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PART_PIXELS = 2**22  # pixels whose opacity is removed together
_SIXTEEN_BITS_IN_32 = ("PNG", "PPM")  # formats whose 16-bit pixels Pillow may hold in mode "I"


def read_image(source: ImageSource) -> NDArray[np.uint8]:
    """Decode one image, upright and opaque.

    Parameters
    ----------
    source : str, path-like, bytes or PIL.Image.Image
        Path of a file in any format that Pillow reads, the encoded bytes of such a file, or
        an open PIL image, whose current frame is taken.

    Returns
    -------
    image : ndarray of shape (height, width) or (height, width, 3), dtype uint8
        Grey levels or RGB in 0..255. Grey files stay grey.

    Raises
    ------
    ImageReadError
        If there is no such file, it is a folder, not an image, cut off, larger than
        ``PIL.Image.MAX_IMAGE_PIXELS`` pixels, a program (EPS, which Pillow would have
        Ghostscript run), or holds floating-point or 32-bit pixels.

    Notes
    -----
    The EXIF orientation is applied. Transparent pixels are composited on white. Palettes,
    CMYK and other colour spaces become RGB. 16-bit grey is scaled to 8 bits by 255/65535
    and rounded; of 16-bit RGB, and of 16-bit grey with opacity, which comes as RGB, Pillow
    keeps the upper 8 bits. Of an animation or a file of several pages the first is taken. What
    Pillow warns of, such as damaged EXIF data, is not shown: pixels that can be read are
    returned.

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
    with quiet_pillow():
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
    with quiet_pillow(), _open_image(source) as image:
        width, height = image.size
        return (width, height) if _lies_on_its_side(image) else (height, width)


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings; to be entered by the thread that starts the others."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def decode_image(source: ImageSource, *, least_side: int | None = None) -> NDArray[np.uint8]:
    """Do what `read_image` does, for threads: warning filters are not theirs to change.

    With `least_side`, a JPEG file may come at a half, a quarter or an eighth of its size, which
    is quicker; its longer side has that many pixels at least. An open PIL image does not.
    """
    with _open_image(source) as image:
        if least_side is not None and image is not source:
            longer = max(image.size)  # decides alone: the other side is rounded down
            least = [max(1, side * least_side // longer) for side in image.size]
            image.draft(image.mode, (least[0], least[1]))  # does nothing for other formats
        image.load()  # before the orientation is asked for: Pillow turns TIFF files itself
        array = _to_array(image)
        turn = _UPRIGHT.get(_orientation(image))
        return array if turn is None else np.array(Image.fromarray(array).transpose(turn))


@contextmanager
def _open_image(source: ImageSource) -> Iterator[Image.Image]:
    """Open an image and turn every way in which reading it can fail into `ImageReadError`."""
    if isinstance(source, Image.Image):
        with _named_errors():
            yield source
        return
    file = _Bytes(source) if isinstance(source, bytes) else Path(source)
    if isinstance(file, Path):
        _check_file(file)
    elif not source:
        raise ImageReadError("is empty")
    with _named_errors(), Image.open(file) as image:
        if image.format == "EPS":
            raise ImageReadError(
                "is a PostScript program, which is not run. Convert it to PNG if you trust it"
            )
        width, height = image.size
        if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
            raise ImageReadError(_too_many_pixels(f"{height} x {width} px"))
        yield image


class _Bytes(BytesIO):
    """Bytes as a file: there is nothing before their beginning.

    BytesIO goes to the beginning instead, and what Pillow reads there is not what it wanted.
    """

    def __init__(self, source: bytes) -> None:
        super().__init__(source)
        self._n_bytes = len(source)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_CUR: self.tell(), os.SEEK_END: self._n_bytes}.get(whence, 0)
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return super().seek(offset, whence)


def _check_file(path: Path) -> None:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        where = "" if path.is_absolute() else f" (looked in {Path.cwd()})"
        reason = getattr(error, "strerror", None) or error
        raise ImageReadError(f"cannot be opened: {reason}{where}") from error
    if stat.S_ISDIR(status.st_mode):
        raise ImageReadError("is a folder, not an image file")
    if not stat.S_ISREG(status.st_mode):
        raise ImageReadError("is not a regular file")  # opening a pipe would wait for ever
    if status.st_size == 0:
        raise ImageReadError("is empty")


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except ImageReadError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageReadError(_too_many_pixels(str(error))) from error
    except UnidentifiedImageError as error:
        raise ImageReadError(
            "is not an image in a format that Pillow reads, or damaged at its beginning"
        ) from error
    except Exception as error:
        # a place outside of the file, to which damage points, is an invalid argument
        if isinstance(error, OSError) and error.strerror and error.errno != errno.EINVAL:
            raise ImageReadError(f"cannot be opened: {error.strerror}") from error
        # Pillow's decoders raise nearly every built-in error, and zlib's and struct's, on damage
        raise ImageReadError(f"is damaged or cut off ({error or type(error).__name__})") from error


def _too_many_pixels(what: str) -> str:
    return (
        f"has too many pixels, maybe a decompression bomb ({what}). If you trust the file, "
        "raise PIL.Image.MAX_IMAGE_PIXELS"
    )


def _orientation(image: Image.Image) -> object:
    try:
        return image.getexif().get(_EXIF_ORIENTATION)
    except Exception:  # damaged EXIF data raises as variously as damaged pixels do
        return None


def _lies_on_its_side(image: Image.Image) -> bool:
    if _orientation(image) not in (5, 6, 7, 8):
        return False
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return True
    # newer versions of Pillow already give the upright size of a TIFF file
    return image.size == (tags.get(_TIFF_WIDTH), tags.get(_TIFF_HEIGHT))


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    mode = image.mode
    if mode.startswith("I;16") or (mode == "I" and image.format in _SIXTEEN_BITS_IN_32):
        return _from_16_bits(np.asarray(image), image.info.get("transparency"))
    if mode in ("I", "F"):
        kind = "32-bit" if mode == "I" else "floating-point"
        raise ImageReadError(
            f"holds {kind} pixels, whose range is not known. Read it into a float array in "
            "0..1 and pass that"
        )
    grey = mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        opaque = _without_opacity(image, "LA" if grey else "RGBA")
        return opaque[..., 0] if grey else opaque
    wanted = "L" if grey else "RGB"
    return np.array(image if mode == wanted else image.convert(wanted))


def _without_opacity(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """Return the image on white; rows of a huge one in turn, as Pillow copies what it hands out."""
    width, height = image.size
    opaque = np.empty((height, width, len(mode) - 1), np.uint8)
    step = max(1, _PART_PIXELS // width)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        part = image if step >= height else image.crop((0, top, width, bottom))
        part = part if part.mode == mode else part.convert(mode)
        opaque[top:bottom] = flatten_alpha(np.asarray(part))
    return opaque


def _from_16_bits(levels: NDArray[np.integer], transparent: object) -> NDArray[np.uint8]:
    image = ((levels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    if isinstance(transparent, int):
        image[levels == transparent] = 255
    return image
