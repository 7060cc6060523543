"""Unpacking what others packed: never more than was allowed for."""

from __future__ import annotations

import zlib

UNPACKED_BYTES = 128 << 20
"""The most that a packed file may become; the largest of ours becomes 8 MB."""
_RATIO = 200
"""The most that a byte may become; JSON lines become about 10."""
_SMALL = 1 << 20
"""Whatever the ratio, so much is harmless."""
_FORMS = {"gzip": 31, "deflate": 15}
"""zlib's `wbits`."""


def gunzip(content: bytes, limit: int = UNPACKED_BYTES) -> bytes:
    """The unpacked bytes of a gzip file.

    Args:
        limit: the most bytes that it may become.

    Raises:
        ValueError: it is no whole gzip file, or it becomes more than `limit` bytes, or far more
            than such data does.
    """
    return _unpacked(content, "gzip", min(limit, max(_SMALL, _RATIO * len(content))))


def body(content: bytes, encoding: str, limit: int) -> bytes:
    """The unpacked body of an HTTP answer.

    Args:
        encoding: its `Content-Encoding`; empty or `identity` for none.
        limit: the most bytes that it may become.

    Raises:
        ValueError: packed in another way, damaged, or too long.
    """
    kind = encoding.strip().lower()
    if kind in ("", "identity"):
        return content
    if kind in _FORMS:
        return _unpacked(content, kind, limit)
    raise ValueError(f"packed as {kind[:20]!r}, which was not asked for")


def _unpacked(content: bytes, form: str, limit: int) -> bytes:
    """All members of a file, one behind the other."""
    found = bytearray()
    while content:
        stream = zlib.decompressobj(_FORMS[form])
        try:
            found += stream.decompress(content, limit - len(found) + 1)
        except zlib.error as error:
            raise ValueError(f"not a whole {form} file: {error}") from error
        if len(found) > limit:
            raise ValueError(f"it unpacks to more than {limit:,} bytes")
        if not stream.eof:
            raise ValueError(f"not a whole {form} file: its end is missing")
        content = stream.unused_data.lstrip(b"\0")  # padding is allowed (gzip's manual)
    return bytes(found)
