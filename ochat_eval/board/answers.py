"""The items of one run or of several side by side, as a list that is filtered and paged.

Nothing of a text is kept: of each record of the run's files only the place in its file, and of each
answer the bits that the filters ask for. What a run adds to its journal is read as it comes.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ochat_eval.board.places import Places
from ochat_eval.records import Item, Response, Rule, Score, UserError, Verdict, decoded
from ochat_eval.report.page.entries import FILTERS, FLIPPED, Lengths, Run, asks, entry, tails
from ochat_eval.run import store

_FIRST_BITS = 5
"""Where in a row the first run's bits stand: behind name, index, two unused places and sample."""
SAMPLE = 4
_ALL = FILTERS[0].value
_KEPT = 16
"""Searches whose results are kept."""
_KINDS = 256
"""Kinds of answers (the same bits, for the same reasons), and items, whose rows are kept."""


class _ItemName(msgspec.Struct, gc=False):
    """Of an item, all that a list of items shows."""

    id: str
    task: str
    subset: str
    index: int


class _Answer(msgspec.Struct, frozen=True, gc=False):
    """Of a response, what `entries.tails` asks for; of its text, whether there is any."""

    text: str
    sample: int = 0
    turn: int = 0
    finish_reason: str | None = None
    unfinished: bool = False
    cut = Response.cut


class _Response(_Answer, frozen=True, kw_only=True, gc=False):
    """What is read of a response: with the whole text, for `Lengths`."""

    id: str
    completion_tokens: int | None = None


class _Verdict(msgspec.Struct, frozen=True, gc=False):
    """Of a score, what `entries.tails` asks for."""

    sample: int
    rule: Rule
    matched: bool
    value: float | None
    turn: int = 0


class _Score(_Verdict, frozen=True, kw_only=True, gc=False):
    id: str


_Known = tuple[tuple[_Answer, ...], tuple[_Verdict, ...]]


class _Id(msgspec.Struct):
    id: str


class _Cause(msgspec.Struct):
    cause: str
    ids: list[str]


class _Why(msgspec.Struct):
    """Of a benchmark in why.json, what the filters by cause need."""

    causes: list[_Cause] = []


_WHY = msgspec.json.Decoder(dict[str, _Why])


def _before_prompts(line: bytes) -> bytes:
    """Of an item's line what stands before its prompts, which are most of what a run's files are.
    (No text in JSON holds a quote that is not escaped.)"""
    end = line.find(b',"turns":')
    return line[:end] + b"}" if end > 0 else line


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
    _answers: list[_Answer] = field(default_factory=list)  # by number in their files
    _verdicts: list[_Verdict] = field(default_factory=list)
    _same: dict[Any, Any] = field(default_factory=dict)  # of equal ones one is kept

    def __post_init__(self) -> None:
        folder = self.run.folder
        self.items = Places(folder / store.ITEMS, Item, _ItemName, _before_prompts)
        self.responses = Places(folder / store.RESPONSES, Response, _Response)
        self.scores = Places(folder / store.SCORES, Score, _Score)
        self.verdicts = Places(folder / store.JUDGMENTS, Verdict, _Id)
        self.asked = list(self.items.new())

    def update(self) -> tuple[int, int, int]:
        """Reads what was added; returns how many responses, scores and verdicts there are now."""
        same = self._same.setdefault
        for r in self.responses.new():
            self.lengths[r.id.partition("/")[0]].add(r)
            text = "" if not r.text or r.text.isspace() else "."
            answer = _Answer(text, r.sample, r.turn, r.finish_reason, r.unfinished)
            self._answers.append(same(answer, answer))
        for s in self.scores.new():
            verdict = _Verdict(s.sample, s.rule, s.matched, s.value, s.turn)
            self._verdicts.append(same(verdict, verdict))
        for _ in self.verdicts.new():
            pass  # only their places are kept
        return len(self.responses), len(self.scores), len(self.verdicts)

    def samples(self, item_id: str) -> int:
        """The number of rows that `entries.tails` makes of an item."""
        if not self.responses.has_several(item_id):
            return 1
        return len({self._answers[n].sample for n in self.responses.numbers(item_id)})

    def known(self, item_id: str) -> _Known:
        """What `entries.tails` asks for of an item."""
        return (
            tuple([self._answers[n] for n in self.responses.numbers(item_id)]),
            tuple([self._verdicts[n] for n in self.scores.numbers(item_id)]),
        )

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


def files_of(folder: Path) -> tuple[tuple[int, ...], ...]:
    """What tells that one of the files that a run's answers are read from is another by now: its
    number, and of those that are written as a whole when and how long too, for a number is used
    again. Journals grow."""
    names = (store.ITEMS, store.SCORES, store.SUMMARY, store.RESPONSES, store.JUDGMENTS)
    found: list[tuple[int, ...]] = []
    for name in names:
        path = folder / name
        state = path.stat() if path.exists() else None
        if state is None:
            found.append(())
        elif name in (store.RESPONSES, store.JUDGMENTS):
            found.append((state.st_ino,))
        else:
            found.append((state.st_ino, state.st_mtime_ns, state.st_size))
    return tuple(found)


class Search(NamedTuple):
    """What is looked for: a benchmark, its part, a filter's value, a word; empty: any."""

    task: str = ""
    subset: str = ""
    filter: str = _ALL
    word: str = ""

    def is_of(self, one: _ItemName) -> bool:
        """Whether an item is of the benchmark and the part that are looked for."""
        return self.task in ("", one.task) and self.subset in ("", one.subset)


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
        self._rated = {task: runs[0].run.rated(task) for task, _ in self.names}
        self._number = {name: n for n, name in enumerate(self.names)}
        self._asked = {one.id: one for one in runs[0].asked}
        self._read: list[tuple[int, int, int]] = []
        self._all: list[tuple[str, int]] = []
        self._tails = lru_cache(_KINDS)(_tails)
        self._rows = lru_cache(_KINDS)(self._rows_of)  # an item's samples are looked at in turn
        self._found: dict[Search, list[tuple[str, int]]] = {}

    def update(self) -> None:
        """Takes what the runs have added."""
        read = [run.update() for run in self.runs]
        if read != self._read:
            self._read = read
            self._found.clear()
            self._rows.cache_clear()
            samples = self.runs[0].samples
            self._all = [(one, n) for one in self._asked for n in range(samples(one))]

    def row(self, item_id: str, place: int) -> list[float]:
        """An item's answers, those of one of its samples: the number of its name, its index, two
        unused places, and the rest as `entries.tails` has it."""
        return self._rows(item_id)[place]

    def _rows_of(self, item_id: str) -> list[list[float]]:
        one = self._asked[item_id]
        answers = tuple([run.known(item_id) for run in self.runs])
        head = [self._number[one.task, one.subset], one.index, 0, 0]
        return [[*head, *tail] for tail in self._tails(answers, self._rated[one.task])]

    def name(self, item_id: str, place: int) -> str:
        """What a page calls an answer: the item's id; `#` and its number for a further sample."""
        sample = self.row(item_id, place)[SAMPLE]
        return f"{item_id}#{sample}" if sample else item_id

    def __len__(self) -> int:
        return len(self._all)

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
            some = iter(self._all)
            if search.task or search.subset:
                some = (one for one in some if search.is_of(self._asked[one[0]]))
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


def _tails(answers: Sequence[_Known], rated: bool) -> list[list[float]]:
    return list(tails([{"responses": r, "scores": s} for r, s in answers], rated))
