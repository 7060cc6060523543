"""The items of one run or of several side by side, as a list that is filtered and paged.

Nothing of a text is kept: of each record of the run's files only the place in its file, and of each
answer the bits that the filters ask for. What a run adds to its journal is read as it comes.
"""

from __future__ import annotations

import os
import re
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from ochat_eval.records import (
    Item,
    R,
    Response,
    Rule,
    Score,
    UserError,
    Verdict,
    decoded,
    from_json,
)
from ochat_eval.report.page.entries import FILTERS, FLIPPED, Lengths, Run, asks, entry, tails
from ochat_eval.run import store
from ochat_eval.run.journal import end_of_last_line

_FIRST_BITS = 5
"""Where in a row the first run's bits stand: behind name, index, two unused places and sample."""
SAMPLE = 4
_ALL = FILTERS[0].value
_KEPT = 16
"""Searches whose results are kept."""


H = TypeVar("H")


class _ItemName(msgspec.Struct, gc=False):
    """Of an item, all that a list of items shows."""

    id: str
    task: str
    subset: str
    index: int


class _Answer(msgspec.Struct, gc=False):
    """Of a response, what `Lengths` and `entries.tails` ask for."""

    id: str
    text: str
    sample: int = 0
    turn: int = 0
    finish_reason: str | None = None
    completion_tokens: int | None = None
    unfinished: bool = False
    cut = Response.cut


class _Verdict(msgspec.Struct, gc=False):
    """Of a score, what `entries.tails` asks for."""

    id: str
    sample: int
    rule: Rule
    matched: bool
    value: float | None
    turn: int = 0


class _Id(msgspec.Struct):
    id: str


class _Cause(msgspec.Struct):
    cause: str
    ids: list[str]


class _Why(msgspec.Struct):
    """Of a benchmark in why.json, what the filters by cause need."""

    causes: list[_Cause] = []


_WHY = msgspec.json.Decoder(dict[str, _Why])


def read_why(folder: Path) -> dict[str, _Why]:
    """The causes in why.json, by benchmark; empty where there is none.

    Raises:
        UserError: the file is damaged.
    """
    path = folder / f"{store.WHY}.json"
    try:
        return decoded(_WHY, path.read_bytes()) if path.exists() else {}
    except (OSError, ValueError, RecursionError) as e:
        raise UserError(f"{path} cannot be read: {e}; stage=report writes it again") from e


class Places(Generic[R, H]):
    """Where each record of a growing JSON lines file stands, by item."""

    def __init__(self, path: Path, cls: type[R], head: type[H]):
        """Takes a file that need not be there yet; `new` reads it.

        Args:
            head: what `new` takes of a record; of others' fields nothing is made.
        """
        self.path = path
        self._cls: type[R] = cls
        self._head = msgspec.json.Decoder(head)
        self._read = 0
        self._spans: dict[str, array[int]] = {}  # no lists: the garbage collector would go over all

    def new(self) -> Iterator[H]:
        """The heads of the whole lines that were added since the last call.

        Raises:
            UserError: the file cannot be read, or a line is no such record.
        """
        if not self.path.exists():
            return
        try:
            with self.path.open("rb") as file:
                whole = end_of_last_line(file.fileno(), os.fstat(file.fileno()).st_size)
                file.seek(self._read)
                while self._read < whole:
                    line = file.readline()
                    head: Any = None if line.isspace() else decoded(self._head, line)
                    if head is not None:
                        if (spans := self._spans.get(head.id)) is None:
                            spans = self._spans[head.id] = array("q")
                        spans.append(self._read)
                        spans.append(self._read + len(line))
                        yield head
                    self._read += len(line)
        except (OSError, ValueError, RecursionError) as e:
            kind = self._cls.__name__.lower()
            raise UserError(f"{self.path} at byte {self._read:,}: no {kind} record ({e})") from e

    def of(self, item_id: str) -> list[R]:
        """The records of an item; empty where it has none.

        Raises:
            UserError: the file is another by now.
        """
        found = self._spans.get(item_id)
        if not found:
            return []
        try:
            with self.path.open("rb") as file:
                fd = file.fileno()
                spans = zip(found[::2], found[1::2], strict=True)
                lines = [os.pread(fd, stop - start, start) for start, stop in spans]
            return [from_json(self._cls, line) for line in lines]
        except (OSError, ValueError) as e:
            raise UserError(f"{self.path} has changed while it was read: {e}") from e


