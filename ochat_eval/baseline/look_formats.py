"""The looks at a run, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ochat_eval.baseline.gate import TaskGate
from ochat_eval.terminal.grid import grid, interval, number

_HEADERS = ("task", "look", "n", "difference", "interval", "± margin", "verdict")
_ALIGN = ("left", *["right"] * 5, "left")


def table(looks: Mapping[str, Sequence[TaskGate]], style: str = "simple") -> str:
    """A row for each look; `style` as in `grid`."""
    rows = [
        (task, str(look), f"{row.n:,}", number(row.difference, "+.2f"),
         interval(row.lo, row.hi, "+.2f"), number(row.margin), row.verdict)
        for task, found in looks.items() for look, row in enumerate(found, 1)
    ]  # fmt: skip
    return grid(rows, _HEADERS, style, align=_ALIGN)
