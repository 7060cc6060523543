"""Words for messages: the nearest right name, an error on one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or all that there is where nothing is near."""
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}"


def first_line(error: Exception) -> str:
    """An error's first line, or its class."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def one_line(error: BaseException) -> str:
    """An error's text on one line of bearable length."""
    return " ".join(str(error).split())[:300] or type(error).__name__
