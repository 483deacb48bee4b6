"""Files, encoded bytes and PIL images in, uint8 arrays out; imports `color` and `exceptions`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from emotion_estimators.exceptions import ImageReadError
from emotion_estimators.images.color import flatten_alpha

__all__ = ["ImageSource", "read_image", "read_image_size"]

ImageSource: TypeAlias = str | os.PathLike[str] | bytes | Image.Image

_EXIF_ORIENTATION = 0x0112


def read_image(source: ImageSource) -> NDArray[np.uint8]:
    """Decode one image, upright and opaque.

    Parameters
    ----------
    source : str, path-like, bytes or PIL.Image.Image
        Path of a file in any format that Pillow reads, the encoded bytes of such a file, or
        an open PIL image (which is left as it is).

    Returns
    -------
    image : ndarray of shape (height, width) or (height, width, 3), dtype uint8
        Grey levels or RGB in 0..255. Grey files stay grey.

    Raises
    ------
    ImageReadError
        If there is no such file, it is a folder, not an image, cut off, larger than
        ``PIL.Image.MAX_IMAGE_PIXELS`` pixels, or holds floating-point or 32-bit pixels.

    Notes
    -----
    The EXIF orientation is applied. Transparent pixels are composited on white. Palettes,
    CMYK and other colour spaces become RGB. 16-bit grey is scaled to 8 bits by 255/65535
    and rounded. Of an animation or a file of several pages the first is taken.

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
    with _open_image(source) as image:
        return _to_array(ImageOps.exif_transpose(image))


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
    with _open_image(source) as image:
        width, height = image.size
        lies_on_its_side = image.getexif().get(_EXIF_ORIENTATION) in (5, 6, 7, 8)
        return (width, height) if lies_on_its_side else (height, width)


@contextmanager
def _open_image(source: ImageSource) -> Iterator[Image.Image]:
    """Open an image and turn every way in which reading it can fail into `ImageReadError`."""
    if isinstance(source, Image.Image):
        with _named_errors():
            yield source
        return
    file: Any = BytesIO(source) if isinstance(source, bytes) else Path(source)
    if isinstance(file, Path):
        if file.is_dir():
            raise ImageReadError("is a folder, not an image file")
        if not file.exists():
            raise ImageReadError("no such file")
    with _named_errors():
        try:
            image = Image.open(file)
        except UnidentifiedImageError:
            empty = not source if isinstance(source, bytes) else file.stat().st_size == 0
            what = "is empty" if empty else "is not an image in a format that Pillow reads"
            raise ImageReadError(what) from None
        with image:
            _refuse_too_many_pixels(image)
            yield image


@contextmanager
def _named_errors() -> Iterator[None]:
    try:
        yield
    except ImageReadError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageReadError(_too_many_pixels(str(error))) from error
    except PermissionError as error:
        raise ImageReadError("may not be read: permission denied") from error
    # Pillow's decoders raise these, and more, on damaged files, depending on the format
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError) as error:
        raise ImageReadError(f"is damaged or cut off ({error})") from error
    except (TypeError, OverflowError, ArithmeticError, MemoryError) as error:
        raise ImageReadError(f"is damaged ({type(error).__name__}: {error})") from error


def _refuse_too_many_pixels(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    width, height = image.size
    if limit is not None and width * height > limit:
        raise ImageReadError(_too_many_pixels(f"{height} x {width} px"))


def _too_many_pixels(what: str) -> str:
    return (
        f"has too many pixels, maybe a decompression bomb ({what}). If you trust the file, "
        "raise PIL.Image.MAX_IMAGE_PIXELS"
    )


def _to_array(image: Image.Image) -> NDArray[np.uint8]:
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        return _from_wide_integers(np.asarray(image))
    if mode == "F":
        raise ImageReadError(
            "holds floating-point pixels, whose range is not known. Read it into a float array "
            "in 0..1 and pass that"
        )
    grey = mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        opaque = flatten_alpha(np.asarray(image.convert("LA" if grey else "RGBA")))
        return opaque[..., 0] if grey else opaque
    return np.array(image.convert("L" if grey else "RGB"))


def _from_wide_integers(levels: NDArray[Any]) -> NDArray[np.uint8]:
    levels = levels.astype(np.int64)
    if levels.size and (levels.min() < 0 or levels.max() > 65535):
        raise ImageReadError(
            f"holds 32-bit pixels from {levels.min()} to {levels.max()}, whose range is not "
            "known. Read it into a float array in 0..1 and pass that"
        )
    return ((levels * 255 + 32767) // 65535).astype(np.uint8)
