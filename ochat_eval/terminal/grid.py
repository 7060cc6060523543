"""Tables as text, and what is to be said of them below: a terminal has 80 columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from ochat_eval.terminal.encoding import fitting

WIDTH = 80
DASH = "–"
"""Where there is no figure."""


def grid(
    rows: Sequence[Sequence[object]],
    headers: Sequence[str],
    style: str = "simple",
    align: Sequence[str] | None = None,
) -> str:
    """A table, its cells as they are written.

    Args:
        rows: the cells, a row each.
        headers: what stands above the columns.
        style: `simple` for a terminal, `github` for Markdown, `latex_booktabs`.
        align: `left` or `right` for each column; None: left.
    """
    import tabulate

    padding = tabulate.MIN_PADDING
    if style == "simple":
        tabulate.MIN_PADDING = 0  # a terminal has no room to give away
        rows = [[fitting(str(cell)) for cell in row] for row in rows]
        headers = [fitting(header) for header in headers]
    try:
        return tabulate.tabulate(
            rows, headers, style, disable_numparse=True, colalign=align if rows else None
        )
    finally:
        tabulate.MIN_PADDING = padding


def number(value: float | None, form: str = ".2f") -> str:
    """A number as a table shows it; a dash for None."""
    return DASH if value is None else format(value, form)


def interval(low: float | None, high: float | None, form: str = ".1f") -> str:
    """An interval as a table shows it: `31.1…32.7`."""
    return DASH if low is None or high is None else f"{low:{form}}…{high:{form}}"


def notes(lines: Iterable[str]) -> list[str]:
    """Lines for below a table, each once, wrapped."""
    return [
        part
        for line in dict.fromkeys(lines)
        for part in textwrap.wrap(line, WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    ]


def listing(entries: Mapping[str, str]) -> str:
    """Names with what they are, a line each, for a help: long texts go on below themselves."""
    width = max(map(len, entries))
    return "\n".join(
        textwrap.fill(
            text,
            WIDTH,
            initial_indent=f"  {name:{width}}  ",
            subsequent_indent=" " * (width + 4),
            break_on_hyphens=False,
            break_long_words=False,
        )
        for name, text in entries.items()
    )
