"""A comparison of two runs for people and programs: terminal, Markdown, JSON, and its flips."""

from __future__ import annotations

import dataclasses
import itertools
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from ochat_eval.comparison import TaskComparison
from ochat_eval.recorded import Answer
from ochat_eval.records import Rule

_HEADERS = (
    "task", "rule", "n", "A", "B", "B − A", "95 % interval", "flips", "test", "p", "p (Holm)",
    "detectable", "note",
)  # fmt: skip
_ALIGN = (*["left"] * 2, *["right"] * 4, "left", "right", "left", *["right"] * 3, "left")
_WIDTH = 48
_SHOWN = 600
"""Characters of a response shown beside another: its end, where the answer is."""


@dataclass(frozen=True)
class Flip:
    """One item whose value differs, with both answers; `change` is `gained` or `lost`."""

    id: str
    task: str
    rule: Rule
    change: str
    a: Answer
    b: Answer


def flips(
    rows: Sequence[TaskComparison],
    a: Mapping[tuple[Rule, str], Answer],
    b: Mapping[tuple[Rule, str], Answer],
) -> Iterator[Flip]:
    """Every flip of a comparison; `a` and `b` hold the answers by rule and id."""
    for row in rows:
        for change, ids in ("lost", row.flips.lost), ("gained", row.flips.gained):
            for id_ in ids:
                key = row.rule, id_
                yield Flip(id_, row.task, row.rule, change, a[key], b[key])


def _cells(row: TaskComparison) -> list[str]:
    gap = row.difference
    n = len(row.pairing.ids) if row.pairing else gap.n if gap else 0
    flipped = f"+{len(row.flips.gained)} −{len(row.flips.lost)}" if row.pairing else "–"
    return [
        row.task,
        row.rule,
        f"{n:,}",
        _number(row.a),
        _number(row.b),
        _number(gap.score if gap else None, "+.2f"),
        f"{gap.lo:+.2f} … {gap.hi:+.2f}" if gap else "–",
        flipped,
        row.test or "–",
        _number(row.p, ".3g"),
        _number(row.p_holm, ".3g"),
        _number(row.detectable),
        row.note,
    ]


def _number(value: float | None, form: str = ".2f") -> str:
    return "–" if value is None else format(value, form)


def table(rows: Sequence[TaskComparison], form: str) -> str:
    """The rows as a table; `form` is `terminal` or `markdown`."""
    kind = "github" if form == "markdown" else "simple"
    cells = [_cells(row) for row in rows]
    return tabulate(cells, _HEADERS, kind, disable_numparse=True, colalign=_ALIGN)


def as_json(rows: Sequence[TaskComparison], shown: Sequence[Flip]) -> dict[str, Any]:
    """The rows as plain values, and the flips with both answers."""
    return {
        "tasks": [dataclasses.asdict(row) for row in rows],
        "flips": [dataclasses.asdict(flip) for flip in shown],
    }


def side_by_side(flip: Flip, form: str) -> str:
    """One flip: both answers as read and the ends of both responses, in two columns."""
    title = f"{flip.id} ({flip.rule}): {flip.change}"
    columns = [_column(name, answer) for name, answer in (("A", flip.a), ("B", flip.b))]
    lines = "\n".join(
        f"{left:{_WIDTH}} │ {right}".rstrip()
        for left, right in itertools.zip_longest(*columns, fillvalue="")
    )
    if form != "markdown":
        return f"{title}\n{lines}\n"
    fence = "~" * max([3, *(len(run) + 1 for run in re.findall("~+", lines))])
    return f"**{title}**\n\n{fence}\n{lines}\n{fence}\n"


def _column(name: str, answer: Answer) -> list[str]:
    read_as = ", ".join("nothing" if a is None else plain(a)[:_WIDTH] for a in answer.answers)
    lines = [f"{name}: {answer.value:g}, read as: {read_as}"]
    for text in answer.texts if answer.texts is not None else ["(recorded without its text)"]:
        shown = plain(text if len(text) <= _SHOWN else f"… {text[-_SHOWN:]}")
        lines += ["", *shown.splitlines()]
    return [piece for line in lines for piece in textwrap.wrap(line, _WIDTH) or [""]]


def plain(text: str) -> str:
    """Model text that a terminal can be given: no control characters but the line end."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)
