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
from ochat_eval.baseline.results import RunResults, flip_rates
from ochat_eval.records import RULES
from ochat_eval.terminal.grid import grid

_HEADERS = (
    "task", "rule", "n", "A", "B", "B − A", "95 % interval", "flips", "test", "p", "p (Holm)",
    "detectable", "note",
)  # fmt: skip
_ALIGN = (*["left"] * 2, *["right"] * 4, "left", "right", "left", *["right"] * 3, "left")
_WIDTH = 48
_SHOWN = 600
"""Characters of a response shown beside another: its end, where the answer is."""


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
    return grid(cells, _HEADERS, kind, align=_ALIGN)


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


def recorded_table(made: RunResults) -> str:
    """What was recorded: score and ψ of each benchmark and rule."""
    rows = []
    for name, task in made.tasks.items():
        for rule in RULES:
            values = [one.rules[rule].values[0] for one in task.outcomes.values()]
            rates = flip_rates(task, rule, made.runs)
            psi = f"{100 * rates[0]:.2f} %" if rates else "not measured"
            score = f"{task.scale * sum(values) / len(values):.2f}"
            rows.append([name, rule, f"{len(values):,}", score, psi])
    headers = ["task", "rule", "items", "score", "verdicts that flip between reruns (ψ)"]
    return grid(rows, headers, "simple")
