"""Words for messages: the nearest right name, an error on one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def counted(number: float, one: str, several: str = "") -> str:
    """A number with what it counts: `1 token`, `2 tokens`, `1,319 items`.

    Args:
        one: the word for one; `several` for any other number, by default with an `s` behind it.
    """
    shown = f"{number:,}" if isinstance(number, int) else f"{number:g}"
    return f"{shown} {one if number == 1 else several or f'{one}s'}"


def duration(seconds: float) -> str:
    """A time in the unit that fits: `40 s`, `12 min`, `3.4 hours`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:,.1f} hours"


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean X?`, or what there is, the first 40 of it, where nothing is near."""
    by_case = {one.casefold(): one for one in known}
    near = difflib.get_close_matches(name.casefold(), by_case, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {by_case[near[0]]}?"
    if not by_case:
        return "; there are none"
    names = list(by_case.values())
    more = f", … ({len(names):,} in all)" if len(names) > 40 else ""
    return f"; there are {', '.join(names[:40])}{more}"


def first_line(error: Exception) -> str:
    """An error's first line, or its class."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]


def one_line(error: BaseException) -> str:
    """An error's text on one line of bearable length."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def plain(text: str, kept: str = "") -> str:
    """Other people's text as a terminal can be given it: what cannot be printed is replaced.

    Args:
        kept: control characters that stay, as the line end.
    """
    return "".join(c if c.isprintable() or c in kept else "\N{REPLACEMENT CHARACTER}" for c in text)
