"""What `stage=plan` prints: counts, prompt lengths, and what the context would cut."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ochat_eval.benchmark.task import Task
from ochat_eval.records import Item
from ochat_eval.stages.estimate import Estimate, all_answers
from ochat_eval.terminal.grid import grid, notes


@dataclass(frozen=True)
class Lengths:
    """First prompts of one task, in tokens of the model's chat format, or in characters.

    Attributes:
        total: the sum over the items.
        longest: the longest, and `longest_id` whose it is.
        overlong: how many leave no room for an answer in the context; None in characters.
    """

    total: int
    longest: int
    longest_id: str
    overlong: int | None


def lengths(measured: Iterable[tuple[Item, int]], context: int | None) -> dict[str, Lengths]:
    """Lengths per task from each item's prompt length; `context` in the same unit or None."""
    found: dict[str, Lengths] = {}
    for item, length in measured:
        old = found.get(item.task, Lengths(0, -1, "", None if context is None else 0))
        longest = max((old.longest, old.longest_id), (length, item.id), key=lambda pair: pair[0])
        over = old.overlong
        if over is not None and context is not None:
            over += length >= context
        found[item.task] = Lengths(old.total + length, *longest, over)
    return found


def _tokens(one: Estimate) -> str:
    return "?" if one.tokens is None else f"{one.tokens:,.0f}"


def plan_table(
    tasks: Mapping[str, Task],
    counts: Mapping[str, int],
    totals: Mapping[str, int],
    found: Mapping[str, Lengths],
    answers: Mapping[str, Estimate],
) -> str:
    """The table, a row per task and a last one for the sum; `answers`: tokens of their answers."""
    unit = "tokens" if all(one.overlong is not None for one in found.values()) else "characters"
    headers = ["task", "items", "of", f"prompt {unit}", "longest", "too long", "answer tokens"]
    rows, below = [], []
    for name, one in ((name, found[name]) for name in tasks):
        over = "?" if one.overlong is None else f"{one.overlong:,}"
        row = [name, f"{counts[name]:,}", f"{totals[name]:,}", f"{one.total:,}"]
        rows.append([*row, f"{one.longest:,}", over, _tokens(answers[name])])
        below.append(f"{name}: the longest is {one.longest_id}; answers by {answers[name].source}")
    total = f"{sum(one.total for one in found.values()):,}"
    last = ["all", f"{sum(counts.values()):,}", f"{sum(totals.values()):,}", total, "", ""]
    rows.append([*last, _tokens(all_answers(answers.values()))])
    table = grid(rows, headers, align=["left", *("right" for _ in headers[1:])])
    return "\n".join([table, "", *notes(below)])
