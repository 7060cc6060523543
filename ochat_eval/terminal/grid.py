"""Tables as text."""

from __future__ import annotations

from collections.abc import Sequence


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

    return tabulate.tabulate(
        rows, headers, style, disable_numparse=True, colalign=align if rows else None
    )
