"""A benchmark from a file of one's own questions: no Python, a file or a folder is enough.

Which fields a row may have is in `benchmark.own_row`.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from ochat_eval.benchmark.advice import some
from ochat_eval.benchmark.own_row import OwnRow, own_row
from ochat_eval.benchmark.shapes import FirstLetter, LastNumber, MarkedText
from ochat_eval.benchmark.task import Answered, ScoringOptions, Task, make_item
from ochat_eval.benchmark.template import compiled, named_fields
from ochat_eval.data.own import OwnRows
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import Item, Reading, Rule, Score, UserError
from ochat_eval.terminal.words import counted, nearest

from .math import Math

SAMPLE = SampleSource("file")
_NUMBER = re.compile(r"[-+]?[$€£]?\d[\d,]*(\.\d+)?%?")


@dataclass(frozen=True)
class Kind:
    """A kind of answer.

    Attributes:
        shape: reads and compares it.
        prompt: the template where none is given.
        stated: how a model that obeys the prompt states an answer.
    """

    shape: type[Task]
    prompt: str
    stated: str


KINDS: Mapping[str, Kind] = {
    "choice": Kind(
        FirstLetter, "{question}\n\n{choices}\n\nAnswer with the letter of the right choice.", "{}"
    ),
    "number": Kind(
        LastNumber, "{question}\n\nEnd with: The answer is (a number)", "The answer is {}"
    ),
    "text": Kind(
        MarkedText, "{question}\n\nEnd with: The answer is (your answer).", "The answer is {}."
    ),
    "math": Kind(Math, "{question}\n\nPut your final answer within \\boxed{}.", "\\boxed{{{}}}"),
}


@dataclass(frozen=True, kw_only=True)
class FromFile(Task):
    """Questions of one's own.

    Attributes:
        path: the rows, as `data.own.OwnRows` reads them.
        answer: a kind of `KINDS`; None for the one that each row tells.
        prompt: a template of `benchmark.template`; None for the kind's own.
        num_fewshot: so many worked examples stand before the question, each its prompt and its
            answer as the kind states it.
        examples: the rows that they are taken from; None for the first rows of `path`, which are
            then not asked.
    """

    paths: ClassVar[frozenset[str]] = frozenset({"path", "examples"})
    scored_by_workers: ClassVar[bool] = True
    has_published_setting: ClassVar[bool] = False

    path: str | None = None
    answer: str | None = None
    prompt: str | None = None
    num_fewshot: int = 0
    examples: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answer is not None and self.answer not in KINDS:
            raise UserError(
                f"{self._option('answer')} is {self.answer}; it is one of {', '.join(KINDS)}"
                f"{nearest(self.answer, list(KINDS))}"
            )
        if self.num_fewshot < 0:
            raise UserError(f"{self._option('num_fewshot')} is {self.num_fewshot}; 0 is none")

    def _option(self, name: str) -> str:
        return f"tasks.{self.name}.{name}"

    def sources(self) -> tuple[Source[Any], ...]:
        if self.data == "sample":
            return (SAMPLE,)
        if self.path is None:
            raise UserError(
                f"{self._option('path')} is not set: name a file with {self._option('path')}=FILE "
                "(.jsonl, .csv, .parquet, a folder, or hub:ORG/NAME@REVISION#CONFIG/SPLIT)"
            )
        more = () if self.examples is None else (OwnRows(self.examples),)
        return (OwnRows(self.path), *more)

    def expected_items(self) -> int | None:
        return None

    def items(self) -> Iterator[Item]:
        source, *more = self.sources()
        rows = self._rows(source)
        examples = self._rows(more[0]) if more else rows
        first = 0 if more else self.num_fewshot
        if self.num_fewshot > len(examples) or first >= len(rows):
            there = counted(len(examples), "row")
            raise UserError(
                f"{self._option('num_fewshot')} is {self.num_fewshot}; there are {there}"
            )
        worked = "".join(map(self._worked, examples[: self.num_fewshot]))
        for index, row in list(enumerate(rows))[first:]:
            turns = [*row.turns[:-1], self._asked(row)]
            turns[0] = worked + turns[0]
            item = make_item(self, row.subset, index, turns, row.answers, row.letters)
            yield replace(item, system=row.system, cluster=row.cluster, stratum=row.stratum)

    def advice(self) -> list[str]:
        """Which kinds of answers the rows tell, fields of the prompt that are empty somewhere,
        choices that are."""
        rows = self._rows(self.sources()[0])
        kinds = Counter(self._kind(row.answers, row.letters is not None) for row in rows)
        lines = []
        if self.answer is None:
            told = ", ".join(f"{kind}: {n:,}" for kind, n in kinds.most_common())
            lines.append(f"answers as the rows tell: {told} ({self._option('answer')} names one)")
        for name in named_fields(self.prompt or ""):
            if empty := _numbers(row.fields.get(name) in (None, "", []) for row in rows):
                lines.append(f"{name} is empty in {some(empty, 'row')}")
        if odd := _numbers(not _all_differ(row.choices or ()) for row in rows):
            lines.append(f"a choice is empty or comes twice in {some(odd, 'row')}")
        return lines

    def stated(self, item: Item) -> str | None:
        kind = self._kind(item.target, bool(item.choices))
        if kind == "math":  # its graders need processes of their own
            return None
        return KINDS[kind].stated.format(item.target[0])

    def _rows(self, source: Source[Any]) -> list[OwnRow]:
        return [self._checked(row, number) for number, row in enumerate(source.load(), 1)]

    def _checked(self, row: Row, number: int) -> OwnRow:
        where = f"tasks.{self.name}: row {number}"
        checked = own_row(row, where)
        if self.answer is not None and (self.answer == "choice") != (checked.choices is not None):
            there = "no choices" if checked.choices is None else "choices"
            raise UserError(f"{where}: it has {there}, and answer={self.answer}")
        return checked

    def _kind(self, answers: Sequence[str], has_choices: bool) -> str:
        """The kind that is chosen, or that the answers tell: formulas are not told from texts."""
        if self.answer is not None:
            return self.answer
        if has_choices:
            return "choice"
        return "number" if all(map(_NUMBER.fullmatch, answers)) else "text"

    def _asked(self, row: OwnRow) -> str:
        """A row's question as the prompt has it."""
        kind = self._kind(row.answers, row.letters is not None)
        return self._template(kind)(row.fields)

    def _worked(self, row: OwnRow) -> str:
        """A row as an example."""
        if len(row.turns) > 1 or row.system is not None:
            raise UserError(
                f"{self._option('num_fewshot')}: a row with turns or a system message is no "
                f"example; name a file of examples with {self._option('examples')}=FILE"
            )
        kind = KINDS[self._kind(row.answers, row.letters is not None)]
        return f"{self._asked(row)}\n\n{kind.stated.format(row.answers[0])}\n\n"

    @functools.cache  # noqa: B019 (a few templates for as long as the task lives)
    def _template(self, kind: str) -> Callable[[Mapping[str, Any]], str]:
        return compiled(self.prompt or KINDS[kind].prompt, self._option("prompt"))

    def _shape(self, item: Item) -> Task:
        """What reads the answers to an item."""
        return KINDS[self._kind(item.target, bool(item.choices))].shape(name=self.name)

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        return self._shape(item).read(item, text, rule)

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        return self._shape(item).right(item, answer, rule)

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        if self.answer == "math":
            return Math(name=self.name).score(answered, options)
        return super().score(answered, options)

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        return self._shape(item).cause(item, text, published, robust)


def _all_differ(choices: Sequence[str]) -> bool:
    texts = {choice.strip() for choice in choices}
    return len(texts) == len(choices) and "" not in texts


def _numbers(which: Iterable[bool]) -> list[str]:
    """The rows for which it is so, counted from 1."""
    return [str(number) for number, so in enumerate(which, 1) if so]
