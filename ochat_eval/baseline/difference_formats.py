"""A comparison of two runs for people and programs: terminal, Markdown, JSON, and its flips."""

from __future__ import annotations

import dataclasses
import itertools
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from ochat_eval.baseline.compare import TaskComparison
from ochat_eval.baseline.flips import Answer, Flip
from ochat_eval.baseline.results import RunResults, flip_rates, score
from ochat_eval.records import RULES, Rule
from ochat_eval.terminal.grid import DASH, grid, interval, notes, number
from ochat_eval.terminal.words import plain

HEADERS = (
    "task", "rule", "n", "A", "B", "B − A", "95 % interval", "flips", "test", "p", "p (Holm)",
    "detectable", "note",
)  # fmt: skip
"""The columns of a comparison."""
_ALIGN = (*["left"] * 2, *["right"] * 4, "left", "right", "left", *["right"] * 3, "left")
_NARROW = ("task", "n", "A", "B", "B − A", "95 % interval", "flips", "p (Holm)")
"""The columns that a terminal has room for; the others stand below its table."""
_WIDTHS = {"terminal": 38, "markdown": 48}
"""Of each of two columns side by side."""
_SHOWN = 600
"""Characters of a response shown beside another: its end, where the answer is."""


def cells_of(row: TaskComparison) -> list[str]:
    """A comparison in words and figures, by `HEADERS`."""
    gap = row.difference
    n = len(row.pairing.ids) if row.pairing else gap.n if gap else 0
    flipped = f"+{len(row.flips.gained)} −{len(row.flips.lost)}" if row.pairing else DASH
    return [
        row.task,
        row.rule,
        f"{n:,}",
        number(row.a),
        number(row.b),
        number(gap.score if gap else None, "+.2f"),
        interval(gap.lo, gap.hi, "+.2f").replace("…", " … ") if gap else DASH,
        flipped,
        row.test or DASH,
        number(row.p, ".3g"),
        number(row.p_holm, ".3g"),
        number(row.detectable),
        row.note,
    ]


def table(rows: Sequence[TaskComparison], form: str) -> str:
    """The rows as a table; `form` is `terminal` or `markdown`."""
    cells = [cells_of(row) for row in rows]
    if form == "markdown":
        return grid(cells, HEADERS, "github", align=_ALIGN)
    return "\n\n".join(_narrow(rows, rule) for rule in dict.fromkeys(row.rule for row in rows))


def _narrow(rows: Sequence[TaskComparison], rule: Rule) -> str:
    """One rule's rows for a terminal."""
    cells, below = [], []
    for row in (row for row in rows if row.rule == rule):
        found = dict(zip(HEADERS, cells_of(row), strict=True))
        cells.append([found[name].replace(" … ", "…") for name in _NARROW])
        more = [f"p {found['p']} ({row.test})"] if row.test else []
        more += [f"detectable {found['detectable']}"] if row.detectable is not None else []
        more += [row.note] if row.note else []
        if more:
            below.append(f"{row.task}: {'; '.join(more)}")
    heads = ["95 % CI" if name == "95 % interval" else name for name in _NARROW]
    align = [_ALIGN[HEADERS.index(name)] for name in _NARROW]
    return "\n".join([f"rule {rule}", grid(cells, heads, align=align), *notes(below)])


def as_json(rows: Sequence[TaskComparison], shown: Sequence[Flip]) -> dict[str, Any]:
    """The rows as plain values, and the flips with both answers."""
    return {
        "tasks": [dataclasses.asdict(row) for row in rows],
        "flips": [dataclasses.asdict(flip) for flip in shown],
    }


def side_by_side(flip: Flip, form: str) -> str:
    """One flip: both answers as read and the ends of both responses, in two columns."""
    title = f"{flip.id} ({flip.rule}): {flip.change}"
    width = _WIDTHS["markdown" if form == "markdown" else "terminal"]
    columns = [_column(name, answer, width) for name, answer in (("A", flip.a), ("B", flip.b))]
    lines = "\n".join(
        f"{left:{width}} │ {right}".rstrip()
        for left, right in itertools.zip_longest(*columns, fillvalue="")
    )
    if form != "markdown":
        return f"{title}\n{lines}\n"
    fence = "~" * max([3, *(len(run) + 1 for run in re.findall("~+", lines))])
    return f"**{title}**\n\n{fence}\n{lines}\n{fence}\n"


def _column(name: str, answer: Answer, width: int) -> list[str]:
    read_as = ", ".join("nothing" if a is None else plain(a, "\n")[:width] for a in answer.answers)
    lines = [f"{name}: {answer.value:g}, read as: {read_as}"]
    for text in answer.texts if answer.texts is not None else ["(recorded without its text)"]:
        shown = plain(text if len(text) <= _SHOWN else f"… {text[-_SHOWN:]}", "\n")
        lines += ["", *shown.splitlines()]
    return [piece for line in lines for piece in textwrap.wrap(line, width) or [""]]


def recorded_table(made: RunResults) -> str:
    """What was recorded: score and ψ of each benchmark and rule."""
    rows = []
    for name, task in made.tasks.items():
        for rule in RULES:
            rates = flip_rates(task, rule, made.runs)
            psi = f"{100 * rates[0]:.2f} %" if rates else "not measured"
            items = f"{len(task.outcomes):,}"
            rows.append([name, rule, items, number(score(task, rule)), psi])
    headers = ["task", "rule", "items", "score", "flip between reruns (ψ)"]
    return grid(rows, headers, "simple")
