"""Shapes that benchmarks share: where rows come from, and the common kinds of answers.

A benchmark takes one of each: `class Gpqa(OwnCopy, MarkedChoice)` (`tasks/gpqa.py` is the short
example). It adds where its rows are and how a row becomes an item; the rest is here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any, ClassVar

from ochat_eval.answers import robust_choice, robust_number, robust_text, same_number, same_text
from ochat_eval.answers.published import (
    choice_after_marker,
    first_letter,
    last_number,
    text_after_marker,
)
from ochat_eval.benchmark.fewshot import example_turns
from ochat_eval.benchmark.task import Task, make_item
from ochat_eval.data.files import FileSource
from ochat_eval.data.local import LocalCsv
from ochat_eval.data.rows import Row
from ochat_eval.data.source import Source
from ochat_eval.records import Item, Reading, Rule, Score, UserError

LABELS = tuple(f"({letter})" for letter in ascii_uppercase)
"""`(A)` … `(Z)`."""
BEFORE_MATH_MODE: Mapping[str, Mapping[str, Any]] = {"OpenChat-3.5": {"condition": "GPT4 Correct"}}
"""`Task.published_with` of the mathematical benchmarks: the first model had no mode for them. Its
README of November 2023 runs all sets with one condition; that of January 2024 has two."""


@dataclass(frozen=True, kw_only=True)
class RowTask(Task):
    """A benchmark of which each row is one item.

    Attributes:
        full: for each subset the source of its rows.
        sample: a few items that ship with it; a row's `subset` names its subset.
        size: how many items the benchmark has.
    """

    full: ClassVar[Mapping[str, Source[Any]]]
    sample: ClassVar[Source[list[Row]]]
    size: ClassVar[int]

    def item(self, subset: str, index: int, row: Row) -> Item:
        """The item that a row is; a row written in the way of openchat's files if not overridden.

        Args:
            index: the row's 0-based place in its subset.
        """
        return make_item(self, subset, index, row["question"], row["label"], row["options"])

    def sources(self) -> tuple[Source[Any], ...]:
        """The sample items, or one source for each subset."""
        return (self.sample,) if self.data == "sample" else tuple(self.full.values())

    def expected_items(self) -> int | None:
        """The benchmark's size; None for sample items."""
        return None if self.data == "sample" else self.size

    def items(self) -> Iterator[Item]:
        """An item for each row."""
        for subset, rows in self.rows():
            for index, row in enumerate(rows):
                yield self.item(subset, index, row)

    def rows(self) -> Iterator[tuple[str, list[Row]]]:
        """The subsets with their rows, one subset in memory at a time."""
        if self.data == "sample":
            yield from by_subset(self.sample.load()).items()
        else:
            for subset, source in self.full.items():
                yield subset, source.jsonl() if isinstance(source, FileSource) else source.load()


@dataclass(frozen=True, kw_only=True)
class OwnCopy(RowTask):
    """A benchmark whose data may not be passed on: every user brings a copy.

    Attributes:
        columns: what the copy must have.
        file: the copy, a CSV file with a header line.
    """

    columns: ClassVar[tuple[str, ...]]
    paths: ClassVar[frozenset[str]] = frozenset({"file"})

    file: str | None = None

    def sources(self) -> tuple[Source[Any], ...]:
        """The sample items, or the copy."""
        return (self.sample,) if self.data == "sample" else (self._copy(),)

    def rows(self) -> Iterator[tuple[str, list[Row]]]:
        """The rows of the copy, or the sample items."""
        if self.data == "sample":
            yield from super().rows()
        else:
            yield "main", self._copy().load()

    def _copy(self) -> LocalCsv:
        if self.file is None:
            option = f"tasks.{self.name}.file"
            raise UserError(
                f"{option} is not set: {self.name} is gated and cannot be fetched. Ask its authors "
                f"for access, name your copy with {option}=FILE.csv, or take data=sample"
            )
        return LocalCsv(self.file, self.columns)


