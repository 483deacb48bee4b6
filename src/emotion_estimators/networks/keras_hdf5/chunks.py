"""How much compressed parts of an HDF5 array really hold."""

from __future__ import annotations

import itertools
import math
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emotion_estimators._untrusted import Budget

if TYPE_CHECKING:
    import h5py

__all__ = ["chunks_problem"]

_DEFLATE, _SHUFFLE, _FLETCHER32 = 1, 2, 3  # all that are built into HDF5, by their numbers
_ORDER = (_SHUFFLE, _DEFLATE, _FLETCHER32)  # in which h5py applies them
_CHECKSUM_BYTES = 4


def chunks_problem(dataset: h5py.Dataset, path: Path, budget: Budget) -> str:
    """Say why an array's parts must not be unpacked, or nothing."""
    chunks = dataset.chunks
    if chunks is None:
        return ""
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if filters != [known for known in _ORDER if known in filters]:
        return f"its filters {filters} are not in the order of {list(_ORDER)}"
    counts = [-(-length // step) for length, step in zip(dataset.shape, chunks, strict=True)]
    budget.take(n_parts=math.prod(counts), what=f"the array {dataset.name!r:.80}")
    file_size = path.stat().st_size
    most = math.prod(chunks) * dataset.dtype.itemsize
    with path.open("rb") as file:
        for place in itertools.product(*map(range, counts)):
            offset = tuple(np.multiply(place, chunks).tolist())
            part = dataset.id.get_chunk_info_by_coord(offset)
            if part.byte_offset is None:
                continue
            if part.byte_offset + part.size > file_size:
                return "a part of it lies outside of the file"
            budget.take(n_bytes=part.size, what=f"a part of the array {dataset.name!r:.80}")
            applied = [f for i, f in enumerate(filters) if not part.filter_mask >> i & 1]
            if _DEFLATE not in applied:
                continue
            file.seek(part.byte_offset)
            content = file.read(part.size - _CHECKSUM_BYTES * (_FLETCHER32 in applied))
            try:
                size = len(zlib.decompressobj().decompress(content, most + 1))
            except zlib.error as error:
                return f"a part of it cannot be unpacked ({error})"
            if size > most:
                return f"a part of it unpacks to more than its {most} bytes"
    return ""