@dataclass
class RunAnswers:
    """The answers of one run.

    Attributes:
        run: whose; its summary must be known.
        asked: its items in the plan's order.
        lengths: how long the answers are, by benchmark.
    """

    run: Run
    asked: list[_ItemName] = field(init=False)
    lengths: defaultdict[str, Lengths] = field(default_factory=lambda: defaultdict(Lengths))
    _responses: defaultdict[str, list[_Answer]] = field(default_factory=lambda: defaultdict(list))
    _scores: defaultdict[str, list[_Verdict]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        folder = self.run.folder
        self.items = Places(folder / store.ITEMS, Item, _ItemName)
        self.responses = Places(folder / store.RESPONSES, Response, _Answer)
        self.scores = Places(folder / store.SCORES, Score, _Verdict)
        self.verdicts = Places(folder / store.JUDGMENTS, Verdict, _Id)
        self.asked = list(self.items.new())

    def update(self) -> set[str]:
        """Reads what was added; returns the items that have something new."""
        changed = set()
        for r in self.responses.new():
            self.lengths[r.id.partition("/")[0]].add(r)
            r.text = r.text.strip()[:1]  # no more than whether there is any
            self._responses[r.id].append(r)
            changed.add(r.id)
        for score in self.scores.new():
            self._scores[score.id].append(score)
            changed.add(score.id)
        changed.update(verdict.id for verdict in self.verdicts.new())
        return changed

    def samples(self, item_id: str) -> int:
        """The number of rows that `entries.tails` makes of an item."""
        found = self._responses.get(item_id, ())
        return len({r.sample for r in found}) if len(found) > 1 else 1

    def known(self, item_id: str) -> dict[str, Sequence[Any]]:
        """What `entries.tails` takes of an item: `responses`, without their texts, and `scores`."""
        return {
            "responses": self._responses.get(item_id, ()),
            "scores": self._scores.get(item_id, ()),
        }

    def whole(self, item: Item) -> dict[str, Any]:
        """What the run has of an item, with the texts; see `entries.answers_of`."""
        own = self.items.of(item.id)
        other = own and asks(own[0]) != asks(item)
        return {
            "item": own[0] if other else None,
            "responses": sorted(self.responses.of(item.id), key=lambda r: (r.sample, r.turn)),
            "scores": self.scores.of(item.id),
            "verdicts": self.verdicts.of(item.id),
        }


def files_of(folder: Path) -> tuple[int, ...]:
    """The numbers of the files that a run's answers are read from; one put in the place of another
    has its own."""
    names = (store.ITEMS, store.RESPONSES, store.SCORES, store.JUDGMENTS, store.SUMMARY)
    return tuple(p.stat().st_ino if (p := folder / name).exists() else 0 for name in names)


class Search(NamedTuple):
    """What is looked for: a benchmark, its part, a filter's value, a word; empty: any."""

    task: str = ""
    subset: str = ""
    filter: str = _ALL
    word: str = ""


class Listing:
    """The answers to the items of the first of several runs, each with those of all."""

    def __init__(self, runs: Sequence[RunAnswers]):
        """Reads no answers yet; `update` does."""
        self.runs = runs
        self._causes = {
            f"why/{run.run.folder.name}/{task}/{cause.cause}": frozenset(
                re.sub(r" turn \d+$", "", one) for one in cause.ids
            )
            for run in runs
            for task, why in read_why(run.run.folder).items()
            for cause in why.causes
        }
        self.names: list[tuple[str, str]] = list(
            dict.fromkeys((one.task, one.subset) for one in runs[0].asked)
        )
        self._number = {name: n for n, name in enumerate(self.names)}
        self._asked = {one.id: one for one in runs[0].asked}
        self._rows: dict[str, list[list[float]]] = {}  # made when they are asked for
        self._found: dict[Search, list[tuple[str, int]]] = {}

    def update(self) -> None:
        """Takes what the runs have added."""
        changed = set().union(*(run.update() for run in self.runs))
        if changed:
            self._found.clear()
        for item_id in changed:
            self._rows.pop(item_id, None)

    def row(self, item_id: str, place: int) -> list[float]:
        """An item's answers, those of one of its samples: the number of its name, its index, two
        unused places, and the rest as `entries.tails` has it."""
        if (rows := self._rows.get(item_id)) is None:
            one = self._asked[item_id]
            answers = [run.known(item_id) for run in self.runs]
            head = [self._number[one.task, one.subset], one.index, 0, 0]
            rated = self.runs[0].run.rated(one.task)
            rows = self._rows[item_id] = [[*head, *tail] for tail in tails(answers, rated)]
        return rows[place]

    def name(self, item_id: str, place: int) -> str:
        """What a page calls an answer: the item's id; `#` and its number for a further sample."""
        sample = self.row(item_id, place)[SAMPLE]
        return f"{item_id}#{sample}" if sample else item_id

    def __len__(self) -> int:
        return sum(map(self.runs[0].samples, self._asked))

    @property
    def others(self) -> list[int]:
        """For each further run, items that the first did not ask."""
        return [sum(one.id not in self._asked for one in run.asked) for run in self.runs[1:]]

    def find(self, search: Search) -> list[tuple[str, int]]:
        """The answers that fit, in the plan's order: each as `row` takes it.

        Raises:
            UserError: there is no such filter.
        """
        if search not in self._found:
            lets = self._filter(search.filter)
            some: Iterator[tuple[str, int]] = (
                (one.id, place)
                for one in self._asked.values()
                if search.task in ("", one.task) and search.subset in ("", one.subset)
                for place in range(self.runs[0].samples(one.id))
            )
            if search.filter != _ALL:
                some = (one for one in some if lets(one[0], self.row(*one)))
            fits = list(self._with(some, search.word.lower()) if search.word else some)
            while len(self._found) >= _KEPT:
                self._found.pop(next(iter(self._found)))
            self._found[search] = fits
        return self._found[search]

    def entry(self, item_id: str) -> dict[str, Any]:
        """All that is shown of an item.

        Raises:
            UserError: the first run did not ask it.
        """
        found = self.runs[0].items.of(item_id)
        if not found:
            raise UserError("there is no such item")
        return entry(found[0], [run.whole(found[0]) for run in self.runs])

    def _filter(self, value: str) -> Callable[[str, list[float]], bool]:
        """A test of an item's id and row."""
        for one in FILTERS:
            if one.value == value:
                return lambda _, row: one.lets(int(row[_FIRST_BITS]))
        if match := re.fullmatch(r"flipped([2-9]\d{0,2})?", value):
            place = _FIRST_BITS + int(match[1] or 1)
            if place < _FIRST_BITS + len(self.runs):
                return lambda _, row: bool(int(row[place]) & FLIPPED)
        if known := self._causes.get(value):
            return lambda item_id, row: (
                item_id in known or f"{item_id} sample {row[SAMPLE]}" in known
            )
        raise UserError("there is no such filter")

    def _with(self, some: Iterator[tuple[str, int]], word: str) -> Iterator[tuple[str, int]]:
        """Those whose id or any of whose texts holds a word in small letters."""
        last, texts = None, {}
        for item_id, place in some:
            if item_id != last:
                last, texts = item_id, self._texts(item_id)
            sample = int(self.row(item_id, place)[SAMPLE])
            if any(word in text.lower() for n in (None, sample) for text in texts.get(n, ())):
                yield item_id, place

    def _texts(self, item_id: str) -> dict[int | None, list[str]]:
        """An item's texts by sample; under None those of all: its id, prompts, target."""
        item = self.runs[0].items.of(item_id)[0]
        found: dict[int | None, list[str]] = {None: [item.id, *item.turns, *item.target]}
        for run in self.runs:
            for one in (*run.responses.of(item_id), *run.verdicts.of(item_id)):
                found.setdefault(one.sample, []).extend((one.text, one.reasoning or ""))
        return found