def by_subset(rows: list[Row], key: str = "subset") -> dict[str, list[Row]]:
    """The rows of each subset, in order; `main` are those that name none under `key`."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.get(key, "main"), []).append(row)
    return groups


@dataclass(frozen=True, kw_only=True)
class WorkedExamples(Task):
    """Worked examples before the question.

    Attributes:
        question_end: the last words of an example's question.
        num_fewshot: how many examples; None for all.
        fewshot: `text`, as published: all in one message; `turns`: each example is a turn of its
            own, what stands above them goes with the first.
    """

    before: ClassVar[Mapping[str, Any]] = {**Task.before, "fewshot": "text"}
    question_end: ClassVar[str]

    num_fewshot: int | None = None
    fewshot: str = "text"

    def __post_init__(self) -> None:
        """As `Task`; and refuses a way of giving examples that there is not."""
        super().__post_init__()
        if self.fewshot not in ("text", "turns"):
            raise UserError(
                f"{self.name}: fewshot is {self.fewshot}; it is text (one message, as published) "
                "or turns (a turn for each example)"
            )

    def asked(self, item: Item, block: str, start: str) -> Item:
        """An item whose one turn is the question, with the examples of a block before it.

        Args:
            block: the text above the examples and the examples; each begins with `start`.
        """
        [question] = item.turns
        if self.fewshot == "text":
            return replace(item, turns=(block + question,))
        option = f"tasks.{self.name}.fewshot"
        heading, pairs = example_turns(block, start, self.question_end, option)
        if not pairs:
            return replace(item, turns=(block + question,))
        if heading:
            pairs[0] = (f"{heading}\n\n{pairs[0][0]}", pairs[0][1])
        return replace(item, examples=tuple(pairs))


@dataclass(frozen=True, kw_only=True)
class FirstLetter(Task):
    """Zero-shot choice that is answered with a bare letter; `choices` are letters.

    Attributes:
        letters: what the published rule takes for an answer; None for the item's own letters.
    """

    letters: ClassVar[str | None] = None

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        """Published: the first such character, wherever it stands; robust: the stated choice."""
        choices = item.choices or ()
        if rule == "published":
            return first_letter(text, self.letters or choices)
        # 51 BBH items go on behind Z with `[`, `\` … `b`: never right, and no letters of a list.
        return robust_choice(text, [choice for choice in choices if choice in ascii_uppercase])

    def stated(self, item: Item) -> str:
        """The letter alone."""
        return item.target[0]

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        """Whether it is one of the right letters."""
        return answer in item.target

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        """A letter that only begins or is a word, several letters, or no clear one."""
        span = (published.detail or {}).get("span")
        if span is None:
            return super().cause(item, text, published, robust)
        start, end = span
        if text[start - 1 : start].isalpha() or text[end : end + 1].isalpha():
            return "the letter of a word"
        if robust.answer is None:
            return "two answers, or none stated"
        return "another letter comes first"


@dataclass(frozen=True, kw_only=True)
class MarkedChoice(Task):
    """Choice that is stated as `… answer is (B)`; `choices` are labels in round brackets.

    Attributes:
        marker: what the published rule looks behind.
        default: what the published rule answers where it finds no label, unmatched.
    """

    marker: ClassVar[str] = "answer is"
    default: ClassVar[str | None] = None

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        """Published: the first label, in their order, behind the last marker."""
        choices = item.choices or ()
        if rule == "published":
            return choice_after_marker(text, choices, marker=self.marker, default=self.default)
        return robust_choice(text, choices)

    def stated(self, item: Item) -> str:
        """Behind the marker."""
        return f"The answer is {item.target[0]}."

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        """Whether it is the right label: what `read` gives is a whole label under both rules."""
        return answer in item.target

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        """The default label, no marker, several labels behind it, or no clear one."""
        if not published.matched:
            where = "no label behind the marker" if self.marker in text else "no marker"
            return where if self.default is None else f"default {self.default}: {where}"
        behind = text[text.rfind(self.marker) :]
        if sum(label in behind for label in item.choices or ()) > 1:
            return "two answers behind the marker"
        return super().cause(item, text, published, robust)


@dataclass(frozen=True, kw_only=True)
class LastNumber(Task):
    """Answer that is a number, at the end of its reasoning."""

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        """Published: the last number; robust: the one that is stated."""
        return last_number(text) if rule == "published" else robust_number(text)

    def stated(self, item: Item) -> str:
        """In a sentence."""
        return f"The answer is {item.target[0]}."

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        """Published: as text, so that `1,200` can never be right; robust: as numbers."""
        target = item.target[0]
        return answer == target if rule == "published" else same_number(answer, target)

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        """What the published rule does not know (comma, sign, decimals), or another number."""
        one, other, target = published.answer, robust.answer, item.target[0]
        if one is None or other is None:
            return super().cause(item, text, published, robust)
        if published.value:
            return "another number is stated than comes last"
        start, end = (robust.detail or {}).get("span") or (0, 0)
        if "," in target or "," in text[start:end]:
            return "comma"
        if target.startswith("-") or other.startswith("-"):
            return "sign"
        if same_number(one, target):
            return "decimals"
        return "another number comes last"


# What a statement may say where the answer is one of two words.
_WORDS = (("yes", "no"), ("true", "false"), ("valid", "invalid"))


@dataclass(frozen=True, kw_only=True)
class MarkedText(Task):
    """Answer that is stated as `… answer is …`: a label where an item has choices, else text."""

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        """Published: what stands behind the last marker, of any label from `(A)` to `(Z)`.

        Robust: the label, word, number or text that is stated, whichever the item asks for.
        """
        if rule == "published":
            return text_after_marker(text, LABELS if item.choices else None)
        target = item.target[0]
        if target in (item.choices or ()):
            return robust_choice(text, item.choices or ())
        for words in _WORDS:
            if target.casefold() in words:
                return robust_text(text, words)
        return robust_number(text) if re.fullmatch(r"-?\d+", target) else robust_text(text)

    def stated(self, item: Item) -> str:
        """Behind the marker."""
        return f"The answer is {item.target[0]}."

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        """Published: the same characters; robust: the same number, or text but for case, quotes…"""
        if rule == "published":
            return answer in item.target
        return any(same_text(answer, t) or same_number(answer, t) for t in item.target)

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        """No marker, no label behind it, or the same text or number but for its writing."""
        if not published.matched:
            return "no marker" if "answer is " not in text else "no label behind the marker"
        one, other = published.answer, robust.answer
        if one is not None and other is not None:
            if same_text(one, other) or same_number(one, other):
                return "case, quotes, commas or stop"
            if other.casefold() in one.casefold():
                return "more text beside the answer"
        return super().cause(item, text, published, robust)
