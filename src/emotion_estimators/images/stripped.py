"""JPEG, PNG, TIFF and HEIF files without what is not pixels, before Pillow is given them.

Pillow reads metadata as it opens a file: it warns of damage in it (for all threads, or as an
error where warnings are errors), joins what is large, and follows a TIFF file's other pages. None
of it changes a pixel but the orientation, which is read here.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from emotion_estimators.exceptions import ImageReadError
from emotion_estimators.images.formats import is_heif

__all__ = ["JPEG_HEAD", "Stripped", "exif_orientation", "grey_levels", "strip", "xmp_orientation"]

JPEG_HEAD = b"\xff\xd8\xff"

_ORIENTATION = 274
_MAX_METADATA = 2**20  # bytes of EXIF or XMP that are looked at
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
# What a file with several scans costs: each goes over all pixels. 2**31 are 12 scans of 179
# megapixels, or 178 of 12; encoders make some ten.
_MAX_SCANNED = 2**31
_SCAN_PIXELS = 2**14  # a scan costs as much as these, however small the image
_SCAN_HEADER = 2**16 + 2  # bytes in which the head of a scan fits, whatever length it claims
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # what is not entropy-coded data


@dataclass(frozen=True)
class Stripped:
    """A file for Pillow, and what was read of it already."""

    file: bytes
    orientation: int = 1
    size: tuple[int, int] | None = None
    is_inverted: bool = False
    top: int = 65535


def strip(file: BinaryIO, head: bytes, *, header_only: bool = False) -> Stripped | None:
    """Return a JPEG, PNG, TIFF or HEIF file without what is not pixels; None of other formats."""
    if head.startswith(JPEG_HEAD):
        return _strip_jpeg(file, header_only=header_only)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _strip_png(file, header_only=header_only)
    if head[:2] in (b"II", b"MM") and head[2:4] in (b"*\0", b"\0*", b"+\0", b"\0+"):
        return _strip_tiff(file, header_only=header_only)
    if is_heif(head) and b"avif" not in head:
        return _strip_heif(file)
    return None


def exif_orientation(exif: bytes) -> int:
    """Return the orientation that EXIF data tell, 1 if they are damaged or silent."""
    exif = exif[:_MAX_METADATA]
    while exif.startswith(b"Exif\0\0"):
        exif = exif[6:]
    try:
        directory = _read_directory(BytesIO(exif))
    except ImageReadError:
        return 1
    return directory.first(_ORIENTATION, 1)


def xmp_orientation(xmp: bytes) -> int:
    """Return the orientation that XMP data tell, 1 if they are silent."""
    match = _XMP_ORIENTATION.search(xmp[:_MAX_METADATA])
    return int(match[1]) if match else 1


# HEIF


def _strip_heif(file: BinaryIO) -> Stripped:
    """Let no metadata belong to an image: pi-heif ends the process where they are damaged.

    The orientation is a property of the image itself, and the reader obeys it.
    """
    file.seek(0)
    content = bytearray(file.read())
    start = 0
    while start + 16 <= len(content):
        size = int.from_bytes(content[start : start + 4], "big")
        kind = content[start + 4 : start + 8]
        if size == 1:
            size = int.from_bytes(content[start + 8 : start + 16], "big")
        end = start + size if size else len(content)
        if end < start + 8:
            break
        if kind != b"mdat":  # pixels may hold any bytes
            box = content[start:end]
            content[start : start + len(box)] = box.replace(b"cdsc", b"none")  # "describes"
        start = end
    return Stripped(bytes(content))


# JPEG

_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}


def _strip_jpeg(file: BinaryIO, *, header_only: bool = False) -> Stripped:
    """Keep of a JPEG file what decodes it: no comments, of the APP segments only 0 and 14."""
    file.seek(2)
    kept = [b"\xff\xd8"]
    exif, xmp = b"", b""
    size: tuple[int, int] | None = None
    while True:
        start = file.tell()
        marker = file.read(2)
        while marker == b"\xff\xff":  # padding
            start += 1
            marker = b"\xff" + file.read(1)
        length = file.read(2)
        code = marker[1] if len(marker) == 2 and marker[0] == 0xFF else 0
        is_segment = len(length) == 2 and code >= 0xC0 and not 0xD0 <= code <= 0xD9
        if not is_segment or code == 0xDA:  # the pixels begin, or damage does
            file.seek(start)
            break
        content = file.read(struct.unpack(">H", length)[0] - 2)
        if code == 0xE1 and content.startswith(b"Exif\0\0") and len(exif) < _MAX_METADATA:
            exif += content[6:]
        elif code == 0xE1 and content.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            xmp = xmp or content
        elif code in _FRAMES and size is None and len(content) >= 5:
            size = struct.unpack(">HH", content[1:5])[::-1]
        if not (0xE1 <= code <= 0xEF or code == 0xFE) or code == 0xEE:
            kept += [marker, length, content]
    # behind damage Pillow looks for more of the beginning
    rest = file.read(_SCAN_HEADER if header_only and code == 0xDA else -1)
    if size is not None and not header_only:
        _check_scans(rest, size)
    orientation = exif_orientation(exif) if exif else 1
    if orientation == 1 and xmp:
        orientation = xmp_orientation(xmp)
    return Stripped(b"".join([*kept, rest]), orientation, size)


def _check_scans(rest: bytes, size: tuple[int, int]) -> None:
    most = max(1, _MAX_SCANNED // max(size[0] * size[1], _SCAN_PIXELS))
    n_scans = at = 0
    while match := _MARKER.search(rest, at):
        at = match.end()
        code = rest[at - 1]
        n_scans += code == 0xDA
        if code == 0xD9 or n_scans > most:
            break
        if code not in (0x01, 0xD8):
            at += int.from_bytes(rest[at : at + 2], "big")
    if n_scans > most:
        raise ImageReadError(
            f"has more than {most} scans over {size[1]} x {size[0]} px, which would take long to "
            "decode. Save it again, as a JPEG that is not progressive, if you trust it"
        )


# PNG


def _strip_png(file: BinaryIO, *, header_only: bool = False) -> Stripped:
    """Keep of a PNG file what decodes it: all critical chunks and tRNS, and nothing after IEND."""
    file.seek(0)
    kept = [file.read(8)]
    orientation = xmp = 1
    size: tuple[int, int] | None = None
    is_ended = has_pixels = False
    while True:
        head = file.read(8)
        length = int.from_bytes(head[:4], "big")
        kind = head[4:8]
        is_pixels = kind == b"IDAT"
        if len(head) < 8:
            kept.append(head)
            break
        if header_only and is_pixels:
            if not has_pixels:
                kept.append(head)
            has_pixels = True
            file.seek(length + 4, 1)
            continue
        content = file.read(length + 4)
        if len(content) < length + 4:  # cut off
            kept += [head, content]
            break
        if kind == b"IHDR" and len(content) >= 8 and size is None:
            size = struct.unpack(">II", content[:8])
        if kind == b"tRNS" and zlib.crc32(kind + content[:-4]) != int.from_bytes(
            content[-4:], "big"
        ):
            raise ImageReadError("is damaged or cut off (broken PNG chunk tRNS)")
        if kind == b"eXIf":
            orientation = exif_orientation(content[:-4])
        elif kind in (b"tEXt", b"zTXt") and orientation == 1:
            orientation = _raw_profile(kind, content[:-4])
        elif kind == b"iTXt" and content.startswith(b"XML:com.adobe.xmp\0"):
            xmp = xmp_orientation(content)
        if (kind[:1].isupper() or kind == b"tRNS") and not (header_only and has_pixels):
            kept += [head, content]
        if kind == b"IEND":
            is_ended = True
            break
    if not is_ended and kept[-1] == b"":  # all there but the mark of the end
        kept.append(b"\0\0\0\0IEND\xaeB`\x82")
    orientation = xmp if orientation == 1 else orientation
    return Stripped(b"".join(kept), orientation, size)


def _raw_profile(kind: bytes, content: bytes) -> int:
    """Return the orientation of EXIF data as ImageMagick writes them, in hexadecimal digits."""
    keyword, _, text = content.partition(b"\0")
    if keyword != b"Raw profile type exif":
        return 1
    try:
        if kind == b"zTXt":
            text = zlib.decompressobj().decompress(text[1:], 2 * _MAX_METADATA)
        return exif_orientation(bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii")))
    except (zlib.error, ValueError):
        return 1


# TIFF

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
_SIZES |= {13: 4, 16: 8, 17: 8, 18: 8}
_INTEGERS = {1: "B", 3: "H", 4: "I", 16: "Q"}
_MAX_TAGS = 2**12
_MAX_VALUES = 2**20  # of a tag: strips, tiles, a palette
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANES = 273, 277, 278, 279, 284
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 322, 323, 324, 325
_SINGLE = {_WIDTH, _HEIGHT, _COMPRESSION, _PHOTOMETRIC, 266, _SAMPLES, _STRIP_ROWS, _PLANES, 317}
_SINGLE |= {_TILE_WIDTH, _TILE_HEIGHT, _ORIENTATION, 292, 293, 512, 513, 514, 515, 531}
_DECODING = _SINGLE - {_ORIENTATION}
_DECODING |= {_BITS, _STRIPS, _STRIP_BYTES, 320, _TILES, _TILE_BYTES, 332, 338, 339, 347}
_DECODING |= {517, 518, 519, 520, 521, 529, 530, 532, 50674}


@dataclass(frozen=True)
class _Directory:
    """The first directory of a TIFF file: type, number of values and bytes of each tag."""

    order: str  # "<" or ">"
    is_big: bool
    entries: dict[int, tuple[int, int, bytes]]

    def integers(self, tag: int) -> tuple[int, ...]:
        """Return the values of a tag, none if it is missing or holds no integers."""
        kind, count, value = self.entries.get(tag, (0, 0, b""))
        code = _INTEGERS.get(kind)
        return struct.unpack(f"{self.order}{count}{code}", value) if code else ()

    def first(self, tag: int, otherwise: int) -> int:
        """Return the first value of a tag."""
        return next(iter(self.integers(tag)), otherwise)

    def put(self, tag: int, values: tuple[int, ...]) -> None:
        """Set the values of a tag."""
        kind, code = (16, "Q") if self.is_big else (4, "I")
        value = struct.pack(f"{self.order}{len(values)}{code}", *values)
        self.entries[tag] = kind, len(values), value


def _strip_tiff(file: BinaryIO, *, header_only: bool = False) -> Stripped:
    """Put a directory of the first page, and of what decodes it, in the place of a TIFF file's."""
    directory = _read_directory(file)
    width, height = directory.first(_WIDTH, 0), directory.first(_HEIGHT, 0)
    if not (width and height):
        raise ImageReadError("is damaged or cut off (a TIFF file that does not tell its size)")
    is_inverted, top = grey_levels(directory.first(_PHOTOMETRIC, 0), directory.first(_BITS, 1))
    data = b""
    if not header_only:
        file.seek(0)
        data = file.read()
        _bound_parts(directory, len(data))
        data = _with_directory(data, directory)
    return Stripped(data, directory.first(_ORIENTATION, 1), (width, height), is_inverted, top)


