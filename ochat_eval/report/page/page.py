"""report.html: one self-contained page of a run, or of several runs side by side.

All items are in it: an index of small numbers that is read at once, and blocks of texts, packed,
that are unpacked when an item of theirs is looked at. The page may load nothing and run nothing
but its own script (its digest is in the policy); model text reaches the document as text only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from ochat_eval.baseline.runs import read_summary
from ochat_eval.records import RULES, Item, Response, Score, UserError, Verdict
from ochat_eval.report.page.frame import assets, page_file, write_data
from ochat_eval.report.page.replicas import over_time
from ochat_eval.review.rates import measured
from ochat_eval.run import store
from ochat_eval.run.index import Index

SHOWN = 100_000
"""Answers with their texts on a page; many more a browser does not hold."""
_BLOCK_ITEMS = 200
_BLOCK_CHARACTERS = 2_000_000
_STYLES = ("page.css", "items.css", "phone.css")
_SCRIPTS = (
    "basics.js",
    "pictures.js",
    "sections.js",
    "review.js",
    "detail.js",
    "items.js",
    "page.js",
)
_RIGHT, _UNMATCHED, _UNREAD = 1, 4, 16
"""Bits of an answer in the index, for `robust` shifted by one: right, the rule found nothing, a
judge's verdict that could not be read."""
_DISAGREE, _TRUNCATED, _EMPTY, _UNSCORED, _MISSING, _FLIPPED = 64, 128, 256, 512, 1024, 2048
_UNFINISHED = 4096
"""Bits of an answer: the rules give other values, …, no response, another value than the first
run's under the published rule, a thought without an end."""


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


@dataclass
class _Lengths:
    """How long a benchmark's answers are, counted by powers of two: 0, 1, 2 to 3, 4 to 7, …"""

    tokens: Counter[int] = field(default_factory=Counter)
    characters: Counter[int] = field(default_factory=Counter)

    def add(self, response: Response) -> None:
        self.characters[len(response.text).bit_length()] += 1
        if response.completion_tokens is not None:
            self.tokens[response.completion_tokens.bit_length()] += 1

    def counts(self) -> dict[str, Any]:
        """In tokens where every answer says how many it has, else in characters."""
        if self.tokens.total() == self.characters.total():
            return {"unit": "tokens", "counts": self.tokens}
        return {"unit": "characters", "counts": self.characters}


def write_page(path: Path, runs: Sequence[Run]) -> None:
    """Writes the page of the first run's items, each with the answers of all runs.

    Raises:
        UserError: the page cannot be written, or a run's file is damaged.
    """
    style, script = assets(*_STYLES), assets(*_SCRIPTS)
    lengths: list[dict[str, _Lengths]] = [{} for _ in runs]
    with page_file(path, assets("page.html"), style, script) as file:
        index = _write_items(file, runs, lengths)
        write_data(file, "index", index)
        write_data(file, "about", _about(runs, lengths))


def _write_items(
    file: TextIO, runs: Sequence[Run], lengths: Sequence[dict[str, _Lengths]]
) -> dict[str, Any]:
    """Writes the blocks of texts; returns the index.

    Returns:
        `names`: task and subset by number; `rows`: for each answer the number of its name, the
        item's index, sample, block, place in it, each run's bits, and the first run's value
        where that is neither 0 nor 1; `leftOut`: answers that are not on the page; `others`: for
        each further run, items that the first did not ask.
    """
    blocks = _Blocks(file)
    rows: list[list[float]] = []
    names: dict[tuple[str, str], int] = {}
    left_out, shared = 0, [0] * len(runs)
    for item in runs[0].items():
        answers = [_answers(run, item) for run in runs]
        for number, run in enumerate(runs[1:], 1):
            if also := run.asked.of(item.id):
                shared[number] += 1
                if _asks(also[0]) != _asks(item):
                    answers[number]["item"] = also[0]
        for every, found in zip(lengths, answers, strict=True):
            for response in found["responses"]:
                every.setdefault(item.task, _Lengths()).add(response)
        samples = sorted({r.sample for r in answers[0]["responses"]}) or [0]
        if left_out or len(rows) + len(samples) > SHOWN:
            left_out += len(samples)
            continue
        name = names.setdefault((item.task, item.subset), len(names))
        place = blocks.add(name, item, answers)
        for sample in samples:
            values = [_values(found, sample) for found in answers]
            bits = [_bits(found, sample) for found in answers]
            for other in range(1, len(runs)):
                bits[other] |= _FLIPPED * _flipped(values[0], values[other])
            read = [v for v in values[0].values() if v is not None]
            rating = [sum(read) / len(read)] if any(v not in (0, 1) for v in read) else []
            rows.append([name, item.index, sample, *place, *bits, *rating])
    blocks.flush()
    others = [len(run.asked) - n for run, n in zip(runs[1:], shared[1:], strict=True)]
    return {"names": list(names), "rows": rows, "leftOut": left_out, "others": others}


