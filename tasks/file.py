"""A benchmark from a file of one's own questions: no Python, a file or a folder is enough.

Which fields a row may have is in `benchmark.own_row`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from ochat_eval.answers import published_rating, robust_rating
from ochat_eval.benchmark.advice import some
from ochat_eval.benchmark.judged import Judged, conversation
from ochat_eval.benchmark.own_code import code_scores, tests_of
from ochat_eval.benchmark.own_row import OwnRow, own_row
from ochat_eval.benchmark.rubric import is_whole_prompt, pair_prompt, rating_prompt
from ochat_eval.benchmark.shapes import FirstLetter, LastNumber, MarkedText
from ochat_eval.benchmark.task import Answered, OnHub, ScoringOptions, Task, make_item
from ochat_eval.benchmark.template import compiled, named_fields
from ochat_eval.config.allowed import installed_classes
from ochat_eval.config.build import reader_class
from ochat_eval.data.own import OwnRows, hub_split
from ochat_eval.data.rows import Row
from ochat_eval.data.shipped import SampleSource
from ochat_eval.data.source import Source
from ochat_eval.records import Item, Message, Reading, Rule, Score, UserError
from ochat_eval.sandbox.checks import check_available
from ochat_eval.terminal.words import counted, nearest

from .math import Math

SAMPLE = SampleSource("file")
_NUMBER = re.compile(r"[-+]?[$€£]?\d[\d,]*(\.\d+)?%?")


@dataclass(frozen=True)
class Kind:
    """A kind of answer.

    Attributes:
        shape: reads and compares it; none does where a judge rates it, or tests.
        prompt: the template where none is given.
        stated: how a model that obeys the prompt states an answer.
    """

    shape: type[Task]
    prompt: str
    stated: str


CODE, JUDGE = "code", "judge"
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
    CODE: Kind(
        Task, "{question}\n\nAnswer with the function {entry_point} in a Python code block.", ""
    ),
    JUDGE: Kind(Task, "{question}", "{}"),
}


@dataclass(frozen=True, kw_only=True)
class FromFile(Judged):
    """Questions of one's own.

    Attributes:
        path: the rows, as `data.own.OwnRows` reads them.
        answer: a kind of `KINDS`, or a `Reader` of the user's own: its class, or the name that an
            installed package gives it; None for the kind that each row tells.
        own_kind: what such a reader makes of it; None where `answer` names none.
        prompt: a template of `benchmark.template`; None for the kind's own.
        num_fewshot: so many worked examples stand before the question, each its prompt and its
            answer as the kind states it.
        examples: the rows that they are taken from; None for the first rows of `path`, which are
            then not asked.
        rubric: of `answer=judge`: what a good answer is, or the judge's whole prompt
            (`benchmark.rubric`); None for one of ours.
        ratings: of `answer=judge`: the worst rating and the best.
    """

    paths: ClassVar[frozenset[str]] = Judged.paths | {"path", "examples"}
    before: ClassVar[Mapping[str, Any]] = {**Judged.before, "rubric": None, "ratings": [1, 10]}
    scored_by_workers: ClassVar[bool] = True
    has_published_setting: ClassVar[bool] = False
    own_kind: ClassVar[Kind | None] = None

    path: str | None = None
    answer: str | None = None
    prompt: str | None = None
    num_fewshot: int = 0
    examples: str | None = None
    rubric: str | None = None
    ratings: list[int] = field(default_factory=lambda: [1, 10])

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answer is not None and self.answer not in KINDS:
            self._differs(own_kind=self._own_kind(self.answer))
        if self.num_fewshot < 0:
            raise UserError(f"{self._option('num_fewshot')} is {self.num_fewshot}; 0 is none")
        self._check_judging()
        if at := hub_split(self.path or ""):
            self._differs(on_hub=OnHub(at.id, at.config, at.split))
        self._differs(scored_by_workers=self.answer in ("math", CODE))
        if self.answer != JUDGE:
            metric = "pass@1" if self.answer == CODE else Task.metric
            self._differs(judged=False, metric=metric, bounds=Task.bounds, scale=Task.scale)
        elif self.against is None:
            self._differs(bounds=tuple(map(float, self.ratings)))

    def _own_kind(self, answer: str) -> Kind:
        """The kind that a reader of the user's own makes."""
        option = self._option("answer")
        reader = reader_class(answer, option)
        if reader is None:
            known = [*KINDS, *installed_classes("reader")]
            raise UserError(
                f"{option} is {answer}; it is one of {', '.join(known)}, or a reader of your own: "
                f"MODULE.CLASS{nearest(answer, known)}"
            )
        reader(name=self.name)  # what it cannot be made of is said now
        return Kind(reader, reader.prompt, reader.states)

    def _check_judging(self) -> None:
        """The options of `answer=judge`."""
        if self.answer != JUDGE:
            for name in ("rubric", "against"):
                if getattr(self, name) is not None:
                    raise UserError(
                        f"{self._option(name)} is for answers that a judge rates: "
                        f"{self._option('answer')}={JUDGE}"
                    )
        if len(self.ratings) != 2 or not 0 <= self.ratings[0] < self.ratings[1] <= 100:
            raise UserError(
                f"{self._option('ratings')} is {self.ratings}; write the worst rating and the "
                "best, from 0 to 100: [1,10]"
            )
        option = self._option("rubric")
        if self.rubric is not None and is_whole_prompt(self.rubric, option):
            wanted = {"answer"} if self.against is None else {"answer_a", "answer_b"}
            if missing := sorted(wanted - set(named_fields(self.rubric, option))):
                raise UserError(f"{option} does not say where {missing[0]} stands")

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
        for name in named_fields(self.prompt or "", self._option("prompt")):
            if empty := _numbers(row.fields.get(name) in (None, "", []) for row in rows):
                lines.append(f"{name} is empty in {some(empty, 'row')}")
        if odd := _numbers(not _all_differ(row.choices or ()) for row in rows):
            lines.append(f"a choice is empty or comes twice in {some(odd, 'row')}")
        return lines

    def stated(self, item: Item) -> str | None:
        kind = self._kind(item.target, bool(item.choices))
        if kind in ("math", CODE, JUDGE):  # what reads these are processes of their own, or nobody
            return None
        return self._kind_of(kind).stated.format(item.target[0])

    def _rows(self, source: Source[Any]) -> list[OwnRow]:
        return [self._checked(row, number) for number, row in enumerate(source.load(), 1)]

    def _checked(self, row: Row, number: int) -> OwnRow:
        where = f"tasks.{self.name}: row {number}"
        checked = own_row(row, where, needs_answer=self.answer not in (CODE, JUDGE))
        if self.answer == CODE:  # what is right is what passes them
            checked = replace(checked, answers=tests_of(row, where))
        is_choice = checked.choices is not None
        if self.answer in KINDS and (self.answer == "choice") != is_choice:
            there = "choices" if is_choice else "no choices"
            raise UserError(f"{where}: it has {there}, and answer={self.answer}")
        return checked

    def _kind(self, answers: Sequence[str], has_choices: bool) -> str:
        """The kind that is chosen, or that the answers tell: formulas are not told from texts."""
        if self.answer is not None:
            return self.answer
        if has_choices:
            return "choice"
        return "number" if all(map(_NUMBER.fullmatch, answers)) else "text"

    def _kind_of(self, name: str) -> Kind:
        return self.own_kind or KINDS[name]

    def _asked(self, row: OwnRow) -> str:
        """A row's question as the prompt has it."""
        kind = self._kind_of(self._kind(row.answers, row.letters is not None))
        return compiled(self.prompt or kind.prompt, self._option("prompt"))(row.fields)

    def _worked(self, row: OwnRow) -> str:
        """A row as an example."""
        if len(row.turns) > 1 or row.system is not None:
            raise UserError(
                f"{self._option('num_fewshot')}: a row with turns or a system message is no "
                f"example; name a file of examples with {self._option('examples')}=FILE"
            )
        if not row.answers or self.answer == CODE:
            raise UserError(f"{self._option('num_fewshot')}: an example has no answer to show")
        kind = self._kind_of(self._kind(row.answers, row.letters is not None))
        return f"{self._asked(row)}\n\n{kind.stated.format(row.answers[0])}\n\n"

    def _shape(self, item: Item) -> Task:
        """What reads the answers to an item."""
        kind = self._kind_of(self._kind(item.target, bool(item.choices)))
        return kind.shape(name=self.name)

    def read(self, item: Item, text: str, rule: Rule) -> Reading:
        return self._shape(item).read(item, text, rule)

    def right(self, item: Item, answer: str, rule: Rule) -> bool:
        return self._shape(item).right(item, answer, rule)

    def score(self, answered: Iterable[Answered], options: ScoringOptions) -> Iterator[Score]:
        if self.judged:
            return super().score(answered, options)
        last = (
            replace(one, responses=tuple(self.scored(one.item, one.responses))) for one in answered
        )
        if self.answer == "math":
            return Math(name=self.name).score(last, options)
        if self.answer == CODE:
            return code_scores(last, options)
        return Task.score(self, last, options)

    def rating_messages(
        self, item: Item, answers: Sequence[str], style: str
    ) -> tuple[Message, ...]:
        if style != "graded":
            raise UserError(
                f"judge.style={style}: {self.name} has a rubric of its own; take judge=local"
            )
        fields = {**self._judged_fields(item, answers), "answer": answers[-1]}
        fields["lowest"], fields["highest"] = self.ratings
        return (Message("user", rating_prompt(self.rubric, fields, self._option("rubric"))),)

    def pair_messages(
        self, item: Item, first: Sequence[str], second: Sequence[str]
    ) -> tuple[Message, ...]:
        fields = self._judged_fields(item, first)
        fields |= {"answer_a": first[-1], "answer_b": second[-1]}
        return (Message("user", pair_prompt(self.rubric, fields, self._option("rubric"))),)

    def _judged_fields(self, item: Item, answers: Sequence[str]) -> dict[str, Any]:
        """What a rubric can name, but for the answers."""
        return {
            "question": conversation(item.turns, answers),
            "reference": "\n\nor:\n".join(item.target),
            "system": item.system or "",
        }

    def rating(self, text: str, rule: Rule, style: str) -> tuple[Reading, float | None]:
        del style
        read = published_rating if rule == "published" else robust_rating
        reading = read(text, *self.ratings)
        return reading, None if reading.answer is None else float(reading.answer)

    @property
    def executes_code(self) -> bool:
        return self.answer == CODE

    def check_scoring(self, options: ScoringOptions) -> None:
        if self.executes_code:
            check_available(options.sandbox)

    @property
    def has_figures(self) -> bool:
        return self.judged

    def cause(self, item: Item, text: str, published: Score, robust: Score) -> str:
        return self._shape(item).cause(item, text, published, robust)


def _all_differ(choices: Sequence[str]) -> bool:
    texts = {choice.strip() for choice in choices}
    return len(texts) == len(choices) and "" not in texts


def _numbers(which: Iterable[bool]) -> list[str]:
    """The rows for which it is so, counted from 1."""
    return [str(number) for number, so in enumerate(which, 1) if so]