def grey_levels(photometric: object, bits: object) -> tuple[bool, int]:
    """Say of grey levels in 16 bits whether 0 is white, and which is the highest."""
    return photometric == 0 and bits == 16, 4095 if bits == 12 else 65535


def _bound_parts(directory: _Directory, n_file: int) -> None:
    """See that a file holds all strips or tiles that the image needs; leave further ones out."""
    known = directory.first
    if known(_COMPRESSION, 1) == 6:  # the old JPEG, which may do without
        return
    width, height, n_samples = known(_WIDTH, 0), known(_HEIGHT, 0), known(_SAMPLES, 1)
    is_apart = known(_PLANES, 1) == 2  # each channel by itself
    bits = directory.integers(_BITS) or (1,)
    bits_of_pixel = bits[0] if is_apart else max(sum(bits), bits[0] * n_samples)
    for offsets, sizes, across, down in (
        (_STRIPS, _STRIP_BYTES, width, known(_STRIP_ROWS, 0) or height),
        (_TILES, _TILE_BYTES, known(_TILE_WIDTH, 0), known(_TILE_HEIGHT, 0)),
    ):
        if offsets not in directory.entries or not (across and down):
            continue
        n_across, n_down = -(-width // across), -(-height // down)
        needed = n_across * n_down * (n_samples if is_apart else 1)
        starts = directory.integers(offsets)[:needed]
        if len(starts) < needed:
            raise ImageReadError(f"is damaged or cut off ({len(starts)} of {needed} parts)")
        directory.put(offsets, starts)
        if known(_COMPRESSION, 1) == 1:  # it shows how many bytes there must be
            row = -(-across * bits_of_pixel // 8)
            lowest = height - (n_down - 1) * down
            is_lowest = [i // n_across % n_down == n_down - 1 for i in range(needed)]
            n_bytes = tuple(row * (lowest if is_last else down) for is_last in is_lowest)
            is_whole = all(a + n <= n_file for a, n in zip(starts, n_bytes, strict=True))
        else:  # libtiff would read on into the directory that is put at the end
            n_bytes = directory.integers(sizes)[:needed]
            n_bytes = tuple(min(n, n_file - a) for n, a in zip(n_bytes, starts, strict=False))
            is_whole = max(starts) < n_file
        if not is_whole:
            raise ImageReadError("is damaged or cut off (pixels are missing at its end)")
        if len(n_bytes) == needed:
            directory.put(sizes, n_bytes)


def _with_directory(data: bytes, directory: _Directory) -> bytes:
    """Return the file with a directory at its end that has only what decodes the pixels."""
    order, is_big = directory.order, directory.is_big
    number, inline = ("Q", 8) if is_big else ("I", 4)
    padding = b"\0" * (-len(data) % 8)
    tags = sorted(directory.entries.keys() & _DECODING)
    start = len(data) + len(padding)
    values_at = start + (8 if is_big else 2) + (12 + 8 * is_big) * len(tags) + inline
    head, values = [struct.pack(f"{order}{'Q' if is_big else 'H'}", len(tags))], []
    for tag in tags:
        kind, count, value = directory.entries[tag]
        if len(value) > inline:
            values.append(value)
            field = struct.pack(order + number, values_at)
            values_at += len(value)
        else:
            field = value.ljust(inline, b"\0")
        head.append(struct.pack(f"{order}HH{number}", tag, kind, count) + field)
    head.append(struct.pack(order + number, 0))
    begin = data[:8] if is_big else data[:4]
    begin += struct.pack(order + number, start)
    return b"".join([begin, data[len(begin) :], padding, *head, *values])


def _read_directory(file: BinaryIO) -> _Directory:
    """Read the first directory; what lies outside of the file is left out, as Pillow does."""
    n_bytes = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
    is_big = bool(order) and len(head) == 16 and head[2:4] in (b"+\0", b"\0+")
    number, inline = ("Q", 8) if is_big else ("I", 4)
    try:
        (start,) = struct.unpack(f"{order or '<'}{number}", head[inline : 2 * inline])
        if not order or start >= n_bytes:
            raise ImageReadError("is damaged or cut off (no TIFF directory)")
        file.seek(start)
        count_of = struct.Struct(f"{order}{'Q' if is_big else 'H'}")
        (n_tags,) = count_of.unpack(file.read(count_of.size))
    except struct.error as error:
        raise ImageReadError("is damaged or cut off (no TIFF directory)") from error
    if n_tags > _MAX_TAGS:
        raise ImageReadError(f"is damaged (a TIFF directory of {n_tags} tags)")
    entry = struct.Struct(f"{order}HH{number}{inline}s")
    table = file.read(n_tags * entry.size)
    entries: dict[int, tuple[int, int, bytes]] = {}
    for tag, kind, given, value in entry.iter_unpack(
        table[: len(table) // entry.size * entry.size]
    ):
        is_needed = tag in _DECODING or tag == _ORIENTATION
        if tag in entries or not is_needed or kind not in _SIZES or not given:
            continue
        count = 1 if tag in _SINGLE else given
        if count > _MAX_VALUES:
            raise ImageReadError(f"is damaged (a TIFF tag of {count} values)")
        if given * _SIZES[kind] > inline:
            (offset,) = struct.unpack(order + number, value)
            if offset + count * _SIZES[kind] > n_bytes:
                continue
            file.seek(offset)
            value = file.read(count * _SIZES[kind])
        entries[tag] = kind, count, value[: count * _SIZES[kind]]
    return _Directory(order, is_big, entries)
