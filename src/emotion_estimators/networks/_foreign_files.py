"""What a file is that was taken for a network; imports nothing."""

from __future__ import annotations

__all__ = ["likely_reason"]

_KINDS = {
    b"version https://git-lfs": "a Git LFS pointer: fetch the file itself, as by git lfs pull",
    b"<": "a web page: the download went wrong",
    b"{": "JSON, as servers answer with: the download went wrong",
    b"PK": "a zip file, such as a .keras archive or a .pt file: save the model as .h5 or .onnx",
    b"\x89HDF": "an HDF5 file: its name should end in .h5",
}
_BEFORE_TEXT = b"\xef\xbb\xbf \t\r\n"  # a mark of UTF-8, and blanks


def likely_reason(head: bytes) -> str | None:
    """Return what the first bytes of a file, 64 or more, tell of its kind, None for nothing."""
    if not head:
        return "it is empty"
    for start, kind in _KINDS.items():
        if head.startswith(start) or (start == b"<" and head.lstrip(_BEFORE_TEXT)[:1] == start):
            return f"it looks like {kind}"
    return None
