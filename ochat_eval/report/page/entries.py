"""What a page shows of a run: an answer's bits for the filters, an item's texts, all about the run.

The single-file report packs these into itself, the board sends them one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from ochat_eval.baseline.runs import read_summary
from ochat_eval.records import RULES, Item, Response, Score, UserError, Verdict
from ochat_eval.report.page.replicas import over_time
from ochat_eval.review.rates import measured
from ochat_eval.run import store
from ochat_eval.run.index import Index

RIGHT, UNMATCHED, UNREAD = 1, 4, 16
"""Bits of an answer, for `robust` shifted by one: right, the rule found nothing, a judge's verdict
that could not be read."""
DISAGREE, TRUNCATED, EMPTY, UNSCORED, MISSING, FLIPPED = 64, 128, 256, 512, 1024, 2048
UNFINISHED, RATED = 4096, 8192
"""Bits of an answer: the rules give other values, …, no response, another value than the first
run's under the published rule, a thought without an end, its value is a rating."""


class Filter(NamedTuple):
    """Lets through the answers that have one of some bits (0: any will do) and none of others."""

    value: str
    said: str
    some: int
    none: int

    def lets(self, bits: int) -> bool:
        """Whether an answer is let through."""
        return bool(bits & self.some or not self.some) and not bits & self.none


def _of_both(value: str, said: str, some: int, none: int) -> list[Filter]:
    """A filter under each rule; of `none`, UNSCORED and RATED are the same under both."""
    same = none & (UNSCORED | RATED)
    return [
        Filter(value, f"{said} (published)", some, none),
        Filter(f"{value}-robust", f"{said} (robust)", some << 1, (none & ~same) << 1 | same),
    ]


FILTERS = (
    Filter("all", "all", 0, 0),
    *_of_both("wrong", "wrong", 0, RIGHT | UNREAD | UNSCORED | RATED),
    *_of_both("right", "right", RIGHT, RATED),
    *_of_both("unmatched", "unmatched", UNMATCHED, 0),
    Filter("disagree", "rules disagree", DISAGREE, 0),
    Filter("truncated", "truncated", TRUNCATED, 0),
    Filter("empty", "empty", EMPTY, 0),
    Filter("unfinished", "thought without an end", UNFINISHED, 0),
    Filter("unread", "verdict not readable", UNREAD | UNREAD << 1, 0),
    Filter("unscored", "not scored", UNSCORED, 0),
    Filter("missing", "no response", MISSING, 0),
    Filter("answered", "answered", 0, MISSING),
)
"""What the items can be narrowed to, of the first run's bits."""


def is_rating(scale: float) -> bool:
    """Whether values on this scale (`Task.scale`) are ratings, not right or wrong."""
    return scale != 100


@dataclass
class Run:
    """A run on disk that has been scored. What is read of it is kept, and may be given."""

    folder: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Its summary.json."""
        return read_summary(self.folder)

    @cached_property
    def responses(self) -> Index[Response]:
        """Its responses by item."""
        return Index(self.folder / store.RESPONSES, Response)

    @cached_property
    def scores(self) -> Index[Score]:
        """Its scores by item."""
        return Index(self.folder / store.SCORES, Score)

    @cached_property
    def verdicts(self) -> Index[Verdict] | None:
        """A judge's verdicts by item; None where there are none."""
        path = self.folder / store.JUDGMENTS
        return Index(path, Verdict) if path.exists() else None

    @cached_property
    def asked(self) -> Index[Item]:
        """Its items by id."""
        return Index(self.folder / store.ITEMS, Item)

    def rated(self, task: str) -> bool:
        """Whether a benchmark's values are ratings."""
        return is_rating(self.summary["tasks"].get(task, {}).get("scale", 100))

    def items(self) -> Iterator[Item]:
        """Its items, in the plan's order."""
        return store.read_records(self.folder / store.ITEMS, Item)


def reported(folder: Path) -> Run:
    """The run in a folder.

    Raises:
        UserError: it is no run, or not yet scored and reported.
    """
    for name in (store.MANIFEST, store.RESPONSES, store.SCORES, store.SUMMARY):
        if not (folder / name).exists():
            raise UserError(f"{folder} has no {name}: it is no run that has been reported")
    return Run(folder)


class Long(Protocol):
    """What of a response tells how long it is."""

    @property
    def text(self) -> str:
        """The answer."""

    @property
    def completion_tokens(self) -> int | None:
        """None where nobody counted them."""


@dataclass
class Lengths:
    """How long a benchmark's answers are, counted by powers of two: 0, 1, 2 to 3, 4 to 7, …

    Attributes:
        tokens, characters: answers by the number of binary digits of their length.
    """

    tokens: Counter[int] = field(default_factory=Counter)
    characters: Counter[int] = field(default_factory=Counter)

    def add(self, response: Long) -> None:
        """Counts one more answer."""
        self.characters[len(response.text).bit_length()] += 1
        if response.completion_tokens is not None:
            self.tokens[response.completion_tokens.bit_length()] += 1

    def counts(self) -> dict[str, Any]:
        """In tokens where every answer says how many it has, else in characters."""
        if self.tokens.total() == self.characters.total():
            return {"unit": "tokens", "counts": self.tokens}
        return {"unit": "characters", "counts": self.characters}


