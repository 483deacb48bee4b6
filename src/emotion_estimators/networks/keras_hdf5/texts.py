"""Attributes of an HDF5 file that are texts of variable length, read without the HDF5 library.

The library (2.0 and before) believes the length that is written beside the reference to such a
text: it takes, and fills, up to 4 GB before it looks whether there is one; and it walks through
some damaged heaps of texts for ever. So the references and texts are read here, from the bytes of
the file, within what the file holds.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

from emotion_estimators._untrusted import Budget
from emotion_estimators.exceptions import WeightsError

__all__ = ["VariableTexts"]

_ATTRIBUTE, _CONTINUATION = 0x0C, 0x10  # types of messages in the header of an object
_SHARED = 0x02  # flag of a message that lies elsewhere
_HEAP_SIGNATURE = b"GCOL\x01\0\0\0"
_REFERENCE = struct.Struct("<IQI")  # length, address of a heap, number in the heap


class VariableTexts:
    """Reads texts of variable length from a file; to be closed."""

    def __init__(self, path: Path, budget: Budget) -> None:
        self._path = path
        self._budget = budget
        self._heaps: dict[int, dict[int, slice]] = {}  # each is walked through once
        with path.open("rb") as stream:
            self._file = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def read(self, header: int, name: str, n_texts: int) -> list[bytes]:
        """Return the texts of an attribute.

        Raises WeightsError where the attribute lies elsewhere, or a reference leads to no text of
        its length.
        """
        try:
            return self._read(header, name, n_texts)
        except struct.error:  # beyond the end of the file
            raise self._damage(name, "a reference leads out of the file") from None

    def _read(self, header: int, name: str, n_texts: int) -> list[bytes]:
        self._budget.take(n_parts=n_texts, what=f"the attribute {name!r:.80}")
        start, end = self._find(header, name)
        if n_texts * _REFERENCE.size > end - start:
            raise self._damage(name, f"there are not {n_texts} references to texts")
        places = range(start, start + n_texts * _REFERENCE.size, _REFERENCE.size)
        references = [_REFERENCE.unpack_from(self._file, place) for place in places]
        n_bytes = sum(length for length, _, _ in references)
        self._budget.take(n_bytes=n_bytes, what=f"the attribute {name!r:.80}")
        texts = []
        for length, heap, number in references:
            text = b""
            if length:
                where = self._heap(heap, name).get(number)
                if where is None or length > where.stop - where.start:
                    raise self._damage(name, "a reference leads to no text of its length")
                text = self._file[where.start : where.start + length]
            texts.append(text.partition(b"\0")[0])
        return texts

    def _find(self, header: int, name: str) -> tuple[int, int]:
        """Return where the values of an attribute begin and end."""
        wanted = name.encode()
        for start, end, flags in self._messages(header, name):
            version, _, n_name, n_type, n_space = struct.unpack_from("<BBHHH", self._file, start)
            here = start + 8 + (version == 3)  # the third version says how the name is encoded
            found = self._file[here : here + n_name].rstrip(b"\0")
            if found != wanted:
                continue
            if flags & _SHARED or version not in (1, 2, 3):
                break
            for size in (n_name, n_type, n_space):
                here += -(-size // 8) * 8 if version == 1 else size
            return here, end
        raise WeightsError(
            f"{self._path}: the attribute {name!r} is damaged, or stored in an unusual way; save "
            "the model again with Keras"
        )

    def _messages(self, header: int, name: str) -> Iterator[tuple[int, int, int]]:
        """Yield where the attributes in the header of an object begin and end, and their flags."""
        file = self._file
        is_new = file[header : header + 4] == b"OHDR"
        n_order = 0  # bytes that say in which order a message was made
        if is_new:
            flags = file[header + 5] if header + 5 < len(file) else 0
            n_order = 2 if flags & 0x04 else 0
            here = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
            width = 1 << (flags & 0x03)
            size = int.from_bytes(file[here : here + width], "little")
            blocks = [(here + width, here + width + size)]
        else:
            (size,) = struct.unpack_from("<I", file, header + 8)
            blocks = [(header + 16, header + 16 + size)]
        n_prefix = 4 + n_order if is_new else 8
        while blocks:
            here, end = blocks.pop()
            while here + n_prefix <= end:
                self._budget.take(n_parts=1, what=f"the header with the attribute {name!r:.80}")
                if end > len(file):
                    raise self._damage(name, "the header of its object has no end")
                if is_new:
                    kind, size, flags = struct.unpack_from("<BHB", file, here)
                else:
                    kind, size, flags = struct.unpack_from("<HHB", file, here)
                here += n_prefix
                if kind == _CONTINUATION:
                    place, length = struct.unpack_from("<QQ", file, here)
                    # a signature stands before the messages of the new kind, a checksum behind
                    extra = 4 if is_new else 0
                    blocks.append((place + extra, place + length - extra))
                elif kind == _ATTRIBUTE:
                    yield here, min(here + size, end), flags
                here += size

    def _heap(self, address: int, name: str) -> dict[int, slice]:
        """Return where the texts of a heap lie, by number.

        A heap is 16 bytes of header, its size in the last eight, and objects: number (2 bytes),
        6 bytes, size (8 bytes), content; number 0 is free space, its size counts all of it.
        """
        if address in self._heaps:
            return self._heaps[address]
        file = self._file
        if file[address : address + 8] != _HEAP_SIGNATURE:
            raise self._damage(name, "a reference leads to no texts")
        end = min(address + struct.unpack_from("<Q", file, address + 8)[0], len(file))
        texts = {}
        here = address + 16
        while here + 16 <= end:
            number, size = struct.unpack_from("<H6xQ", file, here)
            self._budget.take(n_parts=1, what=f"a text of the attribute {name!r:.80}")
            if number == 0:
                break  # what is free lies behind all texts
            texts[number] = slice(here + 16, min(here + 16 + size, end))
            here += 16 + -(-size // 8) * 8
        self._heaps[address] = texts
        return texts

    def _damage(self, name: str, reason: str) -> WeightsError:
        return WeightsError(
            f"{self._path}: cannot be read, the file is truncated or damaged; fetch or save it "
            f"again (attribute {name!r}: {reason})"
        )
