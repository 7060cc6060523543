"""Terminals that cannot show every character: what they cannot is written in ASCII."""

from __future__ import annotations

import codecs
import io
import sys
import unicodedata

_HANDLER = "ochat_eval.ascii"
"""The name of our way with what an encoding does not have, for `errors=`."""
_IN_ASCII = {
    "…": "...", "–": "-", "—": "-", "−": "-", "‑": "-", "†": "*", "│": "|", "→": "->", "×": "x",
    "±": "+/-", "≤": "<=", "≥": ">=", "ψ": "psi", "δ": "delta", "“": '"', "”": '"', "‘": "'",
    "’": "'", "·": ".", "•": "*", "✂": "x",
}  # fmt: skip


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_plainer, error.object[error.start : error.end])), error.end


def _plainer(character: str) -> str:
    """A character in ASCII: its own spelling, its letter without an accent, or `?`."""
    if character in _IN_ASCII:
        return _IN_ASCII[character]
    letters = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return letters or "?"


codecs.register_error(_HANDLER, _in_ascii)


def heed_terminal() -> None:
    """Has output and error stream write in ASCII what their encoding does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def fitting(text: str) -> str:
    """A text as the output will show it, for whoever counts its characters."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, _HANDLER).decode(encoding)
