"""The answers that flipped between two runs, side by side."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ochat_eval.baseline.compare import TaskComparison
from ochat_eval.baseline.find import RECORDED
from ochat_eval.baseline.results import RunResults
from ochat_eval.baseline.runs import indexes
from ochat_eval.records import Response, Rule


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """One item's responses in one run, and what a rule made of them, for people to read.

    Attributes:
        texts: the responses by sample and turn; None where the run is recorded without them.
        answers, value: as the rule read and valued them.
    """

    texts: tuple[str, ...] | None
    answers: tuple[str | None, ...]
    value: float


def answers(
    folder: Path, results: RunResults, ids: Iterable[str]
) -> dict[tuple[Rule, str], Answer]:
    """The named items' answers by rule and id: with their texts where the folder has them.

    Args:
        folder: of the run or recorded run that `results` was read from.
        ids: judged items of it.
    """
    outcomes = {i: o for task in results.tasks.values() for i, o in task.outcomes.items()}
    found: dict[tuple[Rule, str], Answer] = {}
    with contextlib.ExitStack() as stack:
        recorded = (folder / RECORDED).exists()
        found_in = None if recorded else stack.enter_context(indexes(folder))
        for id_ in ids:
            texts = tuple(map(_shown, found_in[0].of(id_))) if found_in else None
            scores = found_in[1].of(id_) if found_in else []
            for rule, verdicts in outcomes[id_].rules.items():
                read_as = tuple(s.answer for s in scores if s.rule == rule)
                if verdicts.values:
                    read_as = read_as if found_in else verdicts.answers
                    found[rule, id_] = Answer(texts, read_as, verdicts.values[0])
    return found


def _shown(response: Response) -> str:
    return "(a thought without an end)" if response.unfinished else response.text


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
