"""What a person should know of a benchmark's questions before they cost anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ochat_eval.benchmark.task import Task
from ochat_eval.records import RULES, Item, Rule
from ochat_eval.terminal.words import counted

_SHOWN = 5
_TELLING = 5
"""So many equal letters are no accident any more: with four choices, once in 256 times."""


def advice(task: Task, items: Iterable[Item]) -> list[str]:
    """Lines for the user; none where all is well.

    Right answers that a rule cannot read back where they are stated as the prompt asks; and of a
    user's own rows, which can be mended, questions that come twice and a right letter that is
    always the same. Of a published benchmark, whose published rule keeps its known faults, only
    the robust rule reads.
    """
    rules = RULES[1:] if task.has_published_setting else RULES
    unread: dict[Rule, list[str]] = {rule: [] for rule in rules}
    read: dict[tuple[object, ...], bool] = {}  # most benchmarks have a handful of answers
    questions: dict[int, int] = {}  # by hash: texts would fill the memory
    letters, twice, otherwise, stated = Counter[str](), 0, 0, 0
    for item in items:
        if (text := task.stated(item)) is not None:
            stated += 1
            for rule in rules:
                key = rule, text, item.target, item.choices
                if key not in read:
                    read[key] = _is_read(task, item, text, rule)
                if not read[key]:
                    unread[rule].append(_place(task, item))
        if task.has_published_setting:
            continue
        letters.update(item.target[:1] if item.choices else ())
        asked, target = hash((item.system, item.turns)), hash(item.target)
        twice += asked in questions
        otherwise += questions.setdefault(asked, target) != target
    lines = []
    for rule, places in unread.items():
        if places:
            whose = some(places, "item" if task.has_published_setting else "row")
            lines.append(
                f"the {rule} rule reads {stated - len(places):,} of {stated:,} right answers back "
                f"when they are stated as asked; not those of {whose}"
            )
    if twice:
        more = f", {otherwise:,} of them with another right answer" if otherwise else ""
        lines.append(f"{counted(twice, 'question comes', 'questions come')} more than once{more}")
    if len(letters) == 1 and letters.total() >= _TELLING:
        lines.append(f"the right letter is always {next(iter(letters))}")
    return [f"{task.name}: {line}" for line in [*task.advice(), *lines]]


def _is_read(task: Task, item: Item, text: str, rule: Rule) -> bool:
    reading = task.read(item, text, rule)
    return reading.answer is not None and task.right(item, reading.answer, rule)


def _place(task: Task, item: Item) -> str:
    """Where its user finds it: a row of a file of one's own counts from 1."""
    return item.id if task.has_published_setting else str(item.index + 1)


def some(places: Sequence[str], what: str) -> str:
    """A few of the places: `row 3`, `7 rows (3, 8, 9, 12, 14, …)`."""
    if len(places) == 1:
        return f"{what} {places[0]}"
    more = ", …" if len(places) > _SHOWN else ""
    return f"{counted(len(places), what)} ({', '.join(places[:_SHOWN])}{more})"
