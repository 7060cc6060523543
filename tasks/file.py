"""A benchmark from a file of one's own questions: no Python, a file or a folder is enough.

Fields of a row: `question`; `answer` (or `target`), one or a list of which each is right;
`choices` where there are some, a list or the columns `A`, `B`, …; `subset`. Whatever else there is
can stand in the prompt's template.
"""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from string import ascii_uppercase
from typing import Any, ClassVar

from ochat_eval.benchmark.shapes import FirstLetter, LastNumber, MarkedText
from ochat_eval.benchmark.task import Answered, ScoringOptions, Task, make_item
from ochat_eval.benchmark.template import compiled
from ochat_eval.data.own import OwnRows
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import RULES, Item, Reading, Rule, Score, UserError
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
            prompt = worked + self._asked(row)
            yield make_item(self, row["subset"], index, prompt, row["answer"], row.get("letters"))

    def advice(self, items: Iterable[Item]) -> list[str]:
        """What the rows look like, before they cost anything.

        Which kinds of answers were told; golds that a rule cannot read back where they are stated
        as the prompt asks; questions that come twice; a right letter that is always the same.
        """
        kinds, asked, letters = Counter[str](), Counter[str](), Counter[str]()
        unread: dict[Rule, list[int]] = {rule: [] for rule in RULES}
        for item in items:
            kind = self._kind(item.target, bool(item.choices))
            kinds[kind] += 1
            asked[item.turns[0]] += 1
            letters.update(item.target[:1] if item.choices else ())
            text = KINDS[kind].stated.format(item.target[0])
            for rule in RULES if kind != "math" else ():
                reading = self.read(item, text, rule)
                if reading.answer is None or not self.right(item, reading.answer, rule):
                    unread[rule].append(item.index + 1)
        total = sum(kinds.values())
        lines = []
        if self.answer is None:
            told = ", ".join(f"{kind}: {n:,}" for kind, n in kinds.most_common())
            lines.append(f"answers as the rows tell: {told} ({self._option('answer')} names one)")
        for rule, rows in unread.items():
            if rows:
                some = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
                lines.append(
                    f"the {rule} rule reads {total - len(rows):,} of {total:,} right answers back "
                    f"when they are stated as asked; not those of rows {some}"
                )
        if twice := sum(n - 1 for n in asked.values()):
            lines.append(f"{counted(twice, 'question comes', 'questions come')} more than once")
        if len(letters) == 1 and total > 1:
            lines.append(f"the right letter is always {next(iter(letters))}")
        return [f"{self.name}: {line}" for line in lines]

    def _rows(self, source: Source[Any]) -> list[Row]:
        return [self._checked(row, number) for number, row in enumerate(source.load(), 1)]

    def _kind(self, answers: Sequence[str], has_choices: bool) -> str:
        """The kind that is chosen, or that the answers tell: formulas are not told from texts."""
        if self.answer is not None:
            return self.answer
        if has_choices:
            return "choice"
        return "number" if all(map(_NUMBER.fullmatch, answers)) else "text"

    def _asked(self, row: Row) -> str:
        return self._template(self._kind(row["answer"], "letters" in row))(row)

    def _worked(self, row: Row) -> str:
        """A row as an example."""
        kind = KINDS[self._kind(row["answer"], "letters" in row)]
        return f"{self._asked(row)}\n\n{kind.stated.format(row['answer'][0])}\n\n"

    @functools.cache  # noqa: B019 (a few templates for as long as the task lives)
    def _template(self, kind: str) -> Callable[[Mapping[str, Any]], str]:
        return compiled(self.prompt or KINDS[kind].prompt, self._option("prompt"))

    def _at(self, number: int, what: str) -> str:
        return f"tasks.{self.name}: row {number}: {what}"

    def _checked(self, row: Row, number: int) -> Row:
        """The row with the fields that an item is made of, each in one form.

        `answer` a list of texts, of labels where there are choices; `letters` their labels;
        `choices` a line for each; `subset` a name.
        """
        if unknown := {"system", "turns"} & row.keys():
            raise UserError(self._at(number, f"the field {unknown.pop()!r} is not read yet"))
        answer = row.get("answer", row.get("target"))
        question = row.get("question")
        if not isinstance(question, str) or not question.strip():
            raise UserError(self._at(number, "it has no question"))
        answers = [] if answer is None else answer if isinstance(answer, list) else [answer]
        choices = self._choices(row, number)
        if choices is not None:
            answers = [self._label(one, choices, number) for one in answers]
        if not answers or not all(str(one).strip() for one in answers):
            raise UserError(self._at(number, "it has no answer (a field `answer` or `target`)"))
        subset = str(row.get("subset") or "main")
        if not subset.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise UserError(
                self._at(number, f"the subset {subset!r} is no name of letters and digits")
            )
        whole = {
            **row,
            "question": question,
            "answer": [str(one) for one in answers],
            "subset": subset,
        }
        if self.answer is not None and (self.answer == "choice") != (choices is not None):
            there = "no choices" if choices is None else "choices"
            raise UserError(self._at(number, f"it has {there}, and answer={self.answer}"))
        if choices is not None:
            lines = zip(ascii_uppercase, choices, strict=False)
            whole["choices"] = "\n".join(f"{letter}. {text}" for letter, text in lines)
            whole["letters"] = ascii_uppercase[: len(choices)]
        return whole

    def _choices(self, row: Row, number: int) -> list[str] | None:
        """Its field, or its columns named by letters; None where it has none."""
        given = row.get("choices")
        if given is None or given == "":
            columns = list(
                takewhile(lambda letter: row.get(letter) not in (None, ""), ascii_uppercase)
            )
            given = [row[letter] for letter in columns] or None
        elif isinstance(given, str):
            try:
                given = json.loads(given)
            except ValueError:
                given = None
        if given is None and not row.get("choices"):
            return None
        if not isinstance(given, list) or not 2 <= len(given) <= len(ascii_uppercase):
            raise UserError(self._at(number, "its choices are no list of 2 to 26"))
        return [str(one) for one in given]

    def _label(self, answer: Any, choices: list[str], number: int) -> str:
        """The letter of a right choice: given as a letter, as its text, or as a place from 0."""
        letters, text = ascii_uppercase[: len(choices)], str(answer).strip()
        meant = {letters[n] for n, choice in enumerate(choices) if choice == text}
        if isinstance(answer, int) and 0 <= answer < len(choices):
            meant.add(letters[answer])
        if len(text) == 1 and text.upper() in letters:
            meant.add(text.upper())
        if len(meant) == 1:
            return meant.pop()
        if meant:
            both = " and ".join(sorted(meant))
            raise UserError(
                self._at(number, f"the answer {text!r} may mean {both}; write the letter")
            )
        raise UserError(
            self._at(number, f"the answer {text!r} is no letter up to {letters[-1]} and no choice")
        )

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