class _Blocks:
    """Packs items together, those of a subset with each other: their prompts are alike."""

    def __init__(self, file: TextIO):
        self._file = file
        self._number = self._characters = 0
        self._block: list[dict[str, Any]] = []
        self._name: int | None = None

    def add(self, name: int, item: Item, answers: Sequence[dict[str, Any]]) -> tuple[int, int]:
        """Returns the number of the item's block and its place in it."""
        full = len(self._block) == _BLOCK_ITEMS or self._characters > _BLOCK_CHARACTERS
        if full or name != self._name:
            self.flush()
        self._name = name
        self._block.append(_entry(item, answers))
        written = [r for found in answers for r in (*found["responses"], *found["verdicts"])]
        texts = (*item.turns, *(r.text for r in written), *(r.reasoning or "" for r in written))
        self._characters += sum(map(len, texts))
        return self._number, len(self._block) - 1

    def flush(self) -> None:
        """Writes what has been gathered."""
        if self._block:
            write_data(self._file, f"block{self._number}", self._block)
            self._number, self._characters = self._number + 1, 0
            self._block.clear()


def _answers(run: Run, item: Item) -> dict[str, Any]:
    verdicts = run.verdicts.of(item.id) if run.verdicts else []
    return {
        "item": None,
        "responses": run.responses.of(item.id),
        "scores": run.scores.of(item.id),
        "verdicts": verdicts,
    }


def _bits(found: dict[str, Any], sample: int) -> int:
    """What the filters ask of an answer."""
    responses = [r for r in found["responses"] if r.sample == sample]
    scores = [s for s in found["scores"] if s.sample == sample]
    bits = _MISSING * (not responses) | _UNSCORED * (not scores)
    values: dict[str, dict[int, float | None]] = {rule: {} for rule in RULES}
    for score in scores:
        shift = RULES.index(score.rule)
        values[score.rule][score.turn] = score.value
        bits |= (_UNMATCHED << shift) * (not score.matched) | (_UNREAD << shift) * (
            score.value is None
        )
    for shift, rule in enumerate(RULES):
        read = values[rule].values()
        bits |= (_RIGHT << shift) * (bool(read) and all(value == 1 for value in read))
    first, second = values.values()
    bits |= _DISAGREE * (first != second)
    for response in responses:
        bits |= _TRUNCATED * response.cut
        bits |= _EMPTY * (not response.unfinished and not response.text.strip())
        bits |= _UNFINISHED * response.unfinished
    return bits


def _values(found: dict[str, Any], sample: int) -> dict[int, float | None]:
    """The published rule's values of an answer, by turn."""
    scores = (s for s in found["scores"] if s.sample == sample and s.rule == "published")
    return {s.turn: s.value for s in scores}


def _flipped(first: dict[int, float | None], second: dict[int, float | None]) -> bool:
    """Whether a turn that was read in both runs has another value."""
    both = [(first[turn], second[turn]) for turn in first.keys() & second.keys()]
    return any(a != b for a, b in both if a is not None and b is not None)


def _asks(item: Item) -> tuple[object, ...]:
    """What two runs that asked the same have in common."""
    return item.turns, item.target, item.system


def _entry(item: Item, answers: Sequence[dict[str, Any]]) -> dict[str, Any]:
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
                "verdicts": [[v.sample, v.turn, v.text, v.judge] for v in found["verdicts"]],
            }
            for found in answers
        ],
    }


def _thought(response: Response) -> list[Any]:
    """What was thought, its tokens, whether it has no end; nothing where nothing was thought."""
    if response.reasoning is None:
        return []
    return [response.reasoning, response.reasoning_tokens, response.unfinished]


def _about(runs: Sequence[Run], lengths: Sequence[dict[str, _Lengths]]) -> dict[str, Any]:
    """All but the items: summaries, manifests, causes, marks, replicas, lengths."""
    return {
        "runs": [
            {
                "name": run.folder.name,
                "summary": run.summary,
                "manifest": store.read_json(run.folder / store.MANIFEST),
                "why": _optional(run.folder / f"{store.WHY}.json"),
                "review": measured(run.folder),
                "replicas": over_time(run.folder / store.REPLICAS),
                "lengths": {task: one.counts() for task, one in found.items()},
            }
            for run, found in zip(runs, lengths, strict=True)
        ]
    }


def _optional(path: Path) -> dict[str, Any] | None:
    return store.read_json(path) if path.exists() else None