def answers_of(run: Run, item: Item) -> dict[str, Any]:
    """What a run has of an item: `responses`, `scores`, `verdicts`; `item` where it is another."""
    verdicts = run.verdicts.of(item.id) if run.verdicts else []
    return {
        "item": None,
        "responses": run.responses.of(item.id),
        "scores": run.scores.of(item.id),
        "verdicts": verdicts,
    }


def tails(answers: Sequence[Mapping[str, Any]], rated: bool) -> Iterator[list[float]]:
    """An item's answers as rows for a list of them.

    Args:
        answers: of each run, the `responses` and `scores` of the item.
        rated: whether the benchmark's values are ratings.

    Yields:
        For each sample of the first run (0 where it has none) the sample, each run's bits and, of a
        rating, the first run's value under the published rule, where it has one.
    """
    for sample in sorted({r.sample for r in answers[0]["responses"]}) or [0]:
        bits = [_bits(found, sample) | RATED * rated for found in answers]
        values = _values(answers[0], sample) if rated or len(answers) > 1 else {}
        for other, found in enumerate(answers[1:], 1):
            bits[other] |= FLIPPED * _flipped(values, _values(found, sample))
        read = [v for v in values.values() if v is not None]
        yield [sample, *bits, *([sum(read) / len(read)] if rated and read else [])]


def _bits(found: Mapping[str, Any], sample: int) -> int:
    """What the filters ask of an answer."""
    bits = MISSING | UNSCORED
    values: dict[str, dict[int, float | None]] = {rule: {} for rule in RULES}
    for score in found["scores"]:
        if score.sample == sample:
            bits &= ~UNSCORED
            shift = RULES.index(score.rule)
            values[score.rule][score.turn] = score.value
            if not score.matched:
                bits |= UNMATCHED << shift
            if score.value is None:
                bits |= UNREAD << shift
    for shift, read in enumerate(values.values()):
        if read and all(value == 1 for value in read.values()):
            bits |= RIGHT << shift
    first, second = values.values()
    bits |= DISAGREE * (first != second)
    for response in found["responses"]:
        if response.sample == sample:
            bits &= ~MISSING
            bits |= TRUNCATED * response.cut
            bits |= EMPTY * (not response.unfinished and not response.text.strip())
            bits |= UNFINISHED * response.unfinished
    return bits


def _values(found: Mapping[str, Any], sample: int) -> dict[int, float | None]:
    """The published rule's values of an answer, by turn."""
    scores = (s for s in found["scores"] if s.sample == sample and s.rule == "published")
    return {s.turn: s.value for s in scores}


def _flipped(first: dict[int, float | None], second: dict[int, float | None]) -> bool:
    """Whether a turn that was read in both runs has another value."""
    both = [(first[turn], second[turn]) for turn in first.keys() & second.keys()]
    return any(a != b for a, b in both if a is not None and b is not None)


def asks(item: Item) -> tuple[object, ...]:
    """What two runs that asked the same have in common."""
    return item.turns, item.target, item.system


def entry(item: Item, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All that is shown of an item."""
    return {
        "id": item.id,
        "system": item.system,
        "examples": item.examples,
        "turns": item.turns,
        "target": item.target,
        "choices": item.choices,
        "condition": item.condition,
        "runs": [
            {
                "asked": found["item"] and [found["item"].turns, found["item"].target],
                "responses": [
                    [r.sample, r.turn, r.text, r.finish_reason, r.completion_tokens, *_thought(r)]
                    for r in found["responses"]
                ],
                "scores": [
                    [s.sample, s.turn, s.rule, s.answer, s.matched, s.value, s.detail]
                    for s in found["scores"]
                ],
                "verdicts": [
                    [v.sample, v.turn, v.text, v.judge + ", the answers swapped" * v.swapped]
                    for v in found["verdicts"]
                ],
            }
            for found in answers
        ],
    }


def _thought(response: Response) -> list[Any]:
    """What was thought, its tokens, whether it has no end; nothing where nothing was thought."""
    if response.reasoning is None:
        return []
    return [response.reasoning, response.reasoning_tokens, response.unfinished]


def about(run: Run, lengths: Mapping[str, Lengths]) -> dict[str, Any]:
    """All of a run but its items: summary, manifest, causes, marks, replicas, lengths."""
    return {
        "name": run.folder.name,
        "summary": run.summary,
        "manifest": store.read_json(run.folder / store.MANIFEST),
        "why": _optional(run.folder / f"{store.WHY}.json"),
        "review": measured(run.folder),
        "replicas": over_time(run.folder / store.REPLICAS),
        "lengths": {task: one.counts() for task, one in lengths.items()},
    }


def _optional(path: Path) -> dict[str, Any] | None:
    return store.read_json(path) if path.exists() else None
