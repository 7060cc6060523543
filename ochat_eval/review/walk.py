"""The walk through a run's answers, one key a reading; what is marked is on disk at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from ochat_eval.records import RULES, Item, Response, Rule, Score, UserError
from ochat_eval.review.marks import Mark, MarkFile, Opinion, read_marks, reading_digest
from ochat_eval.review.rates import current
from ochat_eval.review.show import shown
from ochat_eval.review.strata import SHOWN, Place, Read, order, readings
from ochat_eval.run import store
from ochat_eval.run.index import Index
from ochat_eval.terminal.say import tell

KEYS: Mapping[str, Opinion] = {"r": "right", "w": "wrong", "u": "unclear"}
BACK, QUIT = "b", "q"
_ASKED = "r right w wrong u unclear, b back q quit: "


class Question(NamedTuple):
    """A reading to be marked: one rule's, or that of both where they read the same."""

    place: Place
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Queue:
    """What is to be asked.

    Attributes:
        questions: in order, those of an answer one after another; what is marked is left out.
        done: answers of the chosen kinds that are marked already.
        of: answers of the chosen kinds.
    """

    questions: Sequence[Question]
    done: int
    of: int


def queue(folder: Path, task: str, show: str) -> Queue:
    """The questions of a benchmark that have no mark yet.

    The kinds of answers take turns, so that a rate over all is known early; within a kind the
    order is a random one that stays, so that those which are marked are a random sample of it.

    Args:
        show: a key of `SHOWN`.

    Raises:
        UserError: a file of the run cannot be read.
    """
    kinds: dict[str, list[Read]] = {name: [] for name in SHOWN[show]}
    for read in readings(folder, task):
        if read.stratum in kinds:
            kinds[read.stratum].append(read)
    for of_kind in kinds.values():
        of_kind.sort(key=lambda read: order(read.place))
    marks = read_marks(folder)
    every = [read for of_kind in kinds.values() for read in of_kind]
    marked = {read.place: read for read in every if any((*read.place, r) in marks for r in RULES)}
    fresh = current(folder, marked, marks)
    questions, done = [], 0
    for one in chain.from_iterable(zip_longest(*kinds.values())):
        if one is not None:
            left = [
                Question(one.place, rules)
                for rules in asked_of(one.scores)
                if not all((*one.place, rule) in fresh for rule in rules)
            ]
            questions += left
            done += not left
    return Queue(questions, done, len(every))


def asked_of(scores: Mapping[Rule, Score]) -> list[tuple[Rule, ...]]:
    """The rules that are asked about together: both at once where they read the same."""
    one, other = (scores[rule] for rule in RULES)
    if (one.answer, one.matched) == (other.answer, other.matched):
        return [RULES]
    return [(rule,) for rule in RULES]


class Walk:
    """Goes through questions, forth and back, and writes the marks down."""

    def __init__(self, folder: Path, marks: MarkFile):
        """Reads a run's items, responses and scores by id.

        Raises:
            UserError: one of them cannot be read.
        """
        self._items = Index(folder / store.ITEMS, Item)
        self._responses = Index(folder / store.RESPONSES, Response)
        self._scores = Index(folder / store.SCORES, Score)
        self._marks = marks

    def go(self, asked: Queue, key: Callable[[], str]) -> None:
        """Asks until there is nothing left, or the person leaves.

        Args:
            key: waits for a key; an empty text: no more will come.
        """
        at, seen = 0, None
        count = asked.done
        while at < len(asked.questions):
            question = asked.questions[at]
            response, scores = self._answer(question.place)
            if seen != question.place:
                places = dict.fromkeys(q.place for q in asked.questions[: at + 1])
                count = asked.done + len(places)
                tell(f"\n{'─' * 30} {count:,} of {asked.of:,}: {_named(response)}")
                tell(shown(self._item(response.id), response, scores))
                seen = question.place
            rules = " and ".join(question.rules)
            tell(f"Read right by {rules}? {_ASKED}", end="", flush=True)
            pressed = key()
            while pressed and pressed not in (*KEYS, BACK, QUIT):
                pressed = key()
            tell(KEYS.get(pressed, "back" if pressed == BACK else "quit"))
            if pressed in ("", QUIT):
                return
            if pressed == BACK:
                at, seen = max(0, at - 1), None
                continue
            self._mark(question, response, scores, KEYS[pressed])
            at += 1

    def _mark(
        self, asked: Question, response: Response, scores: Mapping[Rule, Score], mark: Opinion
    ) -> None:
        for rule in asked.rules:
            digest = reading_digest(response.text, scores[rule])
            self._marks.add(Mark(*asked.place, rule, mark, digest))

    def _item(self, item_id: str) -> Item:
        found = self._items.of(item_id)
        if not found:
            raise UserError(f"{self._items.path} has no {item_id!r}, which has been scored")
        return found[0]

    def _answer(self, place: Place) -> tuple[Response, dict[Rule, Score]]:
        item_id, *which = place
        found = [r for r in self._responses.of(item_id) if [r.sample, r.turn] == which]
        if not found:
            raise UserError(f"{self._responses.path} has no response to {place}, which was scored")
        scores = self._scores.of(item_id)
        return found[0], {s.rule: s for s in scores if [s.sample, s.turn] == which}


def _named(response: Response) -> str:
    """An answer's item, and which answer to it where there are several."""
    more = [
        f"{name} {n}" for name, n in (("sample", response.sample), ("turn", response.turn)) if n
    ]
    return ", ".join([response.id, *more])
